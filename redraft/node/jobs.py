"""Slow things, for which a node asks its server: run in any thread, and ended on the node's own."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple


class Job(NamedTuple):
    """Something slow: `run` in any thread, then `done` on the node's."""

    run: Callable[[], None]
    done: Callable[[], None]


class Jobs:
    """The jobs of one node."""

    def __init__(self) -> None:
        self._waiting: deque[Job] = deque()
        """Those that the server has not taken yet."""

    def add(self, run: Callable[[], None], done: Callable[[], None]) -> None:
        """Have the server run something slow in a thread, and `done` here afterwards."""
        self._waiting.append(Job(run, done))

    def take(self) -> Job | None:
        """The next job: to be run, and then to be ended, before the node's files are closed."""
        return self._waiting.popleft() if self._waiting else None

    def finish(self) -> None:
        """Run the jobs that nobody has taken yet, here and now (SHUTDOWN)."""
        while self._waiting:
            job = self._waiting.popleft()
            job.run()
            job.done()
