"""Connections, as TCP has them: bytes arrive in order and once, late or never; then both ends hear of it in the end.

A way from one host to another that is *blocked* holds what is sent: TCP sends it again and again, and it arrives after
the way is open. So a cut of the network loses nothing by itself; what is under way is lost when a connection *breaks*,
from some point on in each direction. New connections are not answered over a way that is blocked.
"""

from __future__ import annotations

from collections import deque
from random import Random
from typing import Protocol

from sim.events import MS, SECOND, Events

Host = int
"""A machine's number; 0 stands for all clients."""
CLIENTS: Host = 0
PIECE_BYTES = 1024
"""What arrives at once where bytes take time."""


class End(Protocol):
    """What a connection ends in."""

    def arrived(self, data: bytes) -> None:
        """Bytes have come."""

    def ended(self) -> None:
        """No more comes, and nothing that is sent will arrive."""


class Delays:
    """What the network is like; chaos changes it."""

    def __init__(self) -> None:
        self.least_ns = 100_000
        self.spread_ns = 400_000
        self.slow_part = 0.0
        """How many of the messages take long."""
        self.slow_ns = 300 * MS


class Network:
    """All ways between hosts."""

    def __init__(self, events: Events, random: Random) -> None:
        self.events = events
        self.random = random
        self.delays = Delays()
        self.byte_ns = 0
        """How long each byte takes on each connection; what is large comes in pieces then."""
        self.blocked: dict[tuple[Host, Host], int] = {}
        """How many faults block the way from one host to another."""
        self.slow: dict[tuple[Host, Host], int] = {}
        """How much longer a way takes for now."""
        self.connections: dict[Connection, None] = {}

    def delay_ns(self, sender: Host, to: Host) -> int:
        """How long the next message takes."""
        delays = self.delays
        delay = delays.least_ns + int(self.random.random() * delays.spread_ns)
        if delays.slow_part and self.random.random() < delays.slow_part:
            delay += int(self.random.random() * delays.slow_ns)
        return delay + self.slow.get((sender, to), 0)

    def block(self, sender: Host, to: Host) -> None:
        """Nothing gets from one host to another from now on."""
        self.blocked[sender, to] = self.blocked.get((sender, to), 0) + 1

    def open(self, sender: Host, to: Host) -> None:
        """One of the faults that block a way is over."""
        if self.blocked.get((sender, to), 0) > 1:
            self.blocked[sender, to] -= 1
            return
        self.blocked.pop((sender, to), None)
        for connection in list(self.connections):
            for wire in connection.wires:
                if (wire.sender, wire.to) == (sender, to):
                    wire.release()

    def connect(self, sender: Host, to: Host, near: End, far: End) -> Connection:
        """A connection that has been made."""
        connection = Connection(self, sender, to, near, far)
        self.connections[connection] = None
        return connection

    def between(self, first: Host, second: Host) -> list[Connection]:
        """The connections between two hosts."""
        return [each for each in self.connections if {each.wires[0].sender, each.wires[0].to} == {first, second}]


class Wire:
    """One direction of a connection."""

    __slots__ = ("_cut", "_held", "_last_ns", "_network", "_under_way", "end", "sender", "to")

    def __init__(self, network: Network, sender: Host, to: Host, end: End) -> None:
        self._network = network
        self.sender = sender
        self.to = to
        self.end: End | None = end
        self._last_ns = 0
        self._held: deque[bytes | None] = deque()
        self._under_way: deque[bytes | None] = deque()
        self._cut = False

    def send(self, data: bytes | None) -> None:
        """Send bytes, or the end (None)."""
        if self._cut:
            return
        network = self._network
        if self._held or (network.blocked and (self.sender, self.to) in network.blocked):
            self._held.append(data)
            return
        if network.byte_ns and data is not None:
            for start in range(0, len(data), PIECE_BYTES):
                self._launch(data[start : start + PIECE_BYTES])
            return
        self._launch(data)

    def _launch(self, data: bytes | None) -> None:
        network = self._network
        at_ns = network.events.now_ns + network.delay_ns(self.sender, self.to)
        takes_ns = network.byte_ns * len(data or b"")
        self._last_ns = at_ns = max(at_ns, self._last_ns + takes_ns)
        self._under_way.append(data)
        network.events.at(at_ns, self._arrive)

    def _arrive(self, _: object) -> None:
        if not self._under_way:
            return
        data = self._under_way.popleft()
        network = self._network
        if network.blocked and (self.sender, self.to) in network.blocked:
            self._held.append(data)
        else:
            self._hand_over(data)

    def _hand_over(self, data: bytes | None) -> None:
        end = self.end
        if end is None:
            return
        if data is None:
            self.end = None
            network = self._network
            network.connections = {each: None for each in network.connections if not each.is_over()}
            end.ended()
        else:
            end.arrived(data)

    def release(self) -> None:
        """The way is open again: what was held is sent again, in order."""
        held, self._held = [*self._held], deque()
        if self._under_way:
            # What left later than the held, and before the way was blocked, cannot be.
            held += self._under_way
            self._under_way.clear()
        for data in held:
            self._launch(data)

    def lose_tail(self, random: Random) -> None:
        """Of what is under way only some from the front arrives."""
        kept = random.randint(0, len(self._under_way))
        while len(self._under_way) > kept:
            self._under_way.pop()
        self._held.clear()
        self._cut = True

    def lose_all(self) -> None:
        """Nothing of what is under way arrives any more."""
        self._under_way.clear()
        self._held.clear()
        self._cut = True

    def tell_end(self, delay_ns: int) -> None:
        """The end hears, behind what arrives yet, that it is over."""
        events = self._network.events
        at_ns = max(events.now_ns + delay_ns, self._last_ns)
        self._last_ns = at_ns
        self._cut = True
        self._under_way.append(None)
        events.at(at_ns, self._arrive)


class Connection:
    """Two wires; the near end is the one that dialled."""

    def __init__(self, network: Network, sender: Host, to: Host, near: End, far: End) -> None:
        self._network = network
        self.wires = (Wire(network, sender, to, far), Wire(network, to, sender, near))

    def send(self, *, near: bool, data: bytes) -> None:
        """Send bytes from the near end, or from the far one."""
        self.wires[0 if near else 1].send(data)

    def close(self, *, near: bool) -> None:
        """One end closes: the other hears of it behind what was sent."""
        out, back = self.wires if near else self.wires[::-1]
        back.end = None
        back.lose_all()
        out.send(None)
        out._cut = True

    def crashed(self, *, near: bool, power: bool) -> None:
        """One end's process is gone; with the power, the other end hears nothing of it for a while."""
        random = self._network.random
        out, back = self.wires if near else self.wires[::-1]
        back.end = None
        back.lose_all()
        out.lose_tail(random)
        out.tell_end(random.randint(0, 2 * SECOND) if power else 0)

    def break_(self) -> None:
        """The network breaks it: each end hears of it by itself, and what is under way is lost from some point on."""
        random = self._network.random
        for wire in self.wires:
            wire.lose_tail(random)
            wire.tell_end(random.randint(0, 100 * MS))

    def is_over(self) -> bool:
        """Whether both ends know that it is."""
        return self.wires[0].end is None and self.wires[1].end is None
