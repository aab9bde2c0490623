"""What is done to a cluster. Each fault begins, lasts, and is undone; at any time a majority could go on.

kill-leader, kill-follower, kill-minority, kill-all: SIGKILL, and started again · pause-leader, pause-follower: SIGSTOP
for longer than an election, then SIGCONT · isolate-leader: its peers are out of reach, its clients are not · halves,
bridge, ring: partitions (in a bridge one node hears both sides; in a ring each hears its two neighbours) · deaf, mute:
one-way cuts of one node · slow-disk, broken-disk: fsyncs take 50 ms, or fail with EIO · transfer: leadership is handed
over · restart: asked to stop, and started again
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import NamedTuple

from chaos.nodes import Nodes

SLOW_FSYNC_US = 50_000


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
        self.events: list[Event] = []
        self.kinds: dict[str, Callable[[], str]] = {
            "kill-leader": lambda: self._kill([self._leader()]),
            "kill-follower": lambda: self._kill([self._follower()]),
            "kill-minority": lambda: self._kill(self._minority()),
            "kill-all": lambda: self._kill(nodes.ids),
            "pause-leader": lambda: self._pause(self._leader()),
            "pause-follower": lambda: self._pause(self._follower()),
            "restart": self._restart,
            "transfer": self._transfer,
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
            }
        if nodes.has_shim:
            self.kinds |= {"slow-disk": self._slow_disk, "broken-disk": self._broken_disk}

    def one(self, wait: Callable[[float], None], name: str = "", seconds: float = 0.0) -> Event:
        """Inject a fault, wait, and undo it."""
        name = name or self._random.choice(sorted(self.kinds))
        began = time.monotonic()
        what = self.kinds[name]()
        wait(seconds or self._random.choice([0.3, 1.0, 2.5]))
        self.undo()
        event = Event(name, what, began, time.monotonic())
        self.events.append(event)
        return event

    def undo(self) -> None:
        """Everything is well again."""
        self._nodes.network.heal()
        if self._nodes.has_shim:
            for node in self._nodes.ids:
                self._nodes.set_fsync(node, "0")
        self._nodes.start_all()

    # Whom.

    def _leader(self) -> int:
        return self._nodes.leader() or self._random.choice(self._nodes.ids)

    def _follower(self) -> int:
        leader = self._leader()
        return self._random.choice([node for node in self._nodes.ids if node != leader])

    def _minority(self) -> list[int]:
        return self._random.sample(self._nodes.ids, (len(self._nodes.ids) - 1) // 2)

    # What.

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
        reply = self._nodes.ask(self._leader(), "REDRAFT", "TRANSFER", str(follower))
        return f"to node {follower}: {reply!r}"

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

    def _slow_disk(self) -> str:
        node = self._random.choice(self._nodes.ids)
        self._nodes.set_fsync(node, str(SLOW_FSYNC_US))
        return f"node {node}"

    def _broken_disk(self) -> str:
        node = self._random.choice(self._nodes.ids)
        self._nodes.set_fsync(node, "EIO")
        return f"node {node}"
