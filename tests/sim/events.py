"""The queue of events: what happens next, and when.

Time is virtual nanoseconds, the true time that no node knows. Of two events at one instant the one that was asked for
first comes first, so a run is a function of its seed. What happens is noted in a digest: two runs with the same digest
did the same.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

MS = 1_000_000
SECOND = 1_000_000_000


class Events:
    """What is still to happen."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.count = 0
        """Events that have happened."""
        self._heap: list[tuple[int, int, Callable[[Any], None], Any]] = []
        self._sequence = 0
        self._digest = blake2b(digest_size=16)
        self.note = self._digest.update
        """Notes bytes of what happens."""

    def at(self, when_ns: int, do: Callable[[Any], None], what: Any = None) -> None:
        """Have `do(what)` called at an instant, which is now at the earliest."""
        self._sequence += 1
        heapq.heappush(self._heap, (max(when_ns, self.now_ns), self._sequence, do, what))

    def after(self, delay_ns: int, do: Callable[[Any], None], what: Any = None) -> None:
        """Have `do(what)` called after a time."""
        self._sequence += 1
        heapq.heappush(self._heap, (self.now_ns + delay_ns, self._sequence, do, what))

    def next_ns(self) -> int | None:
        """When the next event is; None when there is none."""
        return self._heap[0][0] if self._heap else None

    def step(self) -> None:
        """Let the next event happen."""
        self.now_ns, sequence, do, what = heapq.heappop(self._heap)
        self.count += 1
        self.note(b"%d %d" % (self.now_ns, sequence))
        do(what)

    def digest(self) -> str:
        """A digest of all that has happened."""
        return self._digest.hexdigest()
