"""Time, handed in: what lies below the server never reads a clock of its own.

A `Clock` gives wall time, which is shown to people, and is one voice in what the time of the state follows
(`node.clocks`); and monotonic time, by which everything is measured that lasts. The simulator hands in a virtual clock;
`server.app` hands in `SystemClock`.
"""

from __future__ import annotations

import time
from typing import Protocol

_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Linux's goes on while the machine sleeps, as CLOCK_MONOTONIC does not: a lease is over when a laptop wakes up."""


class Clock(Protocol):
    """Wall and monotonic time."""

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch. It may jump: nothing that must be ordered relies on it."""

    def now_us(self) -> int:
        """Microseconds since the Unix epoch (TIME)."""

    def monotonic_ns(self) -> int:
        """Nanoseconds since some fixed instant; it never goes back."""


class SystemClock:
    """The machine's clocks."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def now_us(self) -> int:
        return time.time_ns() // 1000

    def monotonic_ns(self) -> int:
        return time.clock_gettime_ns(_STEADY)
