"""Counts that a node keeps about itself, for INFO and MONITOR."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redraft.resp.reply import Status

if TYPE_CHECKING:
    from redraft.node.session import Session

TICK_BUCKETS = 24
"""Bucket b counts ticks shorter than 2**b microseconds (and not shorter than half of that)."""


class NodeStatistics:
    """Counters since the start or the last CONFIG RESETSTAT."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start counting anew."""
        self.connections_received = 0
        self.connections_rejected = 0
        self.input_bytes = 0
        self.output_bytes = 0
        self.ticks = 0
        self.tick_max_us = 0
        self.tick_histogram = [0] * TICK_BUCKETS
        self.persists = 0
        self.persist_ns = 0

    def tick_took(self, microseconds: int) -> None:
        """A tick has ended."""
        self.ticks += 1
        if microseconds > self.tick_max_us:
            self.tick_max_us = microseconds
        self.tick_histogram[min(microseconds.bit_length(), TICK_BUCKETS - 1)] += 1

    @staticmethod
    def monitor_line(now_ms: int, session: Session, argv: list[bytes]) -> Status:
        """A command as MONITOR shows it (replication.c, replicationFeedMonitors)."""
        words = " ".join(_quoted(arg) for arg in argv)
        where = "unix:" + session.address if session.unix else session.address
        return Status(f"{now_ms // 1000}.{now_ms % 1000:03d}000 [{session.database} {where}] {words}".encode("latin-1"))


def _quoted(data: bytes) -> str:
    out = ['"']
    for byte in data:
        char = chr(byte)
        if char in '\\"':
            out.append("\\" + char)
        elif char in _ESCAPES:
            out.append(_ESCAPES[char])
        elif 32 <= byte < 127:
            out.append(char)
        else:
            out.append(f"\\x{byte:02x}")
    out.append('"')
    return "".join(out)


_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\a": "\\a", "\b": "\\b"}
