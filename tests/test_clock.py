"""The machine's clocks, as the node is given them."""

from __future__ import annotations

import sys
import time

import pytest

from redraft.clock import SystemClock


@pytest.mark.skipif(sys.platform != "linux", reason="CLOCK_BOOTTIME is Linux's")
def test_the_monotonic_clock_counts_the_time_that_the_machine_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that never slept has the same time on both clocks, so it is looked at which one is read."""
    slept = {time.CLOCK_BOOTTIME: 3_600_000_000_000}
    monkeypatch.setattr(time, "clock_gettime_ns", lambda clock: slept.get(clock, 0))
    monkeypatch.setattr(time, "monotonic_ns", lambda: 0)
    assert SystemClock().monotonic_ns() == 3_600_000_000_000


def test_wall_time_is_since_the_epoch() -> None:
    clock = SystemClock()
    before = time.time()
    assert before - 0.01 <= clock.now_ms() / 1e3 <= time.time()
    assert before - 0.01 <= clock.now_us() / 1e6 <= time.time()
