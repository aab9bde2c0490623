"""What people see of a node that works: MONITOR, SLOWLOG, LATENCY, and the counts of commands and errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redraft.commands.table import Command
from redraft.node.access_log import AccessLog
from redraft.node.latency import LatencyMonitor
from redraft.node.redaction import redacted
from redraft.node.session import Session
from redraft.node.slowlog import SlowLog

if TYPE_CHECKING:
    from redraft.node.node import Node

NEVER_NS = 1 << 62


class Observer:
    """The observations of one node."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.slowlog = SlowLog()
        self.access_log = AccessLog()
        self.latency = LatencyMonitor()
        self.monitors: dict[int, Session] = {}
        """Sessions that MONITOR, by id."""
        self.slow_ns = NEVER_NS
        """A command that takes so long is looked at by SLOWLOG or LATENCY."""

    def feed_monitors(self, session: Session, argv: list[bytes]) -> None:
        """Show a command to the monitoring sessions."""
        line = self._node.statistics.monitor_line(self._node.clock.now_us(), session, argv)
        for monitor in self.monitors.values():
            monitor.answer(line)
            self._node.outgoing[monitor] = None

    def refresh_slow(self) -> None:
        """Recompute `slow_ns` from the thresholds of SLOWLOG (negative: never) and LATENCY (0: never)."""
        slowlog_us = self._node.settings.slowlog_log_slower_than
        latency_ms = self._node.settings.latency_monitor_threshold
        thresholds = [slowlog_us * 1000] if slowlog_us >= 0 else []
        if latency_ms:
            thresholds.append(latency_ms * 1_000_000)
        self.slow_ns = min(thresholds, default=NEVER_NS)
        self._node.shard.executor.slow_ns = self.slow_ns

    def on_slow(self, owner: object, command: Command, argv: list[bytes], took_ns: int) -> None:
        """A command took at least `slow_ns`."""
        settings = self._node.settings
        if settings.latency_monitor_threshold and took_ns >= settings.latency_monitor_threshold * 1_000_000:
            name = "fast-command" if "fast" in command.flags else "command"
            self.latency.add(name, self._node.now_ms, took_ns // 1_000_000)
        if "skip_slowlog" in command.flags or not 0 <= settings.slowlog_log_slower_than * 1000 <= took_ns:
            return
        session = owner if isinstance(owner, Session) else getattr(owner, "session", None)
        shown = redacted(command, argv)
        self.slowlog.add(self._node.now_ms, took_ns // 1000, shown, session, settings.slowlog_max_len)

    def took(self, event: str, took_ns: int) -> None:
        """An event of LATENCY's (`fsync`, `tick`) took so long."""
        threshold_ms = self._node.settings.latency_monitor_threshold
        if threshold_ms and took_ns >= threshold_ms * 1_000_000:
            self.latency.add(event, self._node.now_ms, took_ns // 1_000_000)

    def commands_processed(self) -> int:
        """Commands executed since the start or the last CONFIG RESETSTAT."""
        return sum(c.calls + sum(sub.calls for sub in c.subcommands.values()) for c in self._node.table)

    def errors(self) -> dict[str, int]:
        """Error replies by their first word."""
        found = dict(self._node.statistics.errors)
        for code, count in self._node.shard.executor.errors.items():
            found[code] = found.get(code, 0) + count
        return found

    def reset_statistics(self) -> None:
        """CONFIG RESETSTAT."""
        self._node.statistics.reset()
        self._node.shard.executor.errors.clear()
        for declared in self._node.table:
            for each in (declared, *declared.subcommands.values()):
                each.calls = each.nanoseconds = each.rejected_calls = each.failed_calls = 0
