"""Links between machines, dialled and greeted as `server.links` does; snapshots, as `server.snapshots`; joining.

The greeting, the frames and the answers are the node's own, byte for byte. Only a snapshot is not made of files: it is
the image's records, encoded, in a few pieces.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from redraft.errors import StorageError
from redraft.ids import NodeId
from redraft.node.links import NONCE_BYTES, OUTCAST, VERSION, Hello, framed, is_proof, join_proof, proof
from redraft.node.peers import FrameError
from redraft.node.session import Session
from redraft.resp.client import NOTHING, ErrorReply, ReplyReader
from redraft.resp.reply import OK
from redraft.shard.entry import pack
from sim.disk import Identity, Image
from sim.events import MS, SECOND
from sim.wires import Connection

if TYPE_CHECKING:
    from sim.machine import Machine

FIRST_PAUSE_NS = 50 * MS
LAST_PAUSE_NS = SECOND
GREETING_NS = 5 * SECOND
SYN_AGAIN_NS = (SECOND, 3 * SECOND)
ANSWER_NS = 600 * SECOND
PIECES = 3
PASSING = ("CLUSTERDOWN", "founded", "UNKNOWN", "LOADING", "closes")
_LENGTH = struct.Struct("<I")


class Dial:
    """A connection that a machine makes: an attempt that ends in a greeting, or fails."""

    def __init__(self, machine: Machine, to: int) -> None:
        self.machine = machine
        self.to = to
        self.connection: Connection | None = None
        self.over = False
        self._reader = ReplyReader()
        self._life = machine.life
        events = machine.events
        for wait_ns in (0, *SYN_AGAIN_NS):
            delay_ns = wait_ns + 2 * machine.network.delay_ns(machine.number, to)
            events.after(delay_ns, self._connect)
        machine.later(GREETING_NS, self._time_out)

    def _connect(self, _: object) -> None:
        """One more packet to connect has had its chance."""
        machine = self.machine
        if self.over or self.connection is not None or machine.life != self._life:
            return
        blocked = machine.network.blocked
        other = machine.cluster.machines.get(self.to)
        if (machine.number, self.to) in blocked or (self.to, machine.number) in blocked:
            return
        if other is None or not other.up:
            machine.later(0, lambda: self.fail("nobody listens there"))
            return
        self.connection = other.accept(machine.number, self)
        machine.later(0, self.greet)

    def _time_out(self) -> None:
        if not self.is_done():
            self.fail("it does not answer in time")

    # What it is good for.

    def greet(self) -> None:
        """The connection is there: say the first word."""

    def is_done(self) -> bool:
        """Whether the time for it counts no more."""
        return self.over

    def answered(self, reply: Any) -> None:
        """A reply has come."""

    def failed(self, reason: str) -> None:
        """It has come to nothing, or has ended."""

    # The connection.

    def ask(self, *words: bytes) -> None:
        """Send a command."""
        self.send(pack(words))

    def send(self, data: bytes) -> None:
        """Send bytes."""
        if self.connection is not None:
            self.connection.send(near=True, data=data)

    def arrived(self, data: bytes) -> None:
        """Bytes have come."""
        if self.machine.life == self._life:
            self.machine.inbox.append((self, data))
            self.machine.wake()

    def ended(self) -> None:
        """The other end is gone."""
        if self.machine.life == self._life:
            self.machine.inbox.append((self, None))
            self.machine.wake()

    def take(self, data: bytes | None) -> None:
        """The process has read it."""
        if self.over:
            return
        if data is None:
            if self.connection is not None:
                self.connection.wires[1].end = None
            self.fail("it closes the connection")
            return
        self._reader.feed(data)
        while not self.over and (reply := self._reader.next()) is not NOTHING:
            if isinstance(reply, ErrorReply):
                self.fail(f"it says: {reply}")
            else:
                self.answered(reply)

    def fail(self, reason: str) -> None:
        """Give it up."""
        if self.over:
            return
        self.close()
        self.failed(reason)

    def close(self) -> None:
        """End it."""
        self.over = True
        if self.connection is not None:
            self.connection.close(near=True)
            self.connection = None


class PeerDial(Dial):
    """A dial to another node, with the greeting of `node.links`."""

    purpose = b"FRAMES"

    def __init__(self, machine: Machine, peer: NodeId, to: int) -> None:
        self.peer = peer
        self.proven = False
        self.opened = False
        self._nonce = machine.random.randbytes(NONCE_BYTES)
        super().__init__(machine, to)

    def greet(self) -> None:
        node = self.machine.node
        numbers = (b"%d" % node.id, b"%d" % self.peer)
        self.ask(b"REDRAFT", b"PEER", VERSION, node.cluster.id.encode(), *numbers, self._nonce.hex().encode())

    def is_done(self) -> bool:
        return self.over or self.opened

    def answered(self, reply: Any) -> None:
        node = self.machine.node
        if self.proven:
            self.opened = True
            self.open()
            return
        if not isinstance(reply, list) or len(reply) != 3:
            self.fail("it answers something else than a node does")
            return
        hello = Hello(node.id, self.peer, self._nonce + bytes.fromhex(reply[0].decode()))
        its_incarnation = reply[1].decode("latin-1")
        if not is_proof(node.cluster, b"answers", its_incarnation, hello, reply[2]):
            self.fail("it does not know the cluster's secret")
            return
        if refusal := node.membership.refusal(self.peer, its_incarnation):
            self.fail(refusal)
            return
        incarnation = node.membership.incarnation
        own_proof = proof(node.cluster, b"dials", incarnation, hello)
        self.proven = True
        self.ask(b"REDRAFT", b"PROOF", incarnation.encode(), own_proof, self.purpose)

    def open(self) -> None:
        """The other node listens from now on."""

    def failed(self, reason: str) -> None:
        if OUTCAST in reason:
            self.machine.outcast = True
            self.machine.fail(StorageError(f"node {self.peer} says: {reason.partition(OUTCAST)[2]}"))


class Link(PeerDial):
    """A link that frames are sent over."""

    def __init__(self, keeper: LinkKeeper, peer: NodeId, to: int) -> None:
        self._keeper = keeper
        super().__init__(keeper.machine, peer, to)

    def open(self) -> None:
        self._keeper.opened(self)

    def failed(self, reason: str) -> None:
        super().failed(reason)
        self._keeper.lost(self, reason)


class LinkKeeper:
    """One process's links to all others, which it dials again when they break; and the snapshots that it sends."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.links: dict[NodeId, Link] = {}
        self._addresses: dict[NodeId, str] = {}
        self._pauses: dict[NodeId, int] = {}
        self._seen: tuple[Any, ...] = ()

    def look(self) -> None:
        """Look at who the members are."""
        node = self.machine.node
        seen = (node.config.table, node.config.raft.conf, node.shard.raft.conf)
        if all(one is other for one, other in zip(seen, self._seen, strict=False)) and self._seen:
            return
        self._seen = seen
        wanted = node.membership.others()
        for peer in [peer for peer, address in self._addresses.items() if wanted.get(peer) != address]:
            del self._addresses[peer]
            link = self.links.pop(peer, None)
            if link is not None:
                link.close()
                if link.opened:
                    node.link_lost(peer)
        for peer, address in wanted.items():
            if peer not in self._addresses:
                self._addresses[peer] = address
                self._pauses[peer] = FIRST_PAUSE_NS
                self._dial(peer)

    def _dial(self, peer: NodeId) -> None:
        if peer in self._addresses and peer not in self.links:
            self.links[peer] = Link(self, peer, host_of(self._addresses[peer]))

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
            SnapshotDial(machine, peer, host_of(machine.node.membership.address(peer)), image, brought, fail)

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


