"""A connection that this process makes: a socket that does not block, plain or with TLS, as a trio task uses it.

trio has streams for both, but theirs for TLS keeps what it has read to itself, so that the reactor could not go on with
its socket once a link is greeted.
"""

from __future__ import annotations

import socket
import ssl

import trio

from redraft.addresses import split_address
from redraft.server.connection import ByteSocket
from redraft.server.tls import TlsSocket

RECEIVE_BYTES = 64 * 1024


class Stream:
    """A socket that does not block, plain or with TLS, as a trio task uses it."""

    def __init__(self, sock: ByteSocket) -> None:
        self.socket = sock

    async def send_all(self, data: bytes) -> None:
        """Send all of it. Raises OSError."""
        rest = memoryview(data)
        while rest:
            await trio.lowlevel.checkpoint()
            try:
                rest = rest[self.socket.send(rest) :]
            except BlockingIOError:
                await trio.lowlevel.wait_writable(self.socket.fileno())

    async def receive_some(self) -> bytes:
        """What has come; nothing at the end. Raises OSError."""
        while True:
            try:
                return self.socket.recv(RECEIVE_BYTES)
            except BlockingIOError:
                await trio.lowlevel.wait_readable(self.socket.fileno())

    async def __aenter__(self) -> Stream:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.socket.close()


async def connect(address: str, context: ssl.SSLContext | None = None) -> Stream:
    """Connect to HOST:PORT, by TLS where there is a context. Raises OSError."""
    host, port = split_address(address)
    opened = await trio.open_tcp_stream(host, port)
    sock = socket.socket(fileno=opened.socket.detach())
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is None:
            return Stream(sock)
        over_tls = TlsSocket(sock, context, server_side=False)
        while True:
            try:
                over_tls.shake()
                return Stream(over_tls)
            except BlockingIOError:
                wait = trio.lowlevel.wait_writable if over_tls.wants_to_write() else trio.lowlevel.wait_readable
                await wait(sock.fileno())
    except BaseException:
        sock.close()
        raise
