"""What nodes tell each other of promises: how far the teller is, and how far the receiver had been.

A *life* is one run of a node's process, known by a token that is drawn at its start. A node keeps the tokens of its
last starts, each with how far its groups' logs went then (`Start`), and tells them. So a copy of a directory is known
by a start that the node has had and the copy has not, and a disk that was put back or has lost writes by what the log
had at the first start after a life, when more had been promised in it.

Example. Node 3 promised entry 300 in the life a, and others remember that. It comes back as the life c with the
starts a, c; at c its log went to entry 100: it has forgotten. It comes back with the starts x, c: it has forgotten
the life a. It comes back with the starts a, b, c, and at b its log went to entry 310: it has forgotten nothing that
they know of.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from redraft.ids import NodeId, Term
from redraft.raft.messages import Position


class Start(msgspec.Struct, frozen=True, array_like=True):
    """One start of a node."""

    token: str
    ends: dict[int, Position] = {}
    """Of each group: the term, and the last index of its log, as the start found them."""
    whole: dict[int, int] = {}
    """The groups in which it had forgotten something, and caught up again in the life that then began: the highest
    number of the starts that it was told to have forgotten, or its own."""
    number: int = 0
    """Which of its starts it is. Those that come after it has caught up have higher numbers than those it forgot."""


class Remembered(msgspec.Struct, frozen=True, array_like=True):
    """The most that a member of a group is known to have promised."""

    token: str = ""
    """The life in which it was heard of; empty where only its messages are known, not its lives."""
    number: int = 0
    """Which of its starts that life began with."""
    position: Position = Position()


class GroupStanding(msgspec.Struct, frozen=True, array_like=True):
    """One group's part of what a node tells."""

    group: int
    term: Term
    promised: Position
    """What others may hold the sender to."""
    log_end: Position
    """The term and index of its last durable entry."""
    voters: tuple[NodeId, ...]
    """Those that it knows of."""
    forgetful: bool = False
    """It knows that it has forgotten something, and has not caught up yet."""
    of_you: Remembered = Remembered()
    """What it remembers of the receiver."""


class Standing(msgspec.Struct, frozen=True, array_like=True):
    """What a node tells another of itself, and of the other."""

    starts: tuple[Start, ...]
    """Its last starts."""
    heard: str
    """The receiver's life that it has heard of."""
    groups: tuple[GroupStanding, ...]
    gone: tuple[NodeId, ...] = ()
    """The last nodes that were of the cluster once and are no more, and so of no group: nobody waits for them."""


def has_forgotten(starts: Sequence[Start], group: int, known: Remembered) -> bool:
    """Whether a node that tells of these last starts has less in a group than is known of it."""
    tokens = [start.token for start in starts]
    later = starts
    if known.token in tokens:
        later = starts[tokens.index(known.token) + 1 :]
    elif known.token and starts and known.number >= starts[0].number:
        # That start should be among them: this is a copy from before it.
        return not any(start.whole.get(group, 0) >= known.number for start in starts)
    if not later or any(group in start.whole for start in later):
        return False
    return later[0].ends.get(group, Position()) < known.position
