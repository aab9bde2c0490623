"""Requests that a leader reads when another leads already: what chance alone would seldom put together."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

import hiredis
from linearizability.history import Operation

from redraft.shard.entry import pack
from sim.clients import result_of
from sim.events import MS, SECOND
from sim.wires import CLIENTS
from support.processes import NOTHING, ReplyError

if TYPE_CHECKING:
    from sim.clients import Clients
    from sim.cluster import Cluster
    from sim.machine import Machine


class Reader:
    """A connection on which a register is read again and again, without waiting for replies."""

    def __init__(self, clients: Clients, machine: Machine, key: str) -> None:
        self._clients = clients
        self._key = key
        self._calls_ns: list[int] = []
        self._reader = hiredis.Reader(replyError=ReplyError, notEnoughData=NOTHING)
        self._machine = machine
        self._connection = machine.accept(CLIENTS, self)
        self._over = False

    def read(self) -> None:
        """Send one more GET."""
        if not self._over:
            self._calls_ns.append(self._clients.cluster.events.now_ns)
            self._connection.send(near=True, data=pack((b"GET", self._key.encode())))

    def arrived(self, data: bytes) -> None:
        """Bytes have come."""
        self._reader.feed(data)
        while not self._over and (reply := self._reader.gets()) is not NOTHING:
            call_ns = self._calls_ns.pop(0)
            if not isinstance(reply, ReplyError) and not self._machine.reads_anything:
                now_ns, result = self._clients.cluster.events.now_ns, result_of(("get",), reply)
                self._clients.record(Operation(-call_ns, call_ns, now_ns, self._key, ("get",), result))

    def ended(self) -> None:
        """The node is gone."""
        self._connection.wires[1].end = None
        self._over = True

    def close(self) -> None:
        """Ask nothing more."""
        if not self._over:
            self._over = True
            self._connection.close(near=True)


def _close(readers: list[Reader]) -> None:
    for reader in readers:
        reader.close()


class LateChaos:
    """The part of chaos that is about requests which are read late."""

    _cluster: Cluster
    _clients: Clients
    _random: Random
    stopped: bool

    def _up(self) -> list[Machine]:
        raise NotImplementedError

    def _tell(self, text: str) -> bool:
        raise NotImplementedError

    def _cut_off(self, machine: Machine, longest_ns: int) -> None:
        raise NotImplementedError

    def _numbers(self) -> list[int]:
        raise NotImplementedError

    def _election_ns(self) -> int:
        every = [self._cluster.settings | machine.settings for machine in self._cluster.machines.values()]
        found: int = max(each["election_timeout"] for each in every)
        return found * MS

    def _write_elsewhere(self, leader: Machine, key: str, then: Callable[[], None]) -> None:
        """Have a register set by way of some other machine."""
        others = [machine for machine in self._up() if machine is not leader]
        if others and not self.stopped:
            value = self._clients.value(self._random)
            command = ("SET", key, value)
            self._clients.ask_for_chaos(self._random.choice(others), key, ("set", value), command, then)

    def _do_late_read(self) -> bool:
        """A tick of the leader lasts until another one leads and has written; what is read late in it is newer."""
        leader, random, events = self._cluster.leader(), self._random, self._cluster.events
        if leader is None or not leader.running or len(self._numbers()) < 3:
            return False
        key, election_ns = f"register:chaos:{events.count}", self._election_ns()
        readers = [Reader(self._clients, leader, key) for _ in range(3)]
        leader.next_stall_ns = int(random.uniform(2.5, 4.0) * election_ns)

        def ask(_: object) -> None:
            for reader in readers:
                reader.read()

        def written() -> None:
            for _ in range(4):
                events.after(random.randint(0, election_ns), ask)

        ask(None)
        for _ in range(2):
            events.after(
                int(random.uniform(1.2, 2.5) * election_ns), lambda _: self._write_elsewhere(leader, key, written)
            )
        events.after(8 * SECOND, lambda _: _close(readers))
        return self._tell(f"a tick of m{leader.number}, which leads, lasts until another one has written {key}")

    def _do_late_index(self) -> bool:
        """A leader that has overslept its lease asks a majority for a read index, and sleeps with the answers under way
        until another leads and has written; what is sent behind that read is newer than its index."""
        leader, random, events = self._cluster.leader(), self._random, self._cluster.events
        if leader is None or not leader.running or len(self._numbers()) < 3:
            return False
        key, election_ns, life = f"register:chaos:{events.count}", self._election_ns(), leader.life
        readers = [Reader(self._clients, leader, key) for _ in range(3)]
        leader.pause()

        def ask(_: object = None) -> None:
            for reader in readers:
                reader.read()

        def awake(_: object) -> None:
            if self.stopped or leader.life != life:
                leader.resume()
                return
            leader.resume()
            # The heartbeat that asks has left then, and the answers are on their way.
            events.after(random.choice((200_000, MS, 3 * MS)), asleep)

        def asleep(_: object) -> None:
            if not self.stopped and leader.running and leader.life == life:
                leader.pause()
                events.after(random.randint(MS, 20 * MS), lambda _: self._cut_off(leader, 5 * SECOND))
                for _ in range(2):
                    delay_ns = int(random.uniform(1.2, 2.5) * election_ns)
                    events.after(delay_ns, lambda _: self._write_elsewhere(leader, key, ask))
            events.after(int(random.uniform(2.5, 4.0) * election_ns), lambda _: leader.resume())

        # It is read when the leader wakes, after its lease and before others wait no longer.
        ask()
        events.after(int(random.uniform(0.85, 1.1) * election_ns), awake)
        events.after(10 * SECOND, lambda _: _close(readers))
        return self._tell(f"m{leader.number} oversleeps its lease, asks for an index, and sleeps again")
