"""A node's pulse: what it says to each other node, again and again, whatever its main thread does.

A command of ten seconds, a value of 512 MB or a slow fsync holds up the thread that everything else of a node happens
in, Raft's heartbeats among it. So the pulse leaves from elsewhere (`server.pulse_process`; an event in the simulator),
and goes by what the main thread has left on its *board*: a few words of memory that both of them see. A node that is
neither held up nor in the middle of a large frame has nothing to excuse, and its pulse says nothing. How others read it
is in `liveness`.

Invariants: a word of the board is written whole; each means something without the others.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from redraft.errors import RedraftError
from redraft.ids import CONFIG_GROUP, FIRST_SHARD_GROUP, NO_NODE, GroupId, NodeId, Term

GROUPS = (CONFIG_GROUP, FIRST_SHARD_GROUP)
MOST_PULSE_BYTES = 4096
STALL_INTERVALS = 2
"""A main thread is held up when it has not come round for so many heartbeats."""
MOST_SENDERS = 64
"""Nodes whose bytes the board tells of."""

_PROGRESS = 0
_INTERVAL = 1
_BELIEFS = 2
_SENDERS = _BELIEFS + len(GROUPS)
WORDS = _SENDERS + 2 * MOST_SENDERS
"""The board's size, in words of eight bytes."""

_LEADER_BITS = 20
_MOST_TERM = 1 << (63 - _LEADER_BITS)


class PulseError(RedraftError):
    """What has come is no pulse."""


class Belief(msgspec.Struct, frozen=True, array_like=True):
    """Whom a node takes for a group's leader."""

    group: GroupId
    term: Term
    leader: NodeId


class Pulse(msgspec.Struct, frozen=True, array_like=True):
    """One beat."""

    progress: int
    """When its main thread came round last, by a clock of its own; what counts is whether it is another one."""
    stalled_ms: int
    """For how long it has been held up; 0 if it is not."""
    receiving: bool
    """Whether bytes of an unfinished frame from the receiver have just arrived there."""
    beliefs: list[Belief]

    @property
    def excuses(self) -> bool:
        """Whether it says anything that could not be heard from Raft itself."""
        return self.stalled_ms > 0 or self.receiving


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Pulse).decode


def encode_pulse(pulse: Pulse) -> bytes:
    """As it is sent, in a frame."""
    return _encode(pulse)


def decode_pulse(data: bytes | memoryview) -> Pulse:
    """Raises PulseError."""
    try:
        return _decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise PulseError(f"a pulse that cannot be read: {error}") from error


class Words(Protocol):
    """Whole numbers of 64 bits: a list, or memory that two processes see."""

    def __getitem__(self, place: int, /) -> int: ...

    def __setitem__(self, place: int, value: int, /) -> None: ...


class Board:
    """What the main thread leaves, and the pulse reads. A belief is one word, so that no reader finds the term of one
    and the leader of another."""

    def __init__(self, words: Words) -> None:
        self._words = words
        self._senders: dict[NodeId, int] = {}

    # The main thread's.

    def progressed(self, now_ns: int) -> None:
        """It has come round."""
        self._words[_PROGRESS] = now_ns

    def beats_every(self, interval_ms: int) -> None:
        """How often it says something, and so how often the pulse beats."""
        self._words[_INTERVAL] = interval_ms

    def believes(self, group: GroupId, term: Term, leader: NodeId) -> None:
        """Whom it takes for the leader of a group."""
        fits = term < _MOST_TERM and leader < 1 << _LEADER_BITS
        self._words[_BELIEFS + GROUPS.index(group)] = term << _LEADER_BITS | leader if fits else 0

    def receives(self, sender: NodeId, now_ns: int) -> None:
        """Bytes of an unfinished frame have come from a node."""
        place = self._senders.get(sender)
        if place is None:
            if len(self._senders) == MOST_SENDERS:
                return
            place = self._senders[sender] = _SENDERS + 2 * len(self._senders)
            self._words[place + 1] = now_ns
            self._words[place] = sender
        self._words[place + 1] = now_ns

    # The pulse's.

    @property
    def interval_ms(self) -> int:
        """How often it beats; 0 before the main thread has said so."""
        return self._words[_INTERVAL]

    def pulse_for(self, receiver: NodeId, now_ns: int) -> Pulse:
        """What to tell a node."""
        words = self._words
        patience_ns = STALL_INTERVALS * self.interval_ms * 1_000_000
        progress = words[_PROGRESS]
        silent_ns = now_ns - progress
        beliefs = []
        for place, group in enumerate(GROUPS):
            term, leader = divmod(words[_BELIEFS + place], 1 << _LEADER_BITS)
            if leader != NO_NODE:
                beliefs.append(Belief(group, Term(term), NodeId(leader)))
        received_ns = next((words[at + 1] for at in range(_SENDERS, WORDS, 2) if words[at] == receiver), 0)
        receiving = bool(received_ns) and now_ns - received_ns <= patience_ns
        return Pulse(progress, silent_ns // 1_000_000 if silent_ns > patience_ns else 0, receiving, beliefs)
