"""What time it is for reads.

The state has a clock of its own, the last entry's time, which is the same on every replica and never goes back; a key
is there or gone by it alone, for writes and for reads. A read that finds a key which is due by the leader's clock but
not by the state's (`finds_due`) must be put behind an entry, which moves the state's clock. Would it hide the key at
once, the next leader, with a clock behind, could show it again. What only tells of time (TTL) goes by the leader's
clock, which reads never see before the state's. (The leader's clock here is what it would stamp into an entry now, see
`state_clock`, and never its wall clock.)

Invariant: the context of reads hides keys by the state's clock, but between `hide_until` and `hide_as_the_state`.
"""

from __future__ import annotations

from redraft.commands.context import Context
from redraft.commands.table import Command
from redraft.errors import CommandError

WALKS = frozenset({"keys", "scan", "randomkey"})
"""Reads that name no key and pass by the keys that are due. (DBSIZE counts them, as in Redis.)"""


class Present:
    """The clocks of a shard's reads; all times are Unix ms."""

    __slots__ = ("_context", "_state_ms")

    def __init__(self, context: Context) -> None:
        self._context = context
        self._state_ms = 0

    def set_state(self, time_ms: int) -> None:
        """The state's time; the present is no earlier."""
        context = self._context
        self._state_ms = context.now_ms = time_ms
        if context.clock_ms < time_ms:
            context.clock_ms = time_ms

    @property
    def clock_ms(self) -> int:
        """The present, as reads tell of it."""
        return self._context.clock_ms

    def set_clock(self, now_ms: int) -> None:
        """The present, by the leader's clock; never before the state's."""
        context = self._context
        context.clock_ms = max(now_ms, context.now_ms)

    @property
    def hides_until_ms(self) -> int:
        """Keys whose deadline is not after this are not there for reads."""
        return self._context.now_ms

    def hide_until(self, time_ms: int) -> None:
        """Have reads of which nothing is demanded pass by what is due by a clock that is nobody else's."""
        self._context.now_ms = max(time_ms, self._state_ms)
        self.set_clock(time_ms)

    def hide_as_the_state(self) -> None:
        """Have reads go by the state's clock again."""
        self.hide_until(0)

    def finds_due(self, command: Command, argvs: list[list[bytes]], database: int) -> bool:
        """Whether reads ask for a key that is due by the leader's clock and not by the state's: an entry must come
        first."""
        context = self._context
        db = context.keyspace.maybe_database(database)
        if db is None:
            return False
        deadlines = db.deadlines
        if not deadlines or not db.falls_due(context.now_ms, context.clock_ms):
            return False
        for argv in argvs:
            try:
                positions = command.key_positions(argv)
            except CommandError:
                continue
            if not positions and command.name in WALKS:
                return True
            for position in positions:
                if context.now_ms < deadlines.get(argv[position], 0) <= context.clock_ms:
                    return True
        return False
