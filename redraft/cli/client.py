"""A node as the command line talks to it: one command, one reply."""

from __future__ import annotations

import socket
import ssl
from typing import Any, NamedTuple

from redraft.addresses import split_address
from redraft.errors import UserError
from redraft.resp.client import NOTHING, BadReplyError, ErrorReply, ReplyReader
from redraft.shard.entry import pack

TIMEOUT_SECONDS = 30.0


class RefusedError(UserError):
    """The node has answered with an error."""


class Tls(NamedTuple):
    """How to speak TLS, by files in PEM; what is empty is not given."""

    ca: str = ""
    """Certificates of CAs to believe, whatever name the node's has, as redis-cli does. Without them those of the system
    are believed, and the name is looked at: strangers have certificates of these, too."""
    certificate: str = ""
    key: str = ""

    def context(self) -> ssl.SSLContext:
        """Raises UserError."""
        try:
            context = ssl.create_default_context(cafile=self.ca or None)
            context.check_hostname = not self.ca
            if self.certificate:
                context.load_cert_chain(self.certificate, self.key or None)
        except OSError as error:
            names = " ".join(filter(None, self))
            raise UserError(
                f"redraft: {names}: cannot be used for TLS: {error.strerror or error}", exit_code=2
            ) from error
        return context


class NodeClient:
    """A connection to a node; a context manager."""

    def __init__(
        self, address: str, password: str = "", tls: Tls | None = None, timeout: float = TIMEOUT_SECONDS
    ) -> None:
        """Connect. Raises UserError."""
        try:
            host, port = split_address(address)
        except ValueError as error:
            raise UserError(f"redraft: {error}", exit_code=2) from None
        self._address = address
        self._reader = ReplyReader()
        context = None if tls is None else tls.context()
        try:
            self._socket = socket.create_connection((host, port), timeout)
            if context is not None:
                self._socket = context.wrap_socket(self._socket, server_hostname=host)
        except OSError as error:
            raise UserError(f"redraft: no node answers at {address}: {error.strerror or error}", exit_code=3) from error
        if password:
            self("AUTH", password)

    def __call__(self, *words: str) -> Any:
        """Send a command and read its reply. Raises RefusedError, UserError."""
        try:
            self._socket.sendall(pack(tuple(word.encode() for word in words)))
            while (reply := self._reader.next()) is NOTHING:
                data = self._socket.recv(1 << 16)
                if not data:
                    raise UserError(f"redraft: {self._address} has closed the connection", exit_code=3)
                self._reader.feed(data)
        except (OSError, BadReplyError) as error:
            raise UserError(f"redraft: {self._address} does not answer: {error}", exit_code=3) from error
        if isinstance(reply, ErrorReply):
            raise RefusedError(f"redraft: {reply}", exit_code=4)
        return reply

    def __enter__(self) -> NodeClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