class SnapshotDial(PeerDial):
    """A connection that a snapshot is sent over."""

    purpose = b"SNAPSHOT"

    def __init__(
        self,
        machine: Machine,
        peer: NodeId,
        to: int,
        image: Image,
        brought: Callable[[Image], None],
        fail: Callable[[str], None],
    ) -> None:
        self._image = image
        self._brought = brought
        self._fail = fail
        super().__init__(machine, peer, to)

    def open(self) -> None:
        self.machine.cluster.tell(self.machine, f"sends node {self.peer} a snapshot of {self._image.meta().index}")
        data = framed(msgspec.msgpack.encode(self._image))
        size = len(data) // PIECES + 1
        for start in range(0, len(data), size):
            self.send(data[start : start + size])
        self.machine.later(ANSWER_NS, lambda: self.fail("no answer"))

    def answered(self, reply: Any) -> None:
        if not self.opened:
            super().answered(reply)
            return
        self.close()
        self._brought(self._image)

    def failed(self, reason: str) -> None:
        super().failed(reason)
        if self.machine.up:
            self._fail(reason)


_decode_image = msgspec.msgpack.Decoder(Image).decode


class SnapshotReceiver:
    """Takes a snapshot that another node sends; implements `node.links.Link`."""

    def __init__(self, machine: Machine, session: Session, peer: NodeId) -> None:
        self.peer = peer
        self._machine = machine
        self._session = session
        self._data = bytearray()
        self._begun = False

    def receive(self, data: bytes) -> None:
        """Bytes have come. Raises FrameError."""
        machine = self._machine
        if not self._begun:
            self._begun = True
            machine.storage.forget_prepared()
            machine.node.prepared_snapshot = None
        self._data += data
        if len(self._data) < _LENGTH.size:
            return
        (size,) = _LENGTH.unpack_from(self._data)
        if len(self._data) - _LENGTH.size < size:
            return
        if len(self._data) - _LENGTH.size > size:
            raise FrameError("more bytes than the snapshot has")
        image = _decode_image(bytes(self._data[_LENGTH.size :]))
        machine.node.run_in_background(lambda: machine.storage.prepare(image, image.meta()), lambda: self._done(image))

    def _done(self, image: Image) -> None:
        session = self._session
        if not session.closed:
            self._machine.node.prepared_snapshot = image.meta().index
            session.answer(OK)
            self._machine.node.outgoing[session] = None

    def close(self) -> None:
        """The connection has ended."""


