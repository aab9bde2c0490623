"""What is done to a cluster. Each fault begins, lasts, and is undone; at any time a majority could go on.

`DESCRIPTIONS` is the list. What a machine does not allow is left out (`missing` says what, and why): cuts and
small disks take root, slow and broken disks and clocks that jump a C compiler,
loss and delay a TUN device.
"""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from chaos.directories import Directories
from chaos.disks import SmallDisk, can_mount, damage
from chaos.heavy import Heavy
from chaos.members import Members
from chaos.nodes import Nodes

SLOW_FSYNC_US = 50_000
STOP_SECONDS = 10.0
REMOVALS = 5
"""How often a node is asked again to remove another."""
"""How long a node may take to find that its disk is full, or its files damaged."""
CLOCK_JUMPS_SECONDS = (-3600.0, -5.0, 5.0, 3600.0)

DESCRIPTIONS = {
    "kill-leader": "leader killed",
    "kill-follower": "a follower killed",
    "kill-minority": "all but a majority killed",
    "kill-all": "all killed",
    "pause-leader": "leader paused (SIGSTOP)",
    "pause-follower": "a follower paused",
    "transfer": "leadership handed over",
    "restart": "one node asked to stop, and started again",
    "isolate-leader": "leader cut off from its peers, not from its clients",
    "isolate-follower": "a follower cut off from its peers",
    "halves": "halves",
    "bridge": "bridge (one node hears both sides)",
    "ring": "ring (each hears its two neighbours)",
    "deaf": "one node hears nobody",
    "mute": "one node reaches nobody",
    "flaky": "packets between nodes lost (1 to 20 %), late (to 50 ms) and out of order",
    "slow-disk": "fsyncs of one node take 50 ms longer",
    "broken-disk": "fsyncs of one node fail: it stops",
    "full-disk": "the disk of one node is full: it stops",
    "damage": "bits of a stopped node's files turned over: it is refused, and replaced",
    "wipe": "a node's directory lost, and it is started by its old command: it is told to stop, and replaced",
    "restore": "a node's directory goes back to a copy of a moment ago",
    "copy": "a copy of a node's directory is started beside it: it is told to stop",
    "large": "a value of 32 MB written, read and deleted",
    "slow-command": "commands that keep a node's main thread for a second",
    "flood": "100,000 PINGs of one client, half a megabyte of no commands of another",
    "clock": "the wall clock of one node jumps by seconds or an hour",
    "island": "leader cut off, then asked to remove everyone",
    "remove": "a node removed, another joins",
    "remove-dead": "a node killed, removed while it is down, another joins",
    "remove-cut": "a node removed while it is cut off and runs on, another joins",
    "join-cut": "a node joins while the cluster is in halves",
    "replace": "a node takes the place of another",
    "roll": "all nodes replaced, one after the other",
}
"""Each kind of fault, for people."""


class Event(NamedTuple):
    """A fault that was injected; monotonic seconds."""

    name: str
    what: str
    began: float
    ended: float


