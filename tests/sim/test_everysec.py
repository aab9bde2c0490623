"""`appendfsync everysec` and `no`: a power cut loses acknowledged writes, but nobody votes twice and no term has two
leaders."""

from __future__ import annotations

import pytest

from redraft.node.node import Persist
from sim.cluster import Cluster
from sim.events import MS, SECOND
from sim.invariants import InvariantError

CUTS = 8


def live_through_power_cuts(seed: int, appendfsync: str) -> Cluster:
    """Three nodes whose power fails again and again, of one or of all at once, mostly while they elect somebody."""
    cluster = Cluster(3, seed, settings={"appendfsync": appendfsync})
    cluster.invariants.acknowledged_is_durable = False
    random = cluster.random("power cuts")
    cluster.start()
    for _ in range(CUTS):
        cluster.run(random.randint(200 * MS, 3 * SECOND))
        for machine in random.sample(list(cluster.machines.values()), random.choice((1, 2, 3))):
            machine.kill(power=True)
        cluster.run(random.randint(0, 300 * MS))
        for machine in cluster.machines.values():
            if not machine.up and not machine.starting:
                machine.start()
    cluster.run(5 * SECOND)
    return cluster


@pytest.mark.parametrize("appendfsync", ["everysec", "no"])
@pytest.mark.parametrize("seed", range(2))
def test_a_term_and_a_vote_survive_every_power_cut(seed: int, appendfsync: str) -> None:
    cluster = live_through_power_cuts(seed, appendfsync)
    assert all(len(facts.leaders) >= CUTS // 4 for facts in cluster.invariants.groups.values())


def test_it_is_seen_when_they_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Persist, "needs_fsync", lambda persist, appendfsync: appendfsync == "always")
    with pytest.raises(InvariantError, match="tells of its vote"):
        live_through_power_cuts(0, "everysec")
