"""One process's links to all others, dialled again when they break (`server.links`), and the snapshots that it sends.

The greeting, the frames and the answers are the node's own, byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from redraft.ids import NodeId
from redraft.node.links import framed
from sim.dials import PeerDial, host_of
from sim.disk import Image
from sim.events import MS, SECOND
from sim.snapshots import SnapshotDial

if TYPE_CHECKING:
    from sim.machine import Machine

FIRST_PAUSE_NS = 50 * MS
LAST_PAUSE_NS = SECOND


class Link(PeerDial):
    """A link that frames are sent over."""

    def __init__(self, keeper: LinkKeeper, peer: NodeId, to: int) -> None:
        self._keeper = keeper
        super().__init__(keeper.machine, peer, to)

    def open(self) -> None:
        self._keeper.opened(self)

    def failed(self, reason: str) -> None:
        self._keeper.lost(self, reason)


class LinkKeeper:
    """One process's links to all others, which it dials again when they break; and the snapshots that it sends."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.links: dict[NodeId, Link] = {}
        self.addresses: dict[NodeId, str] = {}
        """Where the others are."""
        self._pauses: dict[NodeId, int] = {}
        self._seen: tuple[Any, ...] = (None,)

    def look(self) -> None:
        """Look at who the members are."""
        node = self.machine.node
        heard = tuple(node.members.heard.items())
        seen = (node.config.table, node.config.raft.conf, node.shard.raft.conf)
        if self._seen[1:] == seen and self._seen[0] == heard:
            return
        self._seen = (heard, *seen)
        wanted = node.members.others()
        for peer in [peer for peer, address in self.addresses.items() if wanted.get(peer) != address]:
            del self.addresses[peer]
            link = self.links.pop(peer, None)
            if link is not None:
                link.close()
                if link.opened:
                    node.link_lost(peer)
        for peer, address in wanted.items():
            if peer not in self.addresses:
                self.addresses[peer] = address
                self._pauses[peer] = FIRST_PAUSE_NS
                self._dial(peer)

    def _dial(self, peer: NodeId) -> None:
        if peer in self.addresses and peer not in self.links:
            self.links[peer] = Link(self, peer, host_of(self.addresses[peer]))

    def opened(self, link: Link) -> None:
        """A node was dialled and has answered."""
        self._pauses[link.peer] = FIRST_PAUSE_NS
        self.machine.node.link_opened(link.peer)
        self.machine.cluster.tell(self.machine, f"has a link to node {link.peer}")

    def lost(self, link: Link, reason: str) -> None:
        """A link has ended, or a dial has failed."""
        if self.links.get(link.peer) is not link or not self.machine.up:
            return
        del self.links[link.peer]
        pause_ns = 0
        if link.opened:
            self.machine.node.link_lost(link.peer)
            self.machine.cluster.tell(self.machine, f"lost the link to node {link.peer}")
        else:
            pause_ns = int(self._pauses[link.peer] * self.machine.random.uniform(0.5, 1.0))
            self._pauses[link.peer] = min(2 * self._pauses[link.peer], LAST_PAUSE_NS)
        self.machine.later(pause_ns, lambda: self._dial(link.peer))

    def send(self, peer: NodeId, frame: bytes) -> None:
        """Send a frame over a link that is open."""
        link = self.links.get(peer)
        if link is not None and link.opened:
            link.send(framed(frame))

    def send_snapshot(self, peer: NodeId, done: Callable[[], None]) -> None:
        """Bring a snapshot to a node and have it installed there."""
        machine = self.machine

        def take() -> None:
            image = machine.disk.image
            if image.point is None:
                machine.later(SECOND // 2, lambda: fail("there is nothing in the image"))
                return
            machine.node.flusher.needed_behind[peer] = image.meta().index
            SnapshotDial(machine, peer, host_of(machine.node.members.address(peer)), image, brought, fail)

        def brought(image: Image) -> None:
            machine.node.snapshot_brought(peer, image.meta())
            machine.later(SECOND, end)

        def fail(reason: str) -> None:
            machine.cluster.tell(machine, f"the snapshot for node {peer} did not arrive: {reason}")
            machine.later(SECOND // 2, give_up)

        def give_up() -> None:
            machine.node.snapshot_failed(peer)
            end()

        def end() -> None:
            machine.node.flusher.needed_behind.pop(peer, None)
            done()

        machine.later(machine.random.randint(*machine.speeds.job_ns), take)
