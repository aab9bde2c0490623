"""What is injected. A run draws which of these it has, and how often (a swarm: no run has them all).

* network: delays of every message, some of them long; ways cut in one direction or in both, in halves, one node alone,
  bridges; ways that stall; connections that break, with what is under way lost from any point on; Raft's messages
  once more and later (duplicated and reordered), which its protocol allows;
* disks: fsyncs that last from nothing to seconds; one that fails, and stops the node; a torn tail: of what was not
  synced any number of batches from the front is left;
  whole directories lost, whose nodes are started by their old command;
* values that are large, in the time that they take on wires and disks, and commands that take up to ten seconds;
* processes: killed (with what they have written kept), without power (with what was not synced lost), several at once,
  stopped in order, paused, held up (which their pulse tells), slow to wake; ticks that take long, or are stopped,
  anywhere between two of their steps; started again after any time;
* clocks: rates that differ as much as is stated (in a mode of its own: more, and clocks that stand still); wall clocks
  that are wrong and jump by seconds to an hour in both directions, of a few or of all machines; nodes of a version
  whose leaders go by them;
* the cluster: hand-overs, nodes that join, are removed and are replaced, elections out of turn; nodes that come back as
  a newer version, which knows a command that the others do not;
* what chance alone would seldom put together: each new leader is cut off as it begins to lead, before its first word
  arrives (logs with different ends); a follower is killed right after it has promised the leader not to vote, or right
  after it has voted, and is back at once where another candidate asks it; a leader sleeps with the answers to its last
  heartbeat in its sockets, until another leads; answers to a leader that nobody hears any more are still on their way;
  a leader reads requests when another one leads already, late in a long tick, or behind one that waits for an index;
  what a leader says of a hand-over arrives when it has given it up and nobody hears it any more; a key falls due by the
  clock of a leader that is cut off, and the next one's clock is behind; the wall clock of a node jumps just before it
  is to lead;
* snapshots and flushes: logs of ten entries and images of a dozen keys make them common; besides flushes at any moment;
  and machines that flush only then;
* disks that are put back to an older copy (`sim.forgetting_chaos`), or damaged for good (`sim.directory_chaos`);
* settings that differ between machines, and change at starts and by CONFIG SET (`sim.settings_chaos`).

Longer than most, since it is one list.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Any

from redraft.ids import CONFIG_GROUP, NO_NODE, NodeId
from redraft.node.peers import Frame, decode_frame
from redraft.raft.messages import InstallSnapshot
from redraft.raft.node import RaftNode
from sim.asking import Asking
from sim.directory_chaos import MOST_NODES, DirectoryChaos
from sim.events import MS, SECOND
from sim.forgetting_chaos import ForgettingChaos
from sim.late_chaos import LateChaos
from sim.machine import WAKE_NS, Machine, Speeds
from sim.settings_chaos import SettingsChaos
from sim.switches import chosen
from sim.wires import CLIENTS
from support.newer import NEWER

if TYPE_CHECKING:
    from sim.clients import Clients
    from sim.cluster import Cluster

REAL_PPM = 300
"""By how much a machine's monotonic clock is fast or slow where time is looked at."""
LAG_STEP_NS = 100 * MS
LULL_NS = 5 * SECOND
"""From time to time everything is taken back for so long, or many runs would spend their time without a quorum."""


