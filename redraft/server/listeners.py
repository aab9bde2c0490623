"""The sockets that clients connect to: TCP on each address of `bind`, plain and for TLS, and a Unix socket."""

from __future__ import annotations

import errno
import socket
import stat
from pathlib import Path

from redraft.errors import UserError
from redraft.server.connection import Listener
from redraft.settings import Settings


def bind_listeners(settings: Settings) -> list[Listener]:
    """Bind all of them. An address with a leading `-` may be missing, as in Redis. Raises UserError."""
    listeners: list[Listener] = []
    try:
        if settings.port or not settings.tls_port:
            _bind_addresses(listeners, settings, settings.port, tls=False)
        if settings.tls_port:
            _bind_addresses(listeners, settings, settings.tls_port, tls=True)
        if settings.unixsocket:
            listeners.append(Listener(_bind_unix(settings), unix=True))
    except UserError:
        for listener in listeners:
            listener.socket.close()
        raise
    return listeners


def _bind_addresses(listeners: list[Listener], settings: Settings, port: int, *, tls: bool) -> None:
    """Bind a port on each address. Raises UserError."""
    for word in settings.bind or ("0.0.0.0",):
        optional = word.startswith("-")
        host = "0.0.0.0" if word.lstrip("-") == "*" else word.lstrip("-")
        try:
            listeners.append(Listener(_bind_tcp(host, port, settings.tcp_backlog), unix=False, tls=tls))
        except OSError as error:
            if optional and error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                continue
            raise UserError(f"redraft: cannot listen on {host} port {port}: {error.strerror or error}") from error
        # With port 0 the first address chooses the port for all.
        port = port or listeners[0].socket.getsockname()[1]


def _bind_tcp(host: str, port: int, backlog: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, port))
        sock.listen(backlog)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def _bind_unix(settings: Settings) -> socket.socket:
    path = Path(settings.unixsocket)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.exists() and stat.S_ISSOCK(path.stat().st_mode):
            path.unlink()
        sock.bind(str(path))
        if settings.unixsocketperm:
            path.chmod(settings.unixsocketperm)
        sock.listen(settings.tcp_backlog)
        sock.setblocking(False)
    except (OSError, ValueError) as error:
        sock.close()
        raise UserError(f"redraft: cannot listen on the Unix socket {path}: {error}") from error
    return sock
