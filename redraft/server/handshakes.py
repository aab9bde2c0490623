"""Clients at a TLS port that are no sessions yet.

A handshake goes on with the events of the reactor's epoll and never waits. It is bounded in time, and in number a tick,
since one takes about a millisecond of the tick's; whoever is not looked at is reported by epoll again. A client that is
cut is told of quietly: anybody can knock at a port.

Left out: what TLS is (`tls`), what becomes of a client whose handshake is done (the reactor).
"""

from __future__ import annotations

import logging
import select
import socket
import time
from typing import NamedTuple

from redraft.server.certificates import Certificates
from redraft.server.connection import Listener
from redraft.server.logs import VERBOSE
from redraft.server.tls import TlsSocket

log = logging.getLogger("redraft.tls")

HANDSHAKE_SECONDS = 10.0
"""Who is not done by then is cut. (A handshake is two round trips.)"""
MOST_A_TICK = 8


class Handshake(NamedTuple):
    """One client."""

    socket: TlsSocket
    listener: Listener
    peer: object
    addresses: tuple[str, str]
    """As `connection.prepare` gives them."""
    until_ns: int


class Handshakes:
    """All that are under way, by their descriptors."""

    def __init__(self, epoll: select.epoll, certificates: Certificates | None) -> None:
        self._epoll = epoll
        self._certificates = certificates
        self._under_way: dict[int, Handshake] = {}
        self.seen = 0
        """How many went on in this tick; the reactor begins anew with each."""

    def __len__(self) -> int:
        return len(self._under_way)

    def __contains__(self, fd: int) -> bool:
        return fd in self._under_way

    def begin(self, sock: socket.socket, listener: Listener, peer: object, addresses: tuple[str, str]) -> None:
        """A client has connected."""
        assert self._certificates is not None
        fd, until_ns = sock.fileno(), time.monotonic_ns() + int(HANDSHAKE_SECONDS * 1e9)
        over_tls = TlsSocket(sock, self._certificates.server, server_side=True)
        self._under_way[fd] = Handshake(over_tls, listener, peer, addresses, until_ns)
        self._epoll.register(fd, select.EPOLLIN)

    def maybe_finish(self, fd: int) -> Handshake | None:
        """Go on with one; it is returned, and let go of, when it is done. Its socket stays registered for input."""
        if self.seen >= MOST_A_TICK:
            return None
        self.seen += 1
        handshake = self._under_way[fd]
        try:
            handshake.socket.shake()
        except BlockingIOError:
            self._epoll.modify(fd, select.EPOLLOUT if handshake.socket.wants_to_write() else select.EPOLLIN)
            return None
        except OSError as error:
            self._cut(handshake, str(error))
            return None
        del self._under_way[fd]
        self._epoll.modify(fd, select.EPOLLIN)
        return handshake

    def cut_overdue(self, now_ns: int) -> None:
        """Close those that take too long."""
        for handshake in [each for each in self._under_way.values() if each.until_ns < now_ns]:
            self._cut(handshake, f"its TLS handshake was not done within {HANDSHAKE_SECONDS:g} s")

    def close_all(self) -> None:
        """The end."""
        for handshake in self._under_way.values():
            handshake.socket.close()
        self._under_way.clear()

    def check(self) -> None:
        """Assert the invariants."""
        assert all(fd == handshake.socket.fileno() for fd, handshake in self._under_way.items())

    def _cut(self, handshake: Handshake, reason: str) -> None:
        log.log(VERBOSE, "client %s is cut: %s", handshake.addresses[0], reason)
        del self._under_way[handshake.socket.fileno()]
        handshake.socket.close()