class Chaos(SettingsChaos, ForgettingChaos, LateChaos, DirectoryChaos):
    """The faults of one run."""

    def __init__(self, cluster: Cluster, clients: Clients, random: Random, *, beyond_drift: bool = False) -> None:
        self._cluster = cluster
        self._clients = clients
        self._random = random
        self._beyond = beyond_drift
        self.stopped = False
        self.injected: dict[str, int] = {}
        self._undo: dict[int, Callable[[], None]] = {}
        self._next_undo = 0
        self._speeds: dict[int, Speeds] = {}
        """What the machines' disks are like."""
        kinds = sorted(name.removeprefix("_do_") for name in dir(self) if name.startswith("_do_"))
        if not beyond_drift:
            kinds.remove("freeze")
        self.kinds = chosen([kind for kind in kinds if random.random() < 0.6] or kinds) or chosen(kinds)
        self._draw_clocks()
        self.mean_ns = random.choice((SECOND // 2, 2 * SECOND, 6 * SECOND))
        self._storm_ns = random.choice((20, 60, 180)) * SECOND
        """From one lull to the next."""
        self._lull_ns = 0
        """When the next one is."""
        self._changing = False
        self._set_up()

    def _set_up(self) -> None:
        """What holds for the whole run."""
        random, cluster = self._random, self._cluster
        cluster.settings["node_stall_timeout"] = random.choice((1000, 5000, 30_000))
        self.draw_settings()
        for machine in cluster.machines.values():
            self.settings_of_a_start(machine)
        delays = cluster.network.delays
        delays.spread_ns = random.choice((200_000, MS, 10 * MS))
        delays.slow_part = random.choice((0, 0, 0.01, 0.05))
        delays.slow_ns = random.choice((50 * MS, 400 * MS))
        for machine in cluster.machines.values():
            self.set_clock(machine)
            machine.speeds = random.choice((Speeds(), Speeds((1000, 100_000)), Speeds((MS, 30 * MS), (MS, 200 * MS))))
            self._speeds[machine.number] = machine.speeds
            machine.command_ns = random.choice((0, 0, 0, 20_000, MS)) if random.random() < 0.5 else 0
            machine.stall_part = random.choice((0.0, 0.0, 0.001, 0.01))
            machine.stall_ns = random.choice((MS, 50 * MS, SECOND))
        if random.random() < 0.2:
            self._have_large_values()
        if random.random() < 0.3:
            self._duplicate()

    def _draw_clocks(self) -> None:
        """What the clocks of this run are like."""
        random, machines = self._random, self._cluster.machines
        mode = random.choice(("right", "wall time", "wall time", "few wrong", "few wrong", "wrong", "wrong"))
        if self._beyond and mode in ("few wrong", "wrong"):
            mode = "wall time"
        self.walls_differ = mode != "right"
        """Whether the machines' wall clocks tell different times."""
        self.checks_time = mode in ("few wrong", "wrong")
        """Whether monotonic clocks are as good as real ones, and keys must live for as long as they are to."""
        self.all_clocks_may_be_wrong = mode == "wrong"
        numbers = sorted(machines)
        most = len(numbers) if mode in ("wall time", "wrong") else (len(numbers) - 1) // 2 if self.checks_time else 0
        self.wrong_clocks = frozenset(random.sample(numbers, most))
        """The machines, of the first ones, whose wall clocks may be wrong."""
        for machine in machines.values():
            machine.stamps_wall_time = mode == "wall time" and random.random() < 0.8
        gone = {"expire"} if mode != "wall time" else set()
        if not self.checks_time:
            gone.add("wrong_heir")
        if not self.wrong_clocks:
            gone.add("wall_jump")
        if mode == "few wrong":
            # They are to stay few of those who vote.
            gone.add("change_members")
        self.kinds = [kind for kind in self.kinds if kind not in gone]
        if self.checks_time and self.wrong_clocks and len(machines) > 1:
            self.kinds += ["wall_jump", "wrong_heir", "wrong_heir"]

    def leads_by_a_right_clock(self) -> bool:
        """Whether the leader's wall clock is as good as a majority's."""
        leader = self._cluster.leader()
        return leader is not None and (self.all_clocks_may_be_wrong or abs(leader.clock.wall_offset_ms) <= 1000)

    def _have_large_values(self) -> None:
        """Some values are large: their bytes are few, and take the time of many."""
        self._clients.large_bytes = 5000
        byte_ns = self._random.choice((500, 5000, 20_000))
        self._cluster.network.byte_ns = byte_ns
        for machine in self._cluster.machines.values():
            machine.speeds = machine.speeds._replace(byte_ns=self._random.choice((0, byte_ns)))
            self._speeds[machine.number] = machine.speeds

    def set_clock(self, machine: Machine) -> None:
        """A rate within the bound: two nodes' clocks drift apart by no more than it within an election's time."""
        election_ms, drift_ms = self.least_drift_ms()
        bound = drift_ms * 1_000_000 // (election_ms + drift_ms)
        most = 400_000 if self._beyond else bound * 45 // 100
        if self.checks_time:
            most = min(most, REAL_PPM)
        machine.clock.set_rate(self._random.choice((0, self._random.randint(-most, most), most, -most)))
        if machine.number in self.wrong_clocks:
            machine.clock.wall_offset_ms = self._random.choice((0, self._random.randint(-5000, 5000)))

    def start(self) -> None:
        """Begin."""
        self._lull_ns = self._cluster.events.now_ns + self._storm_ns
        self._next()

    def stop(self) -> None:
        """End, and take back what is in force."""
        self.stopped = True
        self._take_back()

    def _take_back(self) -> None:
        while self._undo:
            self._undo.pop(next(iter(self._undo)))()

    def _next(self) -> None:
        self._cluster.events.after(int(self._random.expovariate(1.0) * self.mean_ns), self._inject)

    def _inject(self, _: object) -> None:
        if self.stopped:
            return
        events = self._cluster.events
        if events.now_ns >= self._lull_ns:
            self._lull_ns = events.now_ns + LULL_NS + self._storm_ns
            self._take_back()
            slow_part = self._cluster.network.delays.slow_part
            self._cluster.calm()
            self._cluster.network.delays.slow_part = slow_part
            events.after(LULL_NS, self._inject)
            return
        kind = self._random.choice(self.kinds)
        if getattr(self, f"_do_{kind}")():
            self.injected[kind] = self.injected.get(kind, 0) + 1
        self._next()

    def _for(self, longest_ns: int, undo: Callable[[], None], least_ns: int = MS) -> None:
        """Take something back after a time."""
        number = self._next_undo = self._next_undo + 1
        self._undo[number] = undo
        duration_ns = int(self._random.random() ** 2 * longest_ns) + least_ns

        def end(_: object) -> None:
            found = self._undo.pop(number, None)
            if found is not None:
                found()

        self._cluster.events.after(duration_ns, end)

    def _tell(self, text: str) -> bool:
        self._cluster.tell(None, f"CHAOS {text}")
        return True

    def _up(self) -> list[Machine]:
        return [machine for machine in self._cluster.up() if not machine.paused]

    def _some(self) -> Machine | None:
        """A machine that is up: often the leader."""
        up = self._up()
        leader = self._cluster.leader()
        if leader in up and self._random.random() < 0.4:
            return leader
        return self._random.choice(up) if up else None

    def _numbers(self) -> list[int]:
        members = [self._cluster.machine_of(node) for node in self._cluster.members()]
        return [machine.number for machine in members if machine is not None]

    # Processes.

    def _restart_later(self, machine: Machine, longest_ns: int) -> None:
        upgrade = self._random.random() < 0.3
        reconfigure = self._random.random() < 0.3

        def again() -> None:
            if machine.outcast:
                return
            if upgrade:
                machine.level = NEWER
                machine.stamps_wall_time = machine.stamps_wall_time and self._random.random() < 0.7
            if reconfigure:
                self.settings_of_a_start(machine)
            machine.start()

        self._for(longest_ns, again)

    def _do_kill(self) -> bool:
        machine = self._some()
        if machine is None:
            return False
        self._tell(f"kill m{machine.number}")
        machine.kill()
        self._restart_later(machine, 8 * SECOND)
        return True

    def _do_power(self) -> bool:
        machine = self._some()
        if machine is None:
            return False
        self._tell(f"power off m{machine.number}")
        machine.kill(power=True)
        self._restart_later(machine, 8 * SECOND)
        return True

    def _do_blackout(self) -> bool:
        machines = [machine for machine in self._cluster.machines.values() if machine.up or machine.starting]
        if self._random.random() < 0.5 and machines:
            machines = self._random.sample(machines, self._random.randint(1, len(machines)))
        self._tell(f"power off {[machine.number for machine in machines]}")
        for machine in machines:
            machine.kill(power=self._random.random() < 0.8)
            self._restart_later(machine, 3 * SECOND)
        return True

    def _do_stop(self) -> bool:
        machine = self._some()
        if machine is None:
            return False
        self._tell(f"ask m{machine.number} to stop")
        machine.stop()
        self._restart_later(machine, 8 * SECOND)
        return True

    def _do_pause(self) -> bool:
        machine = self._some()
        if machine is None:
            return False
        self._tell(f"pause m{machine.number}")
        machine.pause()
        self._for(self._random.choice((200 * MS, 3 * SECOND, 10 * SECOND)), machine.resume)
        return True

    def _do_hold_up(self) -> bool:
        """Its main thread is busy, which its pulse tells the others; maybe all of them at once."""
        machine = self._some()
        if machine is None:
            return False
        machines = self._up() if self._random.random() < 0.2 else [machine]
        self._tell(f"hold up {[each.number for each in machines]}")
        for each in machines:
            each.hold_up()
            self._for(self._random.choice((SECOND, 4 * SECOND, 15 * SECOND)), each.resume)
        return True

    def _do_slow(self) -> bool:
        machine = self._some()
        if machine is None:
            return False
        machine.wake_ns = self._random.randint(MS, 150 * MS)
        self._for(5 * SECOND, lambda: setattr(machine, "wake_ns", WAKE_NS))
        return True

    def _do_long_tick(self) -> bool:
        """A tick, often of a leader, is stopped somewhere in its middle, often for longer than a lease."""
        machine = self._some()
        if machine is None:
            return False
        election_ns = self._cluster.settings["election_timeout"] * MS
        machine.next_stall_ns = int(self._random.choice((0.1, 1.0, 4.0)) * self._random.random() * election_ns) + MS
        return self._tell(f"a tick of m{machine.number} takes {machine.next_stall_ns // MS} ms")

    def _do_slow_command(self) -> bool:
        """The next command that a machine executes takes up to ten seconds."""
        machine = self._some()
        if machine is None:
            return False
        machine.slow_ns = int(self._random.choice((0.2, 1.0, 10.0)) * self._random.random() * SECOND) + MS
        return self._tell(f"a command at m{machine.number} takes {machine.slow_ns // MS} ms")

    # Disks.

    def _do_slow_disk(self) -> bool:
        machine = self._some()
        if machine is None:
            return False
        self._tell(f"slow disk at m{machine.number}")
        machine.speeds = Speeds((MS, self._random.choice((50 * MS, 2 * SECOND))), (MS, SECOND))
        # It may be slowed down twice at once, so what it was before is not what it was like at first.
        first = self._speeds.get(machine.number, Speeds())
        self._for(6 * SECOND, lambda: setattr(machine, "speeds", first))
        return True

    def _do_bad_disk(self) -> bool:
        machine = self._some()
        if machine is None:
            return False
        self._tell(f"bad disk at m{machine.number}")
        machine.disk.fails = True
        self._restart_later(machine, 6 * SECOND)
        return True

    def _do_wipe(self) -> bool:
        """Founders lose their data and are started by their old command, in nobody else's reach; then it is found."""
        cluster, random = self._cluster, self._random
        machines = cluster.machines.values()
        founders = [machine for machine in machines if self._is_known_founder(machine)]
        if len(founders) < 2 or any(machine.lost or machine.forgets() for machine in machines):
            return False
        wiped = random.sample(founders, random.choice((len(founders) - 1, random.randint(1, len(founders) - 1))))
        numbers = [machine.number for machine in wiped]
        self._tell(f"{numbers} lose their data and are started again")
        others = [number for number in cluster.machines if number not in numbers]
        pairs = [pair for a in numbers for b in others for pair in ((a, b), (b, a))]
        for pair in pairs:
            cluster.network.block(*pair)
        for machine in wiped:
            machine.kill()
            machine.wipe()
            machine.start()

        def find() -> None:
            for pair in pairs:
                cluster.network.open(*pair)
            for machine in wiped:
                self._for(2 * SECOND, machine.unwipe)

        # Long enough for an election, were there one.
        self._for(4 * SECOND, find, least_ns=4 * cluster.settings["election_timeout"] * MS)
        return True

    def _is_known_founder(self, machine: Machine) -> bool:
        """Whether a machine runs a founder that all others would know again."""
        identity, leader = machine.disk.identity, self._cluster.leader()
        if identity is None or machine.number not in identity.first_voters or not machine.running or leader is None:
            return False
        record = leader.node.config.table.nodes.get(identity.node) if leader.up else None
        others = [each.disk for each in self._cluster.machines.values() if each is not machine and each.disk.identity]
        known = all(disk.met.get(identity.node) == identity.incarnation for disk in others)
        return known and record is not None and record.incarnation == identity.incarnation

    # Clocks.

    def _do_rate(self) -> bool:
        machine = self._some()
        if machine is None:
            return False
        self.set_clock(machine)
        return self._tell(
            f"clock of m{machine.number}: {machine.clock.rate_ppm} ppm, {machine.clock.wall_offset_ms} ms"
        )

    def _do_wall_jump(self) -> bool:
        up = [machine for machine in self._up() if machine.number in self.wrong_clocks]
        if not up:
            return False
        leader = self._cluster.leader()
        machine = leader if leader in up and self._random.random() < 0.5 else self._random.choice(up)
        jump_ms = self._random.choice((-3_600_000, -2000, -300, 300, 2000, 3_600_000))
        if self.checks_time and self.all_clocks_may_be_wrong and self._random.random() < 0.3:
            for each in self._cluster.machines.values():
                each.clock.wall_offset_ms = jump_ms
            return self._tell(f"all wall clocks are set to {jump_ms} ms off")
        machine.clock.wall_offset_ms += jump_ms
        if abs(machine.clock.wall_offset_ms) > 5_000_000:
            machine.clock.wall_offset_ms = 0
        return self._tell(f"wall clock of m{machine.number} jumps to {machine.clock.wall_offset_ms} ms off")

    def _do_freeze(self) -> bool:
        """A machine that does nothing, and whose clock stands (a paused virtual machine)."""
        machine = self._some()
        if machine is None:
            return False
        self._tell(f"freeze m{machine.number}")
        machine.pause()
        machine.clock.stand(still=True)

        def end() -> None:
            machine.clock.stand(still=False)
            machine.resume()

        self._for(4 * SECOND, end)
        return True

    # The network.

    def _cut_all(self, pairs: list[tuple[int, int]], longest_ns: int) -> None:
        network = self._cluster.network
        for sender, to in pairs:
            network.block(sender, to)

        def heal() -> None:
            for sender, to in pairs:
                network.open(sender, to)

        self._for(longest_ns, heal)

    def _longest(self) -> int:
        return self._random.choice((SECOND, 6 * SECOND, 12 * SECOND))

    def _do_halves(self) -> bool:
        numbers = self._numbers()
        if len(numbers) < 2:
            return False
        self._random.shuffle(numbers)
        middle = self._random.randint(1, len(numbers) - 1)
        pairs = [(a, b) for a in numbers[:middle] for b in numbers[middle:]]
        self._cut_all(pairs + [(b, a) for a, b in pairs], self._longest())
        return self._tell(f"cut {numbers[:middle]} off {numbers[middle:]}")

    def _do_one_way(self) -> bool:
        numbers = self._numbers()
        if len(numbers) < 2:
            return False
        alone = self._random.choice(numbers)
        others = [number for number in numbers if number != alone]
        if self._random.random() < 0.5:
            others = self._random.sample(others, 1)
        hears = self._random.random() < 0.5
        pairs = [(alone, other) if hears else (other, alone) for other in others]
        self._cut_all(pairs, self._longest())
        return self._tell(f"cut one way: {pairs}")

    def _do_bridge(self) -> bool:
        numbers = self._numbers()
        if len(numbers) < 3:
            return False
        self._random.shuffle(numbers)
        middle = (len(numbers) + 1) // 2
        pairs = [(a, b) for a in numbers[1:middle] for b in numbers[middle:]]
        self._cut_all(pairs + [(b, a) for a, b in pairs], self._longest())
        return self._tell(f"m{numbers[0]} is a bridge between {numbers[1:middle]} and {numbers[middle:]}")

    def _do_stall(self) -> bool:
        numbers = self._numbers()
        if len(numbers) < 2:
            return False
        pair = tuple(self._random.sample(numbers, 2))
        slow = self._cluster.network.slow
        slow[pair[0], pair[1]] = self._random.randint(10 * MS, 3 * SECOND)

        def end() -> None:
            slow.pop((pair[0], pair[1]), None)

        self._for(6 * SECOND, end)
        return self._tell(f"the way m{pair[0]} to m{pair[1]} is slow")

    def _do_break(self) -> bool:
        numbers = self._numbers()
        if len(numbers) < 2:
            return False
        first, second = self._random.sample(numbers, 2)
        for connection in self._cluster.network.between(first, second):
            if self._random.random() < 0.7:
                connection.break_()
        return self._tell(f"connections between m{first} and m{second} break")

    def _do_break_clients(self) -> bool:
        machine = self._some()
        if machine is None:
            return False
        for connection in self._cluster.network.between(CLIENTS, machine.number):
            if self._random.random() < 0.5:
                connection.break_()
        return self._tell(f"connections of clients with m{machine.number} break")

    def _duplicate(self) -> None:
        """Hand some of Raft's messages to their receiver once more, later."""
        cluster, random = self._cluster, self._random
        part = random.choice((0.02, 0.2))
        events = cluster.events

        def again(what: tuple[Machine, int, NodeId, int, Frame]) -> None:
            machine, life, sender, sender_life, frame = what
            if machine.life != life or not machine.up:
                return
            other = cluster.machine_of(sender)
            if other is None or other.life != sender_life:
                # No connection brings what a process has said before the one that another was made for.
                return
            if machine.paused or sender not in machine.node.incoming.linked_from():
                return
            cluster.before(machine)
            machine.node.incoming.receive_frame(sender, frame)
            cluster.changed(machine)
            machine.wake()

        def watch(sender: NodeId, to: NodeId, data: bytes) -> None:
            if self.stopped or random.random() >= part:
                return
            machine = cluster.machine_of(to)
            messages = [each for each in decode_frame(data).raft if not isinstance(each[1], InstallSnapshot)]
            teller = cluster.machine_of(sender)
            if machine is None or teller is None or not machine.up or not messages:
                return
            random.shuffle(messages)
            delay_ns = random.randint(0, random.choice((5 * MS, 500 * MS, 5 * SECOND)))
            events.after(delay_ns, again, (machine, machine.life, sender, teller.life, Frame(raft=messages)))

        cluster.on_frame = watch

    # What chance alone would seldom put together.

    def _cut_off(self, machine: Machine, longest_ns: int) -> None:
        """Cut a machine off all others."""
        others = [number for number in self._numbers() if number != machine.number]
        self._cut_all(
            [pair for each in others for pair in ((machine.number, each), (each, machine.number))], longest_ns
        )

    def _do_cascade(self) -> bool:
        """Cut off whoever leads, and some of those who follow, as they begin to."""
        leader = self._cluster.leader()
        if leader is None or len(self._numbers()) < 3:
            return False
        self._cut_off(leader, 4 * SECOND)
        more = self._random.randint(1, 3)

        def led(machine: Machine) -> None:
            nonlocal more
            if more and not self.stopped:
                more -= 1
                self._tell(f"m{machine.number} leads and is cut off")
                self._cut_off(machine, 4 * SECOND)

        self._cluster.on_leader = led
        return self._tell(f"m{leader.number} is cut off, and {more} who lead next")

    def _do_promise(self) -> bool:
        """A follower that has just answered the leader dies and is back at once, and hears only another candidate."""
        # Of the config group: in the shard's, whoever hears nothing for a moment lacks something, and is not elected.
        leader, numbers = self._cluster.leader(CONFIG_GROUP), self._numbers()
        if leader is None or len(numbers) < 3 or leader.number not in numbers:
            return False
        others = [number for number in numbers if number != leader.number]
        self._random.shuffle(others)
        kept = others[: len(numbers) // 2]
        lost = [pair for each in others[len(kept) :] for pair in ((leader.number, each), (each, leader.number))]
        self._cut_all(lost, 6 * SECOND)
        follower, events = self._cluster.machines[kept[0]], self._cluster.events
        election_ns = self._cluster.settings["election_timeout"] * MS

        def restart(_: object) -> None:
            if self.stopped or not follower.running:
                return
            self._tell(f"m{follower.number} is killed and is back at once")
            self._cut_all(
                [pair for each in kept for pair in ((leader.number, each), (each, leader.number))], 3 * SECOND
            )
            follower.kill(power=self._random.random() < 0.2)
            follower.start(at_once=self._random.random() < 0.7)
            for _ in range(5):
                # It is dialled anew before it is asked; and asked before the lease is over.
                events.after(self._random.randint(5 * MS, 700 * MS), campaign)

        def campaign(_: object) -> None:
            other = self._cluster.machines[others[-1]]
            if not self.stopped and other.running:
                self._campaign(other, other.node.config.raft)

        # The other one must be free of its own promise when it campaigns.
        events.after(int(election_ns * self._random.uniform(0.9, 2.0)), restart)
        return self._tell(f"m{leader.number} has only {kept}, of which one will forget")

    def _do_revote(self) -> bool:
        """The leader is cut off; who votes for its successor dies and is back at once, and hears the old one."""
        leader = self._cluster.leader()
        if leader is None or len(self._numbers()) < 3:
            return False
        self._cut_off(leader, 6 * SECOND)

        def restart(voter: Machine) -> None:
            if self.stopped or not voter.up:
                return
            network = self._cluster.network
            network.open(leader.number, voter.number)
            network.open(voter.number, leader.number)
            voter.kill(power=self._random.random() < 0.5)
            voter.start(at_once=True)

        def voted(voter: Machine, candidate: NodeId) -> None:
            self._cluster.on_vote = None
            chosen = self._cluster.machine_of(candidate)
            if self.stopped or chosen is None or leader in (voter, chosen):
                return
            self._tell(f"m{voter.number} votes for m{chosen.number}, dies, and hears m{leader.number} again")
            self._cut_off(chosen, 4 * SECOND)
            self._cluster.events.after(10_000, restart, voter)

        self._cluster.on_vote = voted
        return self._tell(f"m{leader.number} is cut off until there is another vote")

    def _do_doze(self) -> bool:
        """A leader sleeps from right after a heartbeat until another leads, and reads the answers then, cut off."""
        leader = self._cluster.leader()
        if leader is None or not leader.running or len(self._numbers()) < 3:
            return False
        life, events = leader.life, self._cluster.events
        election_ns = self._cluster.settings["election_timeout"] * MS

        def sleep(_: object) -> None:
            if not self.stopped and leader.running and leader.life == life:
                self._tell(f"m{leader.number} sleeps with its answers under way")
                leader.pause()
                events.after(self._random.randint(MS, 20 * MS), cut)

        def cut(_: object) -> None:
            if not self.stopped:
                self._cut_off(leader, 6 * SECOND)
            events.after(int(election_ns * self._random.uniform(1.5, 3.0)), lambda _: leader.resume())

        events.at(leader.next_heartbeat_ns() + leader.wake_ns + 20_000, sleep)
        return True

    def _do_lag(self) -> bool:
        """What is sent to the leader comes later and later; then nobody hears it, and it still gets old answers."""
        leader, events = self._cluster.leader(), self._cluster.events
        if leader is None or not leader.running or len(self._numbers()) < 3:
            return False
        others = [number for number in self._numbers() if number != leader.number]
        slow, most_ns = self._cluster.network.slow, self._random.randint(SECOND // 2, 3 * SECOND)

        def lag(late_ns: int) -> None:
            if self.stopped or not leader.running:
                end()
            elif late_ns < most_ns:
                # Little by little: a leader that hears nothing for long would step down.
                slow.update({(each, leader.number): late_ns for each in others})
                events.after(LAG_STEP_NS, lag, late_ns + LAG_STEP_NS)
            else:
                self._tell(f"nobody hears m{leader.number}, which hears what was sent {late_ns // MS} ms ago")
                self._cut_all([(leader.number, each) for each in others], 6 * SECOND)
                self._for(6 * SECOND, end)

        def end() -> None:
            for each in others:
                slow.pop((each, leader.number), None)

        lag(LAG_STEP_NS)
        return self._tell(f"what is sent to m{leader.number} comes later and later")

    def _do_late_hand_over(self) -> bool:
        """What a leader says of a hand-over arrives about when it gives that up, and nobody hears it any more."""
        cluster, random = self._cluster, self._random
        # Of the config group, too: in the shard's there is always something more to send before.
        leader = cluster.leader(CONFIG_GROUP)
        if leader is None or not leader.running:
            return False
        raft = leader.node.config.raft
        if raft.leader is None or raft.leader.transferee != NO_NODE or len(raft.conf.voters) < 3:
            return False
        heir = cluster.machine_of(random.choice([node for node in raft.conf.voters if node != leader.id]))
        if heir is None or heir.number not in self._numbers() or leader.number not in self._numbers():
            return False
        way = (leader.number, heir.number)
        cluster.network.block(*way)
        cluster.before(leader)
        leader.node.leadership.hand_over(raft, heir.id)
        cluster.changed(leader)
        leader.wake()

        def late(_: object) -> None:
            others = [number for number in self._numbers() if number != leader.number]
            if not self.stopped:
                self._tell(f"m{heir.number} is told late, and m{leader.number} is cut off")
                pairs = [pair for each in others for pair in ((leader.number, each), (each, leader.number))]
                self._cut_all([pair for pair in pairs if pair != way], 4 * SECOND)
            cluster.network.open(*way)

        election_ns = cluster.settings["election_timeout"] * MS
        cluster.events.after(int(election_ns * random.uniform(0.9, 1.2)), late)
        return self._tell(f"m{leader.number} hands over to m{heir.number}, which does not hear of it yet")

    def _do_expire(self) -> bool:
        """A key falls due by the clock of a leader that has just been cut off; the next leader's clock is behind."""
        leader, random, events = self._cluster.leader(), self._random, self._cluster.events
        if leader is None or not leader.running or len(self._numbers()) < 3:
            return False
        offsets = [machine.clock.wall_offset_ms for machine in self._cluster.machines.values()]
        leader.clock.wall_offset_ms = max(offsets) + random.randint(500, 5000)
        key = f"expiring:chaos:{events.count}"
        left_ms = random.choice((20, 100, 300))

        def ask(
            machine: Machine, action: tuple[str, ...], *command: Any, then: Callable[[], None] | None = None
        ) -> None:
            if machine.running and not self.stopped:
                self._clients.ask_for_chaos(machine, key, action, command, then)

        def written() -> None:
            self._cut_off(leader, 6 * SECOND)
            for _ in range(3):
                events.after(random.randint(left_ms, 700) * MS, lambda _: ask(leader, ("xget",), "GET", key))
            for _ in range(6):
                events.after(random.randint(700, 5000) * MS, lambda _: ask_somebody())

        def ask_somebody() -> None:
            machine = self._some()
            if machine is not None:
                ask(machine, ("xget",), "GET", key)

        self._tell(f"a key falls due at m{leader.number}, which is cut off and whose clock is ahead")
        ask(leader, ("setpx", "v"), "SET", key, "v", "PX", left_ms, then=written)
        return True

    def _do_wrong_heir(self) -> bool:
        """A key is to live for some seconds; the wall clock of another node jumps, and it is to lead at once."""
        leader, random, events = self._cluster.leader(), self._random, self._cluster.events
        heirs = [machine for machine in self._up() if machine.number in self.wrong_clocks and machine is not leader]
        if leader is None or not leader.running or not heirs:
            return False
        heir = random.choice(heirs)
        key = f"expiring:chaos:{events.count}"

        def look(_: object) -> None:
            machine = self._some()
            if machine is not None and not self.stopped:
                self._clients.ask_for_chaos(machine, key, ("xget",), ("GET", key))

        def written() -> None:
            if self.stopped or not leader.running:
                return
            heir.clock.wall_offset_ms = random.choice((-3_600_000, 3_600_000, 5000))
            Asking(self._cluster, leader, ("REDRAFT", "TRANSFER", heir.id))
            for after_ms in (300, 600, 1000, 1500, 2000, 5500):
                events.after((after_ms + random.randint(0, 300)) * MS, look)

        self._tell(f"the wall clock of m{heir.number} jumps, and it is to lead")
        self._clients.ask_for_chaos(leader, key, ("setpx", "v", 4000), ("SET", key, "v", "PX", 4000), written)
        return True

    # The cluster.

    def _do_transfer(self) -> bool:
        leader = self._cluster.leader()
        if leader is None or not leader.running:
            return False
        to = self._random.choice(self._cluster.members())
        self._tell(f"hand over from node {leader.id} to node {to}")
        Asking(self._cluster, leader, ("REDRAFT", "TRANSFER", to))
        return True

    def _do_campaign(self) -> bool:
        machine = self._some()
        if machine is None:
            return False
        _, raft = self._random.choice(machine.rafts())
        return self._campaign(machine, raft)

    def _campaign(self, machine: Machine, raft: RaftNode) -> bool:
        # Who has promised a leader to wait does wait; its lease counts on that.
        if raft._holds_on_to_leader():
            return False
        self._tell(f"node {machine.id} campaigns")
        self._cluster.before(machine)
        raft.campaign()
        self._cluster.changed(machine)
        machine.wake()
        return True

    def _do_flush(self) -> bool:
        machine = self._some()
        if machine is None:
            return False
        machine.node.flusher.request()
        machine.wake()
        return True

    def _do_change_members(self) -> bool:
        """A node joins and one is removed, or replaced; one change at a time."""
        cluster, random = self._cluster, self._random
        if self._changing:
            return False
        members = cluster.members()
        machine = self._some()
        if machine is None:
            return False
        what = random.choice(("join", "remove", "replace"))
        self._changing = True

        def done(reply: Any) -> None:
            self._changing = False
            self._tell(f"the change of members: {reply!r}")

        def joined(new: Machine) -> None:
            self.set_clock(new)
            self.settings_of_a_start(new)
            asked = self._some()
            if what == "join" or asked is None or len(cluster.members()) < 2:
                self._changing = False
                return
            old = random.choice([node for node in cluster.members() if node != new.id])
            self._tell(f"replace node {old} by node {new.id}")
            Asking(cluster, asked, ("REDRAFT", "REPLACE", old, new.id), done)

        if what == "remove" and len(members) > 2:
            node = random.choice(members)
            self._tell(f"remove node {node}")
            Asking(cluster, machine, ("REDRAFT", "REMOVE", node), done)
        elif what == "replace" or len(members) < MOST_NODES:
            self._tell(f"{what}: a machine joins")
            cluster.join(joined)
        else:
            self._changing = False
            return False
        return True
