"""Clients that may wait, compared step by step on two servers: after each step every client has been answered the same.

A step has been taken, and all that follows from it has happened, when a further client has been answered a read, a
write and a read again. What should have come and has not is waited for a while, so that a slow machine makes no
difference.
"""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Sequence

import hiredis

from oracle.commands import Command
from oracle.comparing import Allowances, Typed, connect, read_typed, state
from support.processes import START_SECONDS

CLOSED: Typed = "closed"


class Waiting:
    """A client whose replies are looked for, not waited for."""

    def __init__(self, port: int, protocol: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=START_SECONDS)
        self._complete = hiredis.Reader()
        self._data = b""
        self.replies: list[Typed] = []
        self.sent = 0
        self.closed = False
        self.send(b"HELLO", b"%d" % protocol)
        self.send(b"CLIENT", b"ID")
        while len(self.replies) < 2:
            self.look()
        self.id = self.replies[1]
        self.replies.clear()
        self.sent = 0

    def send(self, *words: bytes) -> None:
        """Send a command."""
        self._socket.sendall(hiredis.pack_command(words))
        self.sent += 1

    def look(self) -> None:
        """Take in what has come."""
        if self.closed:
            return
        self._socket.settimeout(0)
        try:
            data = self._socket.recv(1 << 16)
            self.closed = not data
        except BlockingIOError:
            return
        except ConnectionResetError:
            data, self.closed = b"", True
        finally:
            self._socket.settimeout(START_SECONDS)
        self._data += data
        self._complete.feed(data)
        stream = io.BytesIO(self._data)
        while self._complete.gets() is not False:
            self.replies.append(read_typed(stream))
        self._data = stream.read()
        if self.closed:
            self.replies.append(CLOSED)

    @property
    def waits(self) -> bool:
        """Whether its last command is not answered."""
        return len(self.replies) < self.sent and not self.closed

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


class Room:
    """One server with its clients, and one client more that sees to it that a step has been taken."""

    def __init__(self, port: int, protocol: int, clients: int) -> None:
        self.port, self.protocol = port, protocol
        self.control = connect(port, protocol)
        self.clients = [Waiting(port, protocol) for _ in range(clients)]

    def take(self, step: Command) -> None:
        """One step; a client that waits sends nothing. (What it sends behind its wait, and what others send then, come
        in no order that either server promises.)"""
        word, *rest, sender = step
        client = self.clients[int(sender)]
        match word.upper():
            case b"HANGUP":
                self.replace(client)
            case _ if client.waits:
                pass
            case b"KILL":
                client.send(b"CLIENT", b"KILL", b"ID", b"%d" % self.clients[int(rest[0])].id)
            case b"UNBLOCK":
                client.send(b"CLIENT", b"UNBLOCK", b"%d" % self.clients[int(rest[0])].id, *rest[1:])
            case _:
                client.send(word, *rest)
        self.settle()

    def replace(self, client: Waiting) -> None:
        """Let a client hang up, and another come in its place."""
        client.close()
        self.clients[self.clients.index(client)] = Waiting(self.port, self.protocol)

    def unblock(self) -> None:
        """End all waits."""
        for client in self.clients:
            if client.waits:
                self.control("CLIENT", "UNBLOCK", client.id)
                self.settle()

    def settle(self) -> None:
        """Wait until what was sent has been executed."""
        for words in (("PING",), ("SET", "~settled", "1"), ("DEL", "~settled"), ("PING",)):
            self.control(*words)

    def replies(self) -> list[list[Typed]]:
        """All that the present clients have been answered."""
        for client in self.clients:
            client.look()
        return [client.replies.copy() for client in self.clients]

    def close(self) -> None:
        """Hang up all."""
        for client in self.clients:
            client.close()
        self.control.close()


def agree(
    ours_port: int, theirs_port: int, protocol: int, steps: Sequence[Command], allowances: Allowances,
    databases: int = 1,
) -> None:  # fmt: skip
    """Assert that all clients are answered the same after each step, and that the same keys are there in the end."""
    ours = Room(ours_port, protocol, 3)
    theirs = Room(theirs_port, protocol, 3)
    try:
        for position, step in enumerate(steps):
            ours.take(step)
            theirs.take(step)
            assert_same(f"step {position}, {step!r}", ours, theirs)
            for room in (ours, theirs):
                for client in room.clients:
                    if client.closed:
                        room.replace(client)
        for room in (ours, theirs):
            room.unblock()
        assert_same("when all waits were ended", ours, theirs)
        for number in range(databases):
            for room in (ours, theirs):
                room.control("SELECT", number)
            assert state(ours.control) == state(theirs.control), f"the keys of database {number} differ"
    finally:
        ours.close()
        theirs.close()


def assert_same(what: str, ours: Room, theirs: Room) -> None:
    """Assert that all clients of both have been answered the same, or are within a moment."""
    deadline = time.monotonic() + 2
    while (mine := ours.replies()) != (real := theirs.replies()) and time.monotonic() < deadline:
        time.sleep(0.001)
    differ = [number for number in range(len(mine)) if mine[number] != real[number]]
    assert not differ, f"{what}: redraft has answered client {differ[0]} {mine[differ[0]]!r}, Redis {real[differ[0]]!r}"
