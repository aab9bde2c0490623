"""Deadlines of the node: blocked sessions, pauses, sleeps. Time is handed in.

A heap of (deadline, sequence, timer). A timer that is called off is only marked, since it may stand anywhere in the
heap; it is dropped when its time comes, or when another one is called off and more than half of the heap is marked (as
asyncio does it). What was called off holds nothing but itself.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

FEW = 64
"""A heap up to this size is left as it is."""


class Timer:
    """One deadline; `cancel` makes it never fire."""

    __slots__ = ("_timers", "callback")

    def __init__(self, callback: Callable[[], None] | None, timers: Timers | None = None) -> None:
        self.callback = callback
        self._timers = timers

    def cancel(self) -> None:
        """Do not fire."""
        if self.callback is not None:
            self.callback = None
            if self._timers is not None:
                self._timers.cancelled()


class Timers:
    """All deadlines of a node, in monotonic nanoseconds."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Timer]] = []
        self._sequence = 0
        self._cancelled = 0
        """How many of them were called off."""

    def __len__(self) -> int:
        return len(self._heap) - self._cancelled

    def at(self, deadline_ns: int, callback: Callable[[], None]) -> Timer:
        """Have `callback` called at or after `deadline_ns`."""
        timer = Timer(callback, self)
        self._sequence += 1
        heapq.heappush(self._heap, (deadline_ns, self._sequence, timer))
        return timer

    def cancelled(self) -> None:
        """A timer of these was called off."""
        self._cancelled += 1
        if self._cancelled * 2 > len(self._heap) > FEW:
            self._heap = [each for each in self._heap if each[2].callback is not None]
            heapq.heapify(self._heap)
            self._cancelled = 0

    def next_ns(self) -> int | None:
        """The next deadline, or None."""
        heap = self._heap
        while heap and heap[0][2].callback is None:
            heapq.heappop(heap)
            self._cancelled -= 1
        return heap[0][0] if heap else None

    def fire(self, now_ns: int) -> None:
        """Call everything that is due, earliest first."""
        while (deadline := self.next_ns()) is not None and deadline <= now_ns:
            timer = heapq.heappop(self._heap)[2]
            callback, timer.callback = timer.callback, None
            assert callback is not None
            callback()

    def check(self) -> None:
        """Assert the invariant."""
        assert self._cancelled == sum(timer.callback is None for _, _, timer in self._heap)
