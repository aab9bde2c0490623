"""Counts that a node keeps about itself, for INFO and MONITOR."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redraft.resp.quoting import quoted
from redraft.resp.reply import Status

if TYPE_CHECKING:
    from redraft.node.session import Session

TICK_BUCKETS = 24
"""Bucket b counts ticks shorter than 2**b microseconds (and not shorter than half of that)."""

CODE_CHARS = 33
"""The longest first word of an error that is counted by itself, and the space behind it (Redis: afterErrorReply)."""


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
        self.errors: dict[str, int] = {}
        """Error replies made on this floor, by their first word."""
        self.operations_a_second = 0
        self._sampled_operations = 0
        self._sampled_ms = 0

    def tick_took(self, microseconds: int) -> None:
        """A tick has ended."""
        self.ticks += 1
        if microseconds > self.tick_max_us:
            self.tick_max_us = microseconds
        self.tick_histogram[min(microseconds.bit_length(), TICK_BUCKETS - 1)] += 1

    def sample(self, steady_ms: int, operations: int) -> None:
        """Once a second: see how many commands there have been by now."""
        passed_ms = steady_ms - self._sampled_ms
        if passed_ms > 0:
            self.operations_a_second = max(0, operations - self._sampled_operations) * 1000 // passed_ms
        self._sampled_ms = steady_ms
        self._sampled_operations = operations

    def count_error(self, text: str) -> None:
        """An error was answered."""
        code, space, _ = text[:CODE_CHARS].partition(" ")
        if not space or not code.isprintable():
            code = "ERR"
        self.errors[code] = self.errors.get(code, 0) + 1

    @staticmethod
    def monitor_line(now_us: int, session: Session, argv: list[bytes]) -> Status:
        """A command as MONITOR shows it (replication.c, replicationFeedMonitors)."""
        words = " ".join(quoted(arg) for arg in argv)
        where = "unix:" + session.address.removesuffix(":0") if session.unix else session.address
        return Status(
            f"{now_us // 1_000_000}.{now_us % 1_000_000:06d} [{session.database} {where}] {words}".encode("latin-1")
        )