class Faults:
    """Injects one fault after the other."""

    def __init__(self, nodes: Nodes, random_: random.Random) -> None:
        self._nodes = nodes
        self._random = random_
        self._wait: Callable[[float], None] = time.sleep
        self._small: dict[int, SmallDisk] = {}
        self.members = Members(nodes, random_)
        self.events: list[Event] = []
        self.missing: list[str] = []
        directories = Directories(nodes, self.members, random_)
        heavy = Heavy(nodes, random_, self.members.findings)
        self.kinds: dict[str, Callable[[], str]] = {
            "kill-leader": lambda: self._kill([self._leader()]),
            "kill-follower": lambda: self._kill([self._follower()]),
            "kill-minority": lambda: self._kill(self._minority()),
            "kill-all": lambda: self._kill(nodes.ids),
            "pause-leader": lambda: self._pause(self._leader()),
            "pause-follower": lambda: self._pause(self._follower()),
            "restart": self._restart,
            "transfer": self._transfer,
            "damage": self._damage,
            "wipe": lambda: directories.wipe(self._follower()),
            "restore": lambda: directories.restore(self._follower(), self._wait),
            "copy": lambda: directories.copy(self._follower()),
            "large": lambda: heavy.large(random_.choice(nodes.ids)),
            "slow-command": lambda: heavy.slow(random_.choice(nodes.ids)),
            "flood": lambda: heavy.flood(random_.choice(nodes.ids)),
            "remove": self._remove,
            "remove-dead": self._remove_dead,
            "replace": self._replace,
            "roll": self._roll,
        }
        if nodes.network.can_cut:
            self.kinds |= {
                "isolate-leader": lambda: self._part({self._leader()}),
                "isolate-follower": lambda: self._part({self._follower()}),
                "halves": lambda: self._part(set(self._minority())),
                "bridge": self._bridge,
                "ring": self._ring,
                "deaf": lambda: self._one_way(deaf=True),
                "mute": lambda: self._one_way(deaf=False),
                "island": self._island,
                "remove-cut": self._remove_cut,
                "join-cut": self._join_cut,
            }
        else:
            self.missing.append("cuts (root and iproute2)")
        if nodes.network.can_trouble:
            self.kinds["flaky"] = self._flaky
        else:
            self.missing.append("loss and delay (root and a TUN device)")
        if nodes.has_shims:
            self.kinds |= {"slow-disk": self._slow_disk, "broken-disk": self._broken_disk, "clock": self._clock}
        else:
            self.missing.append("slow and broken disks and clocks that jump (a C compiler)")
        if can_mount(nodes.directory):
            self.kinds["full-disk"] = self._full_disk
        else:
            self.missing.append("full disks (root)")

    def one(self, wait: Callable[[float], None], name: str = "", seconds: float = 0.0, pace: float = 1.0) -> Event:
        """Inject a fault, wait for so long (or some time, times `pace`), and undo it."""
        self._wait = wait
        name = name or self._random.choice(sorted(self.kinds))
        began = time.monotonic()
        self._nodes.look_for_surprises()
        what = self.kinds[name]()
        wait(seconds or self._random.choice([0.3, 1.0, 2.5]) * pace)
        self.undo()
        event = Event(name, what, began, time.monotonic())
        self.events.append(event)
        return event

    def undo(self) -> None:
        """Everything is well again. Raises TimeoutError."""
        self._nodes.network.heal()
        for node, disk in sorted(self._small.items()):
            if self._nodes.runs(node):
                self._nodes.kill(node)
            disk.give_back()
        self._small.clear()
        if self._nodes.has_shims:
            for node in self._nodes.ids:
                self._nodes.set_fsync(node, "0")
                self._nodes.set_clock(node, 0.0)
        self._nodes.start_all()
        self.members.reconcile()

    def close(self) -> None:
        """Take away what would outlive the processes, which have ended."""
        for disk in self._small.values():
            disk.unmount()
        self._small.clear()

    # Whom.

    def _leader(self) -> int:
        return self._nodes.leader() or self._random.choice(self._nodes.ids)

    def _follower(self) -> int:
        leader = self._leader()
        return self._random.choice([node for node in self._nodes.ids if node != leader])

    def _minority(self) -> list[int]:
        return self._random.sample(self._nodes.ids, (len(self._nodes.ids) - 1) // 2)

    def _another(self, *nodes: int) -> int:
        return self._random.choice([node for node in self._nodes.ids if node not in nodes])

    # Processes.

    def _kill(self, nodes: list[int]) -> str:
        for node in nodes:
            self._nodes.kill(node)
        return f"nodes {nodes}"

    def _pause(self, node: int) -> str:
        self._nodes.pause(node)
        return f"node {node}"

    def _restart(self) -> str:
        node = self._random.choice(self._nodes.ids)
        self._nodes.stop(node)
        return f"node {node}"

    def _transfer(self) -> str:
        follower = self._follower()
        number = self._nodes.id_of(follower)
        reply = self._nodes.ask(self._leader(), "REDRAFT", "TRANSFER", str(number))
        return f"to node {follower}: {reply!r}"

    # The network.

    def _part(self, part: set[int]) -> str:
        rest = set(self._nodes.ids) - part
        for one in sorted(part):
            for other in sorted(rest):
                self._cut_both(one, other)
        return f"{sorted(part)} | {sorted(rest)}"

    def _cut_both(self, one: int, other: int) -> None:
        self._nodes.network.cut(one, other)
        self._nodes.network.cut(other, one)

    def _bridge(self) -> str:
        middle, *rest = self._random.sample(self._nodes.ids, len(self._nodes.ids))
        half = len(rest) // 2
        for one in rest[:half]:
            for other in rest[half:]:
                self._cut_both(one, other)
        return f"{rest[:half]} - {middle} - {rest[half:]}"

    def _ring(self) -> str:
        order = self._random.sample(self._nodes.ids, len(self._nodes.ids))
        count = len(order)
        for position, node in enumerate(order):
            for distance in range(2, count - 1):
                self._nodes.network.cut(node, order[(position + distance) % count])
        return " - ".join(map(str, order))

    def _one_way(self, *, deaf: bool) -> str:
        node = self._random.choice([self._leader(), self._follower()])
        for other in self._nodes.ids:
            if other != node:
                self._nodes.network.cut(*((other, node) if deaf else (node, other)))
        return f"node {node} {'hears' if deaf else 'reaches'} nobody"

    def _flaky(self) -> str:
        loss, most_ms = self._random.choice([0.01, 0.05, 0.2]), self._random.choice([2, 20, 50])
        self._nodes.network.trouble(self._nodes.ids, loss, 0.0, most_ms)
        return f"{loss:.0%} lost, up to {most_ms} ms late"

    # Disks and clocks.

    def _slow_disk(self) -> str:
        node = self._random.choice(self._nodes.ids)
        self._nodes.set_fsync(node, str(SLOW_FSYNC_US))
        return f"node {node}"

    def _broken_disk(self) -> str:
        node = self._random.choice(self._nodes.ids)
        self._nodes.set_fsync(node, "EIO")
        return f"node {node}"

    def _full_disk(self) -> str:
        node = self._random.choice(self._nodes.ids)
        self._nodes.stop(node)
        try:
            disk = SmallDisk(self._nodes.data(node))
        except subprocess.CalledProcessError as error:
            raise RuntimeError(f"no small disk: {error.stderr!r}") from error
        self._small[node] = disk
        self._nodes.start(node)
        self._nodes.wait_until_it_follows(node)
        disk.fill()
        status = self._nodes.wait_until_it_ends(node, STOP_SECONDS)
        said = "goes on" if status is None else f"status {status}: {self._nodes.last_line(node)}"
        return f"node {node} {said}"

    def _damage(self) -> str:
        """It is refused, and replaced; or it has not read the bits yet, and is killed and replaced."""
        node = self._follower()
        self._nodes.kill(node)
        where = damage(self._nodes.data(node), self._random)
        self._nodes.start(node)
        status = self._nodes.wait_until_it_ends_or_follows(node)
        line = self._nodes.last_line(node) if status is not None else "not read yet"
        if status not in (None, 1) or not line:
            self.members.findings.append(f"node {node} with damage at {where} ended with {status}: {line}")
        if status is None:
            self._nodes.kill(node)
        said = self.members.remove(node, ask=self._another(node))
        for _ in range(REMOVALS):
            if said == "OK":
                break
            self._wait(1.0)  # others have just come back, and are not linked yet
            said = self.members.remove(node, ask=self._another(node))
        self._nodes.retire(node)
        return f"node {node}, {where}: {line}; removed: {said}"

    def _clock(self) -> str:
        node = self._random.choice([self._leader(), self._follower()])
        jump = self._random.choice(CLOCK_JUMPS_SECONDS)
        self._nodes.set_clock(node, jump)
        return f"node {node} by {jump:+.0f} s"

    # Members.

    def _island(self) -> str:
        """Jepsen's: who is alone must not be able to make itself a cluster of one."""
        leader = self._leader()
        others = [node for node in self._nodes.ids if node != leader]
        self._part({leader})
        with ThreadPoolExecutor() as pool:
            said = list(pool.map(lambda node: self.members.remove(node, ask=leader), others))
        for node, answer in zip(others, said, strict=True):
            if answer == "OK":
                self.members.findings.append(f"node {leader} was alone, and removed node {node}")
        return f"node {leader}: {', '.join(sorted({answer.split(' ', 1)[0] for answer in said}))}"

    def _remove(self) -> str:
        node = self._random.choice(self._nodes.ids)
        return f"node {node}: {self.members.remove(node, ask=self._random.choice(self._nodes.ids))}"

    def _remove_dead(self) -> str:
        node = self._random.choice(self._nodes.ids)
        self._nodes.kill(node)
        said = self.members.remove(node, ask=self._another(node))
        if said == "OK":
            self._nodes.retire(node)
        return f"node {node}: {said}"

    def _remove_cut(self) -> str:
        """It runs on with all its clients, and does not hear that it is a member no more before the cut is healed."""
        part = self._minority()
        node = part[0]
        shown = self._part(set(part))
        self._wait(1.0)
        said = self.members.remove(node, ask=self._another(*part))
        return f"{shown}: node {node}: {said}"

    def _join_cut(self) -> str:
        part = self._minority()
        shown = self._part(set(part))
        self._wait(1.0)
        rest = [node for node in self._nodes.ids if node not in part]
        node = self.members.join(to=self._random.choice(rest), wait=False)
        return f"{shown}: node {node}"

    def _replace(self) -> str:
        old = self._random.choice(self._nodes.ids)
        return self._replace_one(old)

    def _replace_one(self, old: int) -> str:
        new = self.members.join()
        said = self.members.replace(old, new, ask=self._another(old))
        self.members.reconcile()
        return f"node {old} by node {new}: {said}"

    def _roll(self) -> str:
        return "; ".join(self._replace_one(node) for node in list(self._nodes.ids))