class JoinDial(Dial):
    """A new node asks the cluster to take it in, as `server.joining` does. It has no process yet that could pause."""

    def __init__(self, machine: Machine, to: int, incarnation: str, done: Callable[[Identity | str], None]) -> None:
        self._incarnation = incarnation
        self._done = done
        super().__init__(machine, to)

    def greet(self) -> None:
        from sim.machine import SECRET

        address = self.machine.address
        self.ask(
            b"REDRAFT", b"JOIN", address.encode(), self._incarnation.encode(),
            join_proof(SECRET, address, self._incarnation),
        )  # fmt: skip

    def arrived(self, data: bytes) -> None:
        self.take(data)

    def ended(self) -> None:
        self.take(None)

    def answered(self, reply: Any) -> None:
        number, cluster_id, config_voters, first_voters, addresses = reply
        self.close()
        known = dict(zip(addresses[::2], [each.decode() for each in addresses[1::2]], strict=True))
        self._done(
            Identity(number, cluster_id.decode(), self._incarnation, tuple(config_voters), tuple(first_voters), known)
        )

    def failed(self, reason: str) -> None:
        self._done(reason)


def host_of(address: str) -> int:
    """The machine that has an address."""
    return int(address.rpartition(":")[0].rpartition(".")[2])


def address_of(host: int) -> str:
    """A machine's address."""
    return f"10.0.0.{host}:7000"
