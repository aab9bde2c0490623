"""Disks that go back in time: what `chaos` injects of machines that forget what they promised.

A copy is taken of a running machine's disk, and a while later the machine loses its power and gets the copy back: a
restored virtual machine or backup, or a disk that had lost writes. That is one machine at a time, so the forgetful
are a minority; the next goes back when the last has caught up. And it is done only when all other voters are up and
remember more of the machine than its copy has, which they keep: what nobody remembers cannot be recognised
(`node.memory`), and no invariant would hold.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

import msgspec

from redraft.ids import GroupId
from redraft.node.memory import Lives
from redraft.node.standing import Start, has_forgotten
from redraft.raft.messages import Position
from sim.disk import GROUPS
from sim.events import SECOND

if TYPE_CHECKING:
    from sim.cluster import Cluster
    from sim.machine import Machine


class ForgettingChaos:
    """A part of `Chaos`."""

    _cluster: Cluster
    _random: Random
    injected: dict[str, int]

    def _some(self) -> Machine | None:
        raise NotImplementedError

    def _tell(self, text: str) -> bool:
        raise NotImplementedError

    def _restart_later(self, machine: Machine, longest_ns: int) -> None:
        raise NotImplementedError

    def _cut_all(self, pairs: list[tuple[int, int]], longest_ns: int) -> None:
        raise NotImplementedError

    def _do_put_back(self) -> bool:
        machine = self._some()
        if machine is None or len(self._cluster.members()) < 2:
            return False
        self._prepare(machine, self._random.randint(1, 4), lambda: None)
        return True

    def _do_betray(self) -> bool:
        """A follower lacks what its leader and another one have; that one forgets it, and is asked for its vote by the
        first while the leader is away."""
        cluster = self._cluster
        leader, machine = cluster.leader(), self._some()
        others = [each for each in cluster.up() if each not in (leader, machine)]
        if leader is None or machine is None or machine is leader or not others:
            return False
        behind = self._random.choice(others)
        self._cut_all([(leader.number, behind.number), (behind.number, leader.number)], 3 * SECOND)

        def leader_goes() -> None:
            leader.kill()
            self._restart_later(leader, 8 * SECOND)

        self._prepare(machine, 4, leader_goes)
        return True

    def _prepare(self, machine: Machine, tries: int, then: Callable[[], None]) -> None:
        """Take a copy of a machine's disk, and put it back when that may be done; `then` do something else."""
        disk = machine.disk
        put_back = disk.copy()
        lives = _lives(machine)
        ends = {int(group): _end(machine, group) for group in GROUPS}
        starts = [*lives.starts, Start("the next", ends, {}, lives.number + 1)]

        def try_it(left: int) -> None:
            if self._is_known(machine, starts):
                self._tell(f"put the disk of m{machine.number} back")
                self.injected["is_put_back"] = self.injected.get("is_put_back", 0) + 1
                machine.put_back(put_back)
                self._restart_later(machine, self._random.choice((SECOND // 10, 3 * SECOND)))
                then()
            elif left:
                self._later(lambda: try_it(left - 1))

        self._later(lambda: try_it(tries))

    def _later(self, do: Callable[[], None]) -> None:
        delay_ns = int(self._random.random() * self._random.choice((SECOND, 5 * SECOND)))
        self._cluster.events.after(delay_ns, lambda _: do())

    def _is_known(self, machine: Machine, starts: list[Start]) -> bool:
        """Whether a copy would be recognised by every other voter, and nobody else is forgetful."""
        cluster = self._cluster
        if not machine.running or any(each.forgets() or each.lost for each in cluster.machines.values()):
            return False
        # Who lacks one of its starts may have promised anything in that life, for all that the others know.
        lacks_start = _lives(machine).number >= starts[-1].number
        for group, raft in machine.rafts():
            if not lacks_start and _end(machine, group) == starts[-1].ends[int(group)]:
                continue  # it would forget nothing here
            if raft.is_alone:
                return False  # nobody else's vote is needed, so nobody would be asked
            for node in {*raft.conf.voters, *raft.conf.outgoing, *cluster.members()} - {raft.id}:
                other = cluster.machine_of(node)
                if other is None or not other.running:
                    return False
                memory = other.node.memory
                known = memory.known(machine.id, group)
                if not has_forgotten(starts, int(group), known):
                    return False
                other.disk.promises = memory.take_unsaved() or other.disk.promises
        return True


def _lives(machine: Machine) -> Lives:
    return msgspec.json.decode(machine.disk.lives or b"{}", type=Lives)


def _end(machine: Machine, group: GroupId) -> Position:
    log = machine.disk.durable[group]
    return Position(log.hard_state.term, log.last_index())
