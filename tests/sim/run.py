"""One run: a cluster, its clients and its chaos, from a seed; and what came of it."""

from __future__ import annotations

import gc
import logging
import time
import traceback
from random import Random
from typing import Any, NamedTuple

from redraft.ids import FIRST_SHARD_GROUP
from sim.chaos import Chaos
from sim.clients import Clients
from sim.cluster import Cluster
from sim.events import MS, SECOND
from sim.expiry import Expiry
from sim.streams import Stream
from sim.trace import Trace

SETTLE_NS = 90 * SECOND


class Outcome(NamedTuple):
    """What came of a run."""

    seed: int
    violation: str
    """Empty: none."""
    digest: str
    """Of all that happened."""
    virtual_seconds: float
    cpu_seconds: float
    events: int
    operations: int
    unknown: int
    entries: int
    terms: int
    nodes: int
    faults: dict[str, int]
    errors: dict[str, int]
    undecided: int
    """Keys whose history took too long to be searched."""

    def line(self) -> str:
        """The run in a line."""
        verdict = "ok" if not self.violation else "VIOLATION " + self.violation.splitlines()[0]
        faults = sum(self.faults.values())
        return (
            f"seed {self.seed}: {verdict}; {self.digest[:16]} {self.virtual_seconds:.0f} s in {self.cpu_seconds:.1f} s"
            f" CPU, {self.events} events, {self.operations} operations ({self.unknown} unknown), {self.entries}"
            f" entries, {self.terms} terms, {self.nodes} nodes, {faults} faults"
        )


class Run:
    """A cluster under load and chaos, as a seed draws it."""

    def __init__(
        self, seed: int, *, trace: Trace | None = None, beyond_drift: bool = False, thorough: bool = False
    ) -> None:
        random = Random(f"{seed}/run")
        self.seed = seed
        self.beyond_drift = beyond_drift
        size = random.choice((1, 3, 3, 3, 3, 3, 5))
        heartbeat, election = random.choice(((100, 1000), (150, 1000), (50, 500)))
        settings: dict[str, Any] = {
            "heartbeat_interval": heartbeat,
            "election_timeout": election,
            "max_clock_drift": election // 10,
            "flush_dirty_keys": random.choice((5, 12, 40)),
            "flush_log_bytes": random.choice((500, 2000, 20000)),
            "log_retain_entries": random.choice((0, 3, 10, 100)),
        }
        raft_options: dict[str, Any] = {"pre_vote": random.random() < 0.8}
        if random.random() < 0.3:
            raft_options |= {"max_append_bytes": 200, "max_inflight_appends": 2, "max_committed_bytes_per_ready": 100}
        self.cluster = Cluster(
            size, seed, trace=trace, settings=settings, raft_options=raft_options, thorough=thorough,
            rare_flushes=random.choice((0.0, 0.0, 0.5)),
        )  # fmt: skip
        self.cluster.invariants.leases_hold = not beyond_drift
        pause_ns = random.choice((100, 400, 800)) * MS
        self.clients = Clients(self.cluster, random.choice((3, 5, 8)), pause_ns)
        self.streams = [Stream(self.clients, number + 1) for number in range(random.choice((0, 1, 1, 2)))]
        self.clients.others += self.streams
        self.chaos = Chaos(self.cluster, self.clients, self.cluster.random("chaos"), beyond_drift=beyond_drift)
        self.clients.names_deadlines = self.chaos.checks_time and not self.chaos.all_clocks_may_be_wrong
        self.expiry = Expiry(self.cluster)

    def go(self, virtual_ns: int) -> None:
        """Run for so long, and then until all is quiet. Raises AssertionError for a violation."""
        cluster, clients, chaos = self.cluster, self.clients, self.chaos
        cluster.start()
        clients.start()
        for stream in self.streams:
            stream.start()
        chaos.start()
        cluster.run(virtual_ns)
        chaos.stop()
        cluster.calm()
        cluster.run(10 * SECOND)
        # Who was asked to stop has stopped by now.
        cluster.calm()
        answers = clients.answers
        cluster.run_until(lambda: clients.answers > answers, SETTLE_NS, "no client is answered any more")
        clients.stop()
        cluster.run_until(clients.idle, SETTLE_NS, "a client is never answered")
        cluster.settle(SETTLE_NS)
        if chaos.checks_time and chaos.wrong_clocks:
            cluster.run_until(chaos.leads_by_a_right_clock, SETTLE_NS, "a node whose wall clock is wrong leads")
        cluster.run_until(cluster.invariants.nobody_waits, SETTLE_NS, "a wait outlives its client")
        violations = clients.violations(reads_count=not self.beyond_drift)
        if not violations and chaos.checks_time:
            faults = self.expiry.violations(clients.history)
            if self.clients.names_deadlines and (fault := self.expiry.clock_fault()):
                faults.append(fault)
            if faults:
                raise AssertionError("a key did not live as long as it was to\n" + "\n".join(faults))
        if violations:
            raise AssertionError("a history cannot be explained\n" + "\n".join(each.show() for each in violations))


def run(
    seed: int,
    virtual_seconds: float,
    *,
    trace: Trace | None = None,
    beyond_drift: bool = False,
    thorough: bool = False,
) -> Outcome:
    """A run of a seed."""
    logging.getLogger("redraft").setLevel(logging.CRITICAL)
    # What runs make is freed by counting references, nearly all of it.
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 20, 100)
    began = time.process_time()
    one = Run(seed, trace=trace, beyond_drift=beyond_drift, thorough=thorough)
    violation = ""
    try:
        one.go(int(virtual_seconds * SECOND))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what the run has found
        violation = f"{type(error).__name__}: {error}\n{one.cluster.describe()}\n{traceback.format_exc()}"
        if trace is not None:
            trace.tell(None, violation.splitlines()[0])
    cluster = one.cluster
    facts = cluster.invariants.groups[FIRST_SHARD_GROUP]
    history = one.clients.history
    return Outcome(
        seed, violation, cluster.events.digest(), cluster.events.now_ns / SECOND, time.process_time() - began,
        cluster.events.count, len(history), sum(each.return_ns == 1 << 62 for each in history), len(facts.committed),
        max(facts.leaders, default=0), len(cluster.machines), one.chaos.injected, dict(one.clients.errors),
        one.clients.undecided,
    )  # fmt: skip
