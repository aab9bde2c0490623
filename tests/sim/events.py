"""The queue of events: what happens next, and when.

Time is virtual nanoseconds, the true time that no node knows. Of two events at one instant the one that was asked for
first comes first, so a run is a function of its seed. What happens is noted in a digest: two runs with the same digest
did the same.
"""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

MS = 1_000_000
SECOND = 1_000_000_000

NOTES = 4096
"""Events whose notes are kept before the digest takes them in: one by one costs ten times as much."""


class Events:
    """What is still to happen."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.count = 0
        """Events that have happened."""
        self._heap: list[tuple[int, int, Callable[[Any], None], Any]] = []
        self._sequence = 0
        self._digest = blake2b(digest_size=16)
        self._times = array("Q")
        self._notes: list[bytes] = []
        self.note = self._notes.append
        """Notes bytes of what happens."""

    def at(self, when_ns: int, do: Callable[[Any], None], what: Any = None) -> None:
        """Have `do(what)` called at an instant, which is now at the earliest."""
        self._sequence = sequence = self._sequence + 1
        now_ns = self.now_ns
        heapq.heappush(self._heap, (when_ns if when_ns > now_ns else now_ns, sequence, do, what))

    def after(self, delay_ns: int, do: Callable[[Any], None], what: Any = None) -> None:
        """Have `do(what)` called after a time."""
        self._sequence = sequence = self._sequence + 1
        heapq.heappush(self._heap, (self.now_ns + delay_ns, sequence, do, what))

    def next_ns(self) -> int | None:
        """When the next event is; None when there is none."""
        return self._heap[0][0] if self._heap else None

    def step(self) -> None:
        """Let the next event happen."""
        self.now_ns, sequence, do, what = heapq.heappop(self._heap)
        self._count(sequence)
        do(what)

    def run(self, end_ns: int) -> None:
        """Let all events happen that come by `end_ns`, and be then."""
        heap, pop, times = self._heap, heapq.heappop, self._times
        while heap and heap[0][0] <= end_ns:
            self.now_ns, sequence, do, what = pop(heap)
            self.count += 1
            times.append(self.now_ns)
            times.append(sequence)
            if len(times) >= 2 * NOTES:
                self._take_in()
            do(what)
        self.now_ns = end_ns

    def _count(self, sequence: int) -> None:
        self.count += 1
        self._times.append(self.now_ns)
        self._times.append(sequence)
        if len(self._times) >= 2 * NOTES:
            self._take_in()

    def _take_in(self) -> None:
        update = self._digest.update
        update(self._times.tobytes())
        del self._times[:]
        update(b"".join(self._notes))
        self._notes.clear()

    def digest(self) -> str:
        """A digest of all that has happened."""
        self._take_in()
        return self._digest.hexdigest()
