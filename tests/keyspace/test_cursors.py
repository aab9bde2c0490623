"""A cursor stands for the position it was made for, until too many newer ones were made."""

from __future__ import annotations

from redraft.keyspace.cursors import CURSOR_LIMIT, Cursors


def test_a_cursor_gives_back_the_position_it_stands_for() -> None:
    cursors = Cursors()
    user, other = cursors.remember(b"user:17"), cursors.remember((b"member", 3))
    assert cursors.position(user) == b"user:17"
    assert cursors.position(other) == (b"member", 3)


def test_a_cursor_may_be_used_again() -> None:
    cursors = Cursors()
    cursor = cursors.remember(b"a")
    assert [cursors.position(cursor) for _ in range(3)] == [b"a"] * 3


def test_zero_and_unknown_cursors_start_over() -> None:
    cursors = Cursors()
    known = cursors.remember(b"a")
    assert cursors.position(0) is None
    assert cursors.position(known + 1) is None
    assert cursors.position(2**64 - 1) is None


def test_no_cursor_is_zero_and_none_is_given_twice() -> None:
    cursors = Cursors()
    given = [cursors.remember(b"the same key") for _ in range(CURSOR_LIMIT * 2)]
    assert 0 not in given
    assert len(set(given)) == len(given)


def test_the_oldest_cursor_is_forgotten_when_there_are_too_many() -> None:
    cursors = Cursors()
    given = [cursors.remember(number) for number in range(CURSOR_LIMIT + 1)]
    assert cursors.position(given[0]) is None
    assert [cursors.position(cursor) for cursor in given[1:]] == list(range(1, CURSOR_LIMIT + 1))
