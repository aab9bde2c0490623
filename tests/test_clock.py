"""The machine's clocks, as the node is given them."""

from __future__ import annotations

import sys
import time

import pytest

from redraft.clock import SystemClock


@pytest.mark.skipif(sys.platform != "linux", reason="CLOCK_BOOTTIME is Linux's")
def test_the_monotonic_clock_counts_the_time_that_the_machine_sleeps() -> None:
    clock = SystemClock()
    before = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    measured = clock.monotonic_ns()
    assert before <= measured <= time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def test_wall_time_is_since_the_epoch() -> None:
    clock = SystemClock()
    before = time.time()
    assert before - 0.01 <= clock.now_ms() / 1e3 <= time.time()
    assert before - 0.01 <= clock.now_us() / 1e6 <= time.time()
