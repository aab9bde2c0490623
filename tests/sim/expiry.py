"""Whether keys lived as long as they were to, in true time, whatever the machines' wall clocks said.

A key that was set with a time to live, and that nobody else has touched, is there until a second before its deadline,
and gone a second after it: for a time to live that counts from when the key was set, and for a deadline as a point in
time, where most machines' clocks are right. What may make it later is known: a word of the leader's that took long is
all that its successor may know, so what a way between two machines took, for a while before, is allowed for. A key
whose life has a *leap* in it (`redraft.node.clocks`) says nothing; nor does a point in time after a leap that was made
while the clocks that were known did not agree. If there was none of those, the time of the state must be right in the
end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from linearizability.history import UNKNOWN, Operation

from sim.clocks import START_MS
from sim.events import MS, SECOND

if TYPE_CHECKING:
    from sim.cluster import Cluster

SAMPLE_NS = 200 * MS
REMEMBERED_NS = 20 * SECOND
"""How long a slow way may have an effect: a node that was started behind it, and leads now."""
WRITES = ("setpx", "xdel")


class Expiry:
    """The checker of one run."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._slow: list[tuple[int, int]] = []
        """When, and how long some way took then beyond what it should."""
        self._look(None)

    def _look(self, _: object) -> None:
        network, events = self._cluster.network, self._cluster.events
        slow_ns = max(network.slow.values(), default=0)
        if slow_ns:
            self._slow.append((events.now_ns, slow_ns))
        events.after(SAMPLE_NS, self._look)

    def _allowed_ns(self, since_ns: int, until_ns: int) -> int:
        slow = [slow_ns for at_ns, slow_ns in self._slow if since_ns - REMEMBERED_NS <= at_ns <= until_ns]
        # A node alone looks at its clock once a tick, and its ticks may be stopped in their middle.
        alone_ns = 5 * SECOND if len(self._cluster.machines) == 1 else 0
        return SECOND + max(slow, default=0) + alone_ns

    def clock_fault(self) -> str:
        """What is wrong with the state's time, where most machines' clocks were right all along; empty: nothing."""
        leader, events = self._cluster.leader(), self._cluster.events
        if leader is None or not all(leap.agreed for leap in self._cluster.leaps):
            return ""
        off_ms = leader.node.clocks.now_ms() - START_MS - events.now_ns // MS
        allowed_ms = 1000 + self._allowed_ns(0, events.now_ns) // MS
        return f"the state's time is {off_ms} ms off" if abs(off_ms) > allowed_ms else ""

    def violations(self, history: list[Operation]) -> list[str]:
        """What was seen too long or too short."""
        by_key: dict[str, list[Operation]] = {}
        for operation in history:
            if operation.key.startswith("expiring:"):
                by_key.setdefault(operation.key, []).append(operation)
        return [
            f"{key}: {fault}\n  {written}\n  {seen}"
            for key, operations in sorted(by_key.items())
            for written in operations
            if len(written.action) > 2 and written.result is True
            for seen in operations
            if seen.action == ("xget",)
            and seen.result is not UNKNOWN
            and (fault := self._fault(written, seen, operations))
        ]

    def _fault(self, written: Operation, seen: Operation, operations: list[Operation]) -> str:
        """What is wrong with what a read has seen of a key; empty: nothing."""
        _, value, left_ms, *deadline_ns = written.action
        first_ns = deadline_ns[0] if deadline_ns else written.call_ns + left_ms * MS
        last_ns = deadline_ns[0] if deadline_ns else written.return_ns + left_ms * MS
        for leap in self._cluster.leaps:
            if written.call_ns <= leap.at_ns <= seen.return_ns:
                return ""
            if deadline_ns and leap.at_ns <= seen.return_ns and not leap.agreed:
                return ""
        if seen.result == value:
            late_ns = seen.call_ns - last_ns
            if late_ns > 0 and late_ns > self._allowed_ns(written.call_ns, seen.return_ns):
                return f"is there {late_ns // MS} ms after its time"
        elif seen.result is None and seen.call_ns >= written.return_ns:
            early_ns = first_ns - seen.return_ns
            touched = any(
                each.action[0] in WRITES and each.call_ns < seen.return_ns and each.return_ns > written.call_ns
                for each in operations
                if each is not written
            )
            if early_ns > SECOND and not touched:
                return f"is gone {early_ns // MS} ms before its time"
        return ""
