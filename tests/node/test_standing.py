"""Who has forgotten something, by the starts that it tells of and by what is remembered of it."""

from __future__ import annotations

import pytest

from redraft.ids import Index, Term
from redraft.node.memory import Memory
from redraft.node.standing import Remembered, Start, has_forgotten
from redraft.raft.messages import Position
from support.world import World

GROUP = 1


def at(term: int, index: int) -> Position:
    return Position(Term(term), Index(index))


def start(number: int, token: str, term: int, index: int, whole: int = 0) -> Start:
    return Start(token, {GROUP: at(term, index)}, {GROUP: whole} if whole else {}, number)


KNOWN = Remembered("a", 5, at(4, 300))


@pytest.mark.parametrize(
    ("starts", "forgot"),
    [
        ([start(5, "a", 3, 10)], False),  # the same life
        ([start(5, "a", 3, 10), start(6, "b", 4, 300)], False),
        ([start(5, "a", 3, 10), start(6, "b", 5, 200)], False),  # a later term's leader has replaced what it had
        ([start(5, "a", 3, 10), start(6, "b", 4, 299)], True),
        ([start(5, "a", 3, 10), start(6, "b", 3, 900)], True),
        # It heard of later terms before it was started once more.
        ([start(5, "a", 3, 10), start(6, "b", 4, 100), start(7, "c", 9, 100)], True),
        ([start(5, "a", 3, 10), start(6, "b", 4, 100, whole=6), start(7, "c", 9, 100)], False),
        ([start(5, "x", 4, 300)], True),  # another fifth start: a copy
        ([start(4, "w", 1, 9), start(5, "x", 4, 300), start(6, "y", 4, 300)], True),
        ([start(4, "w", 1, 9), start(5, "x", 4, 300, whole=5), start(6, "y", 4, 300)], False),
        ([start(3, "v", 9, 900)], True),  # a copy from before
        ([start(3, "v", 9, 900, whole=3)], True),  # which had caught up in another matter
        ([start(3, "v", 9, 900, whole=5)], False),
        ([start(29, "m", 4, 300), start(30, "n", 4, 310)], False),  # more starts since than are told
        ([start(29, "m", 4, 200), start(30, "n", 4, 310)], True),
    ],
)
def test_a_node_that_comes_back_with_less_is_known(starts: list[Start], forgot: bool) -> None:
    assert has_forgotten(starts, GROUP, KNOWN) is forgot


def test_of_a_node_of_which_only_messages_are_known_its_first_start_tells() -> None:
    """It was of a version that told of no starts."""
    known = Remembered(position=at(4, 300))
    assert not has_forgotten([start(1, "a", 4, 300)], GROUP, known)
    assert has_forgotten([start(1, "a", 4, 299)], GROUP, known)
    assert not has_forgotten([start(1, "a", 4, 299)], GROUP, Remembered())


def test_what_is_kept_of_others_may_be_damaged(caplog: pytest.LogCaptureFixture) -> None:
    memory = Memory(World().node)
    memory.read(None, b'{"2": [tor')
    assert "cannot be read" in caplog.text


def test_a_node_alone_has_forgotten_nothing_that_anybody_counts_on() -> None:
    """It was made a cluster of its own while it was forgetful."""
    world = World()
    assert world.lives is not None
    world.lives = world.lives.replace(b'"forgotten":{}', b'"forgotten":{"1":["t",1,[4,300]]}')
    world.restart()
    assert not world.node.memory.forgotten()
    assert world.connect()("SET key value") == b"OK"
