"""Deadlines of the node: blocked sessions, pauses, sleeps. Time is handed in.

A heap of (deadline, sequence, callback); cancelling marks the entry, and it is dropped when its time comes.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable


class Timer:
    """One deadline; `cancel` makes it never fire."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Do not fire."""
        self.callback = None


class Timers:
    """All deadlines of a node, in monotonic nanoseconds."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Timer]] = []
        self._sequence = 0

    def at(self, deadline_ns: int, callback: Callable[[], None]) -> Timer:
        """Have `callback` called at or after `deadline_ns`."""
        timer = Timer(callback)
        self._sequence += 1
        heapq.heappush(self._heap, (deadline_ns, self._sequence, timer))
        return timer

    def next_ns(self) -> int | None:
        """The next deadline, or None."""
        heap = self._heap
        while heap and heap[0][2].callback is None:
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def fire(self, now_ns: int) -> None:
        """Call everything that is due, earliest first."""
        while (deadline := self.next_ns()) is not None and deadline <= now_ns:
            callback = heapq.heappop(self._heap)[2].callback
            assert callback is not None
            callback()
