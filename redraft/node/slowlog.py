"""SLOWLOG: the commands that took longest, newest first, as Redis keeps them (slowlog.c)."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from redraft.node.session import Session

MAX_ARGUMENTS = 32
MAX_ARGUMENT_BYTES = 128


class SlowEntry(NamedTuple):
    """One slow command."""

    id: int
    time_s: int
    duration_us: int
    argv: list[bytes]
    client_address: bytes
    client_name: bytes


class SlowLog:
    """A bounded log of slow commands."""

    def __init__(self) -> None:
        self.entries: deque[SlowEntry] = deque()
        self._next_id = 0

    def add(self, now_ms: int, duration_us: int, argv: list[bytes], session: Session | None, limit: int) -> None:
        """Record a command; long arguments and long lists of them are shortened as in Redis."""
        shown = [_shortened(arg) for arg in argv[:MAX_ARGUMENTS]]
        if len(argv) > MAX_ARGUMENTS:
            shown[-1] = b"... (%d more arguments)" % (len(argv) - MAX_ARGUMENTS + 1)
        address = session.address.encode() if session is not None else b""
        name = session.name if session is not None else b""
        self.entries.appendleft(SlowEntry(self._next_id, now_ms // 1000, duration_us, shown, address, name))
        self._next_id += 1
        self.trim(limit)

    def trim(self, limit: int) -> None:
        """Keep the newest `limit` entries."""
        while len(self.entries) > limit:
            self.entries.pop()


def _shortened(argument: bytes) -> bytes:
    if len(argument) <= MAX_ARGUMENT_BYTES:
        return bytes(argument)
    return argument[:MAX_ARGUMENT_BYTES] + b"... (%d more bytes)" % (len(argument) - MAX_ARGUMENT_BYTES)
