"""Rounds: what the answers of a majority tell a leader of the time at which it still led (thesis 6.4, 6.4.1).

Every message of a leader carries the number of its newest round, and every answer the number that it answers. Once a
majority has answered a round, the leadership was good when that round began: nobody else can have been elected before.

* A read waits for a round that begins after it.
* Whoever answered votes for nobody else for `lease_ms` from then on, so a lease lasts that long from the beginning of
  the newest round that a majority has answered.

Invariants (`check`): numbers rise in both queues; what waits in them is not answered yet.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from redraft.ids import Index
from redraft.raft.ready import ReadState


class Rounds:
    """The rounds of one leadership."""

    __slots__ = ("_answered", "_lease_ms", "_reads", "_unanswered", "lease_until_ms", "newest")

    def __init__(self, lease_ms: int) -> None:
        self._lease_ms = lease_ms
        self.newest = 0
        """The number of the round that began last; 0 before the first."""
        self._answered = 0
        """The newest round that a majority has answered."""
        self._unanswered: deque[tuple[int, int]] = deque()
        """The others: number, and when it began, ms; -1 for one that gives no lease."""
        self._reads: deque[tuple[int, ReadState]] = deque()
        """Reads, and the round that each of them waits for."""
        self.lease_until_ms = -1
        """Until when nobody can be elected who was not told to campaign; -1 if that is not known of any time."""

    def begin(self, now_ms: int) -> None:
        """Begin a round; at -1 ms if the time is not known, and then it gives no lease."""
        self.newest += 1
        self._unanswered.append((self.newest, now_ms))

    def wait_for_next(self, contexts: Iterable[int], index: Index) -> None:
        """Have reads, which need what is applied up to `index`, wait for the round that is to begin next."""
        self._reads += [(self.newest + 1, ReadState(context, index)) for context in contexts]

    def answered(self, number: int) -> list[ReadState]:
        """A majority has answered the round `number`, and so all before it; the reads that need not wait any more."""
        self._answered = max(self._answered, number)
        while self._unanswered and self._unanswered[0][0] <= number:
            _, began_ms = self._unanswered.popleft()
            if began_ms >= 0 and self._lease_ms:
                self.lease_until_ms = max(self.lease_until_ms, began_ms + self._lease_ms)
        ready = []
        while self._reads and self._reads[0][0] <= number:
            ready.append(self._reads.popleft()[1])
        return ready

    def revoke_leases(self) -> None:
        """Who has answered the rounds so far may vote for somebody else from now on: none of them gives a lease. Reads
        go on waiting for them: who answered had voted for nobody else by then."""
        self.lease_until_ms = -1
        self._unanswered = deque((number, -1) for number, _ in self._unanswered)

    def check(self) -> None:
        """Assert the invariants."""
        numbers = [number for number, _ in self._unanswered]
        assert numbers == list(range(self._answered + 1, self.newest + 1))
        waited_for = [number for number, _ in self._reads]
        assert waited_for == sorted(waited_for)
        assert all(self._answered < number <= self.newest for number in waited_for)
