"""LATENCY: events that took long, by name, as Redis keeps them (latency.c).

Nothing is recorded while `latency-monitor-threshold` is 0. Events: `command` and `fast-command` (execution of one),
`fsync` (one fsync of the log) and `tick` (a whole tick).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

SAMPLES = 160
"""Samples kept of each event."""


class Sample(NamedTuple):
    """The worst of an event in one second."""

    time_s: int
    latency_ms: int


@dataclass
class Event:
    """An event's newest samples."""

    samples: deque[Sample] = field(default_factory=lambda: deque(maxlen=SAMPLES))
    worst_ms: int = 0


class LatencyMonitor:
    """The events of one node."""

    def __init__(self) -> None:
        self.events: dict[str, Event] = {}

    def add(self, name: str, now_ms: int, latency_ms: int) -> None:
        """Record that `name` took `latency_ms`; within one second only the worst is kept."""
        event = self.events.setdefault(name, Event())
        event.worst_ms = max(event.worst_ms, latency_ms)
        samples = event.samples
        time_s = now_ms // 1000
        if samples and samples[-1].time_s == time_s:
            samples[-1] = Sample(time_s, max(samples[-1].latency_ms, latency_ms))
        else:
            samples.append(Sample(time_s, latency_ms))

    def reset(self, names: list[str]) -> int:
        """Forget the named events, or all; how many there were."""
        found = [name for name in names if name in self.events] if names else list(self.events)
        for name in found:
            del self.events[name]
        return len(found)
