"""Rounds: what the answers of a majority tell a leader of the time at which it still led (thesis 6.4, 6.4.1).

Every message of a leader carries the number of its newest round, and every answer the number that it answers. Once a
majority has answered a round, the leadership was good when that round began: nobody else can have been elected before.

* A read waits for a round that begins after it.
* Whoever answered has promised to vote for nobody else for some time, which was told with the answer and counts from
  the beginning of the round. What a majority has promised is a lease: it lasts until the first of them is free.

Invariants (`check`): the numbers that reads wait for rise; what waits is not answered yet.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from redraft.ids import Index
from redraft.raft.ready import ReadState

MOST_ROUNDS = 256
"""An answer to a round that is older than this many gives no lease."""


class Rounds:
    """The rounds of one leadership."""

    __slots__ = ("_answered", "_began_ms", "_reads", "lease_until_ms", "newest")

    def __init__(self) -> None:
        self.newest = 0
        """The number of the round that began last; 0 before the first."""
        self._answered = 0
        """The newest round that a majority has answered."""
        self._began_ms: deque[int] = deque(maxlen=MOST_ROUNDS)
        """When the newest ones began; -1 for one that gives no lease."""
        self._reads: deque[tuple[int, ReadState]] = deque()
        """Reads, and the round that each of them waits for."""
        self.lease_until_ms = -1
        """Until when nobody can be elected who was not told to campaign; -1 if that is not known of any time."""

    def begin(self, now_ms: int) -> None:
        """Begin a round; at -1 ms if the time is not known, and then it gives no lease."""
        self.newest += 1
        self._began_ms.append(now_ms)

    def began_ms(self, number: int) -> int:
        """When a round began; -1 if it gives no lease."""
        age = self.newest - number
        return self._began_ms[-1 - age] if 0 <= age < len(self._began_ms) else -1

    def wait_for_next(self, contexts: Iterable[int], index: Index) -> None:
        """Have reads, which need what is applied up to `index`, wait for the round that is to begin next."""
        self._reads += [(self.newest + 1, ReadState(context, index)) for context in contexts]

    def answered(self, number: int) -> list[ReadState]:
        """A majority has answered the round `number`, and so all before it; the reads that need not wait any more."""
        self._answered = max(self._answered, number)
        ready = []
        while self._reads and self._reads[0][0] <= number:
            ready.append(self._reads.popleft()[1])
        return ready

    def hold_until(self, until_ms: int) -> None:
        """A majority votes for nobody else until then."""
        self.lease_until_ms = max(self.lease_until_ms, until_ms)

    def revoke_leases(self) -> None:
        """The rounds so far give no lease any more: who has answered them may vote for somebody else from now on. Reads
        go on waiting for them: who answered had voted for nobody else by then."""
        self.lease_until_ms = -1
        self._began_ms = deque([-1] * len(self._began_ms), MOST_ROUNDS)

    def check(self) -> None:
        """Assert the invariants."""
        assert self._answered <= self.newest
        waited_for = [number for number, _ in self._reads]
        assert waited_for == sorted(waited_for)
        assert all(self._answered < number <= self.newest for number in waited_for)
