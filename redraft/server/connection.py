"""One client's socket: whether it may come in, and how it is set up.

A connection is the same over TLS; its socket is then a `tls.TlsSocket`.
"""

from __future__ import annotations

import logging
import select
import socket
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple, Protocol

from redraft.commands import errors
from redraft.errors import CommandError
from redraft.node.session import Session
from redraft.resp.encoder import encode
from redraft.settings import Settings

log = logging.getLogger("redraft.server")

RECEIVE_BYTES = 16 * 1024
"""The size of a read; larger after one that filled it."""

PROTECTED_MODE_REFUSAL = (
    b"-DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the "
    b"default user. In this mode connections are only accepted from the loopback interface. If you want to connect "
    b"from external computers to Redis you may adopt one of the following solutions: 1) Just disable protected "
    b"mode sending the command 'CONFIG SET protected-mode no' from the loopback interface by connecting to Redis "
    b"from the same host the server is running, however MAKE SURE Redis is not publicly accessible from internet "
    b"if you do so. Use CONFIG REWRITE to make this change permanent. 2) Alternatively you can just disable the "
    b"protected mode by editing the Redis configuration file, and setting the protected mode option to 'no', and "
    b"then restarting the server. 3) If you started the server manually just for testing, restart it with the "
    b"'--protected-mode no' option. 4) Setup a an authentication password for the default user. NOTE: You only "
    b"need to do one of the above things in order for the server to start accepting connections from the outside.\r\n"
)
TOO_MANY_CLIENTS = encode(CommandError(errors.TOO_MANY_CLIENTS), 2)


class Listener(NamedTuple):
    """A bound socket."""

    socket: socket.socket
    unix: bool
    tls: bool = False


class ByteSocket(Protocol):
    """What a connection and a link need of a socket that does not block: a plain one, or one with TLS on top."""

    def fileno(self) -> int:
        """Its descriptor."""

    def recv(self, size: int, /) -> bytes:
        """What has come; nothing at the end. Raises BlockingIOError, OSError."""

    def send(self, data: bytes | memoryview, /) -> int:
        """Send some of it. Raises BlockingIOError, after which the next call begins with the same bytes; OSError."""

    def sendmsg(self, pieces: Iterable[memoryview], /) -> int:
        """Send some of them, as `send` does."""

    def close(self) -> None:
        """Hang up."""


class Connection:
    """One client's socket."""

    __slots__ = (
        "ended",
        "fd",
        "receive_bytes",
        "recv",
        "send",
        "session",
        "socket",
        "soft_limit_since_ns",
        "unsent",
        "unsent_bytes",
        "watching",
    )

    def __init__(self, sock: ByteSocket, session: Session) -> None:
        self.socket = sock
        self.recv = sock.recv
        self.send = sock.send
        self.fd = sock.fileno()
        self.session = session
        self.receive_bytes = RECEIVE_BYTES
        self.ended = False
        """Whether the client sends no more; it still gets what it is owed."""
        self.unsent: deque[memoryview] = deque()
        self.unsent_bytes = 0
        self.watching = select.EPOLLIN
        self.soft_limit_since_ns = 0


def refusal_of(settings: Settings, connections: int, listener: Listener, peer: object) -> bytes | None:
    """What a client hears that may not come in, where `connections` are open; None when it may."""
    if connections >= settings.maxclients:
        return TOO_MANY_CLIENTS
    if settings.protected_mode and not settings.requirepass and not listener.unix:
        host = peer[0] if isinstance(peer, tuple) else ""
        if not (host.startswith(("127.", "::ffff:127.")) or host == "::1"):
            return PROTECTED_MODE_REFUSAL
    return None


def send_and_close(sock: ByteSocket, data: bytes) -> None:
    """Refuse a client."""
    try:
        sock.send(data)
    except OSError as error:
        log.debug("a refused client could not be told why: %s", error)
    sock.close()


def prepare(sock: socket.socket, listener: Listener, peer: object, keepalive_seconds: int) -> tuple[str, str]:
    """Set the options of an accepted socket; the addresses of both its ends, as CLIENT LIST shows them."""
    if listener.unix:
        path = f"{listener.socket.getsockname()}:0"
        return path, path
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if keepalive_seconds:
        _keep_alive(sock, keepalive_seconds)
    return _shown(peer), _shown(sock.getsockname())


def _keep_alive(sock: socket.socket, seconds: int) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, seconds)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, seconds // 3))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)


def _shown(address: object) -> str:
    """An address as CLIENT LIST shows it."""
    assert isinstance(address, tuple)
    host, port = address[0], address[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
