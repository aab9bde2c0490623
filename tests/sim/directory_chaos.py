"""Directories that are lost for good: the disk is damaged, the node never comes back, and people have it removed, and
start a new one. It is one node at a time, and one without which a majority still has everything.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from redraft.ids import NodeId
from sim.asking import Asking
from sim.disk import GROUPS
from sim.events import SECOND

if TYPE_CHECKING:
    from sim.cluster import Cluster
    from sim.machine import Machine

ASK_AGAIN_NS = 3 * SECOND
MOST_NODES = 5


class DirectoryChaos:
    """The part of chaos that is about directories."""

    _cluster: Cluster
    _random: Random
    stopped: bool

    def _some(self) -> Machine | None:
        raise NotImplementedError

    def _tell(self, text: str) -> bool:
        raise NotImplementedError

    def _can_be_spared(self, machine: Machine) -> bool:
        """Whether all other members are there, and a majority of each group has all without this one."""
        cluster = self._cluster
        others = [cluster.machine_of(node) for node in cluster.members() if node != machine.id]
        if len(others) < 2 or not all(map(self._is_whole, (machine, *others))):
            return False
        for group in GROUPS:
            facts = cluster.invariants.groups[group]
            if not facts.committed:
                return False
            for voters in (facts.conf.voters, facts.conf.outgoing):
                machines = [cluster.machine_of(node) for node in voters if node != machine.id]
                having = [
                    each for each in machines
                    if each is not None and self._is_whole(each)
                    and each.disk.has_durable(group, facts.committed[-1])
                ]  # fmt: skip
                if voters and len(having) <= len(voters) // 2:
                    return False
        return True

    @staticmethod
    def _is_whole(machine: Machine | None) -> bool:
        """Whether a machine runs with all that it ever had."""
        if machine is None or not machine.running:
            return False
        founds = machine.disk.identity is None or machine.disk.identity.founding
        return not (founds or machine.outcast or machine.forgets() or machine.lost)

    def _do_damage(self) -> bool:
        machine = self._some()
        if machine is None or not self._can_be_spared(machine):
            return False
        node = machine.id
        machine.kill(power=self._random.random() < 0.5)
        machine.outcast = True
        self._tell(f"the directory of m{machine.number} is damaged: it does not come back")
        self._have_removed(node)
        if len(self._cluster.members()) <= MOST_NODES:
            self._cluster.join()
        return True

    def _have_removed(self, node: NodeId) -> None:
        """Ask for it until it is done, also when the chaos is over."""

        def again(_: object) -> None:
            members = self._cluster.members()
            if node not in members:
                return
            asked = [each for each in self._cluster.up() if each.running and each.id in members and each.id != node]
            if asked:
                Asking(self._cluster, self._random.choice(asked), ("REDRAFT", "REMOVE", node))
            self._cluster.events.after(ASK_AGAIN_NS, again)

        again(None)
