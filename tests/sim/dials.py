"""Connections that a machine makes to another, and how it greets it: `dial` of `server.links`, in the node's words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redraft.errors import StorageError
from redraft.ids import NodeId
from redraft.node.calling import Call, NodeCaller, OutcastError
from redraft.node.links import NONCE_BYTES, GreetingError
from redraft.resp.client import NOTHING, ErrorReply, ReplyReader
from redraft.shard.entry import pack
from sim.events import SECOND
from sim.wires import Connection

if TYPE_CHECKING:
    from sim.machine import Machine

SECRET = b"the simulated secret"
GREETING_NS = 5 * SECOND
SYN_AGAIN_NS = (SECOND, 3 * SECOND)
"""When TCP tries to connect once more."""


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

    def refused(self, text: str) -> None:
        """An error was answered."""
        self.fail(f"it says: {text}")

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
                self.refused(str(reply))
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
        self._call = Call(NodeCaller(machine.node), peer, self.purpose, machine.random.randbytes(NONCE_BYTES))
        super().__init__(machine, to)

    def greet(self) -> None:
        self.ask(*self._call.greeting())

    def is_done(self) -> bool:
        return self.over or self.opened

    def answered(self, reply: Any) -> None:
        if self.proven:
            self.opened = True
            self._call.accepted()
            self.open()
            return
        try:
            words = self._call.answered(reply)
        except GreetingError as error:
            self.fail(str(error))
            return
        self.proven = True
        self.ask(*words)

    def open(self) -> None:
        """The other node listens from now on."""

    def refused(self, text: str) -> None:
        try:
            self.ask(*self._call.refused(text))
        except OutcastError as error:
            self.fail(str(error))
            self.machine.outcast = True
            self.machine.fail(StorageError(str(error)), told=True)
        except GreetingError as passing:
            self.fail(str(passing))


def host_of(address: str) -> int:
    """The machine that has an address."""
    return int(address.rpartition(":")[0].rpartition(".")[2])


def address_of(host: int) -> str:
    """A machine's address."""
    return f"10.0.0.{host}:7000"
