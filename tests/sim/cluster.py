"""A whole simulated cluster: its machines, the network between them, its clients, what disturbs it, what must hold."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from redraft.ids import FIRST_SHARD_GROUP, GroupId, NodeId
from redraft.node import flusher
from redraft.raft.messages import AnyMessage
from sim.any_commands import DATABASES
from sim.dials import address_of
from sim.disk import Identity
from sim.events import SECOND, Events
from sim.invariants import InvariantError, Invariants
from sim.joining import PASSING, JoinDial
from sim.machine import Machine
from sim.state import summary
from sim.trace import Trace
from sim.watched import Leap
from sim.wires import Network

SETTINGS: dict[str, Any] = {
    "heartbeat_interval": 100,
    "election_timeout": 1000,
    "max_clock_drift": 100,
    "flush_dirty_keys": 12,
    "flush_log_bytes": 2000,
    "log_retain_entries": 10,
    "databases": DATABASES,
}
"""Small logs and images, so that flushes and snapshots are frequent."""
RARE_FLUSHES: dict[str, Any] = {"flush_dirty_keys": 1 << 30, "flush_log_bytes": 1 << 30}


class Cluster:
    """Machines 1 to `size`, whose nodes have the same numbers, form a new cluster."""

    def __init__(
        self,
        size: int = 3,
        seed: int = 0,
        *,
        trace: Trace | None = None,
        settings: dict[str, Any] | None = None,
        raft_options: dict[str, Any] | None = None,
        thorough: bool = False,
        rare_flushes: float = 0.0,
    ) -> None:
        # A flush shall take many ticks, with writes between them.
        flusher.SLICE_UNITS, flusher.SLICE_NS = 8, 0
        self.seed = seed
        self.events = Events()
        self.network = Network(self.events, self.random("network"))
        self.settings = {**SETTINGS, **(settings or {})}
        self.rare_flushes = rare_flushes
        """How likely a machine flushes only when it is asked: its log goes back to the beginning."""
        self.raft_options: dict[str, Any] = raft_options or {}
        self.invariants = Invariants(self, thorough=thorough)
        self.trace = trace
        self.on_frame: Callable[[NodeId, NodeId, bytes], None] | None = None
        """Sees each frame as it leaves: its sender, its receiver, its bytes."""
        self.on_leader: Callable[[Machine], None] | None = None
        """Hears of each machine whose node begins to lead the shard; its first messages are on their way."""
        self.on_vote: Callable[[Machine, NodeId], None] | None = None
        """Hears of each vote in the shard's group, from whom and for whom, as it leaves."""
        self.leaps: list[Leap] = []
        self.machines: dict[int, Machine] = {}
        voters = tuple(NodeId(number) for number in range(1, size + 1))
        addresses = {node: address_of(node) for node in voters}
        for node in voters:
            machine = self._machine()
            machine.disk.identity = Identity(node, "simulated", f"first-{node}", voters, addresses, founding=size > 1)

    def random(self, purpose: str) -> Random:
        """A source of chance of its own for a purpose."""
        return Random(f"{self.seed}/{purpose}")

    def _machine(self) -> Machine:
        number = len(self.machines) + 1
        machine = Machine(self, number, address_of(number), self.random(f"machine {number}"))
        if self.random(f"flushes of {number}").random() < self.rare_flushes:
            machine.settings |= RARE_FLUSHES
        self.machines[number] = machine
        return machine

    def start(self) -> None:
        """Start all machines."""
        for machine in self.machines.values():
            machine.start()

    # Looking.

    def machine_of(self, node: NodeId) -> Machine | None:
        """The machine that a node is on."""
        for machine in self.machines.values():
            if machine.disk.identity is not None and machine.disk.identity.node == node:
                return machine
        return None

    def up(self) -> list[Machine]:
        """The machines with a process."""
        return [machine for machine in self.machines.values() if machine.up]

    def members(self) -> list[NodeId]:
        """The nodes of the newest config table that anybody has."""
        tables = [machine.node.config.table for machine in self.up()]
        newest = max(tables, key=lambda table: table.version, default=None)
        if newest is None or not newest.version:
            return [machine.disk.identity.node for machine in self.machines.values() if machine.disk.identity]
        return sorted(newest.nodes)

    def leader(self, group: GroupId = FIRST_SHARD_GROUP) -> Machine | None:
        """The machine whose node leads in the highest term."""
        leading = self.invariants.groups[group].leading.values()
        return max(leading, key=lambda machine: dict(machine.rafts())[group].term, default=None)

    # What machines tell.

    def opened(self, machine: Machine) -> None:
        """A process has read its disk."""
        self.invariants.opened(machine)

    def closed(self, machine: Machine) -> None:
        """A process is gone."""
        self.invariants.closed(machine)
        self.tell(machine, machine.why_down)
        self.events.after(0, self._crashed)

    def _crashed(self, _: object) -> None:
        self.invariants.crashed()

    def before(self, machine: Machine) -> None:
        """Something is about to happen at a node."""
        if self.trace is not None:
            self.trace.before(machine)

    def changed(self, machine: Machine) -> None:
        """Something has happened at a node."""
        if machine.up:
            self.invariants.after(machine)
        if self.trace is not None:
            self.trace.after(machine)

    def watch_message(self, machine: Machine, group: GroupId, message: AnyMessage) -> None:
        """One of Raft's messages leaves."""
        self.invariants.message(machine, group, message)
        if self.trace is not None:
            self.trace.message(machine, group, message)

    def tell(self, machine: Machine | None, text: str) -> None:
        """Something that people want to know."""
        self.events.note(text.encode())
        if self.trace is not None:
            self.trace.tell(machine, text)

    # Time.

    def step(self) -> None:
        """One event."""
        self.events.step()

    def run(self, virtual_ns: int) -> None:
        """Let so much time pass."""
        self.events.run(self.events.now_ns + virtual_ns)

    def run_until(self, done: Callable[[], bool], within_ns: int, what: str) -> None:
        """Let time pass until something holds. Raises InvariantError when it does not in time."""
        end_ns = self.events.now_ns + within_ns
        while not done():
            next_ns = self.events.next_ns()
            if next_ns is None or next_ns > end_ns:
                raise InvariantError(f"after {within_ns / SECOND:.1f} s: {what}")
            self.events.step()

    # Faults that are more than one machine's.

    def cut(self, first: int, second: int, *, one_way: bool = False) -> None:
        """Nothing gets from one machine to another, or in either direction."""
        self.network.block(first, second)
        if not one_way:
            self.network.block(second, first)

    def heal(self, first: int, second: int, *, one_way: bool = False) -> None:
        """End a cut."""
        self.network.open(first, second)
        if not one_way:
            self.network.open(second, first)

    def join(self, done: Callable[[Machine], None] | None = None) -> Machine:
        """A new machine asks the cluster to take it in, until it does; then it starts."""
        machine = self._machine()
        random = self.random(f"join {machine.number}")
        incarnation = f"joined-{machine.number}-{random.getrandbits(32)}"

        def attempt(_: object) -> None:
            up = [each.number for each in self.up()]
            if not up:
                self.events.after(SECOND, attempt)
                return
            # People add a node of the newest version that they run.
            machine.level = max(each.level for each in self.machines.values())
            JoinDial(machine, random.choice(up), incarnation, answered)

        def answered(result: Identity | str) -> None:
            if isinstance(result, str):
                self.tell(machine, f"is not taken in: {result}")
                if "it" in result or any(word in result for word in PASSING):
                    self.events.after(SECOND // 2, attempt)
                return
            machine.disk.identity = result
            self.tell(machine, f"is taken in as node {result.node}")
            machine.start()
            if done is not None:
                done(machine)

        self.events.after(0, attempt)
        return machine

    # The end.

    def calm(self) -> None:
        """Take back every fault, and start whoever is down."""
        network = self.network
        network.slow.clear()
        network.delays.slow_part = 0.0
        for sender, to in list(network.blocked):
            network.blocked[sender, to] = 1
            network.open(sender, to)
        for machine in self.machines.values():
            machine.disk.fails = False
            machine.clock.stand(still=False)
            machine.resume()
            if not machine.up and machine.disk.identity is not None and not machine.outcast:
                machine.start()

    def settle(self, within_ns: int = 60 * SECOND) -> None:
        """With no fault left: wait until the nodes are of one mind, and compare their bytes."""

        def agree() -> bool:
            members = [self.machine_of(node) for node in self.members()]
            if any(machine is None or not machine.running for machine in members):
                return False
            there = [machine for machine in members if machine is not None]
            applied = {machine.node.shard.applied.index for machine in there}
            versions = {machine.node.config.table.version for machine in there}
            serving = [machine for machine in there if machine.node.serves]
            leaving = any(machine.node.config.table.leaving() for machine in there)
            # Who has left the group is of no account.
            forgetful = any(
                raft.forgetful or any(each in raft.distrusted for each in raft.conf.members())
                for machine in there
                for _, raft in machine.rafts()
            )
            alike = len(applied) == 1 and len(versions) == 1 and len(serving) == 1
            return alike and not leaving and not forgetful

        self.run_until(agree, within_ns, "the nodes are not of one mind")
        for node in self.members():
            machine = self.machine_of(node)
            assert machine is not None
            self.invariants.everything(machine)

    def describe(self) -> str:
        """All nodes, a line each."""
        return "\n".join(f"m{number}: {summary(machine)}" for number, machine in self.machines.items())
