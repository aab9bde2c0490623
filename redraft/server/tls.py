"""TLS over a socket that does not block, with the face of a plain one.

A connection or a link uses a `TlsSocket` as it uses a socket: `send` and `recv` raise BlockingIOError where they would
wait, any other OSError when it is over. So the reactor has one road for both, and a plain connection pays nothing.

Theory. TLS runs between two buffers in memory (`ssl.MemoryBIO`), and this module moves bytes between them and the
socket. Beside `ssl.SSLSocket`, by CPU time (measured): an echo server spends the same on a request without pipelining,
30 to 34 µs, since two more copies cost what the second read of each record does there; values of many records cost a
quarter to a third less, 1.0 to 1.1 GB/s sent and received against 0.75 to 0.9, being read and sent 256 KiB a call and
not record by record. And it has no crossed wants: to read never waits for the socket to take bytes, nor the other way
round.

Invariants:

* What was received is decrypted at once, all of it, so that a level-triggered epoll that reports nothing has nothing to
  report. (The one exception, bytes that came together with the end of the handshake, is `recv`'s at the next call.)
* After `send` has raised BlockingIOError the caller begins its next call with the same bytes, as with SSL_write: they
  are encrypted already, and counted when the last of them has left.
* Renegotiation is off (`certificates`); TLS 1.3's KeyUpdate is answered with the next `send`.

Left out: contexts (`certificates`), and who waits for events.
"""

from __future__ import annotations

import errno
import logging
import socket
import ssl
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

log = logging.getLogger("redraft.tls")

RECORD_BYTES = 16 * 1024
"""The most plaintext that one record holds."""
RECEIVE_BYTES = 256 * 1024
SEND_BYTES = 256 * 1024
"""Plaintext that is encrypted at once: half a millisecond's work."""
MOST_UNASKED_BYTES = 64 * 1024
"""Answers that TLS itself owes to one who asks for them and does not read."""

_received = memoryview(bytearray(RECEIVE_BYTES))
"""Ciphertext on its way to a BIO: one buffer for all, since one thread has all sockets and keeps nothing in it."""


class TlsError(OSError):
    """The other side does not speak TLS as it should, or is not believed."""

    def __str__(self) -> str:
        return str(self.strerror)


class TlsSocket:
    """A socket with TLS on top. `shake` must have returned before `send` and `recv` are called."""

    __slots__ = (
        "_encrypted",
        "_incoming",
        "_object",
        "_outgoing",
        "_owed_bytes",
        "_read",
        "_shaken",
        "_write",
        "socket",
    )

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, *, server_side: bool) -> None:
        self.socket = sock
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_side=server_side)
        self._read = self._object.read
        self._write = self._object.write
        self._encrypted = memoryview(b"")
        """Ciphertext that the socket has not taken yet."""
        self._owed_bytes = 0
        """Plaintext in it that `send` has not counted."""
        self._shaken = False

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self.socket.fileno()

    def wants_to_write(self) -> bool:
        """Whether something waits for the socket to take it."""
        return bool(self._encrypted)

    def shake(self) -> None:
        """Go on with the handshake; it is done when this returns. Raises BlockingIOError, OSError."""
        while not self._shaken:
            try:
                self._object.do_handshake()
                self._shaken = True
            except ssl.SSLWantReadError:
                self._flush()
                self._receive()
            except ssl.SSLError as error:
                self._send_last()
                raise _broken(error) from error
        self._flush()

    def recv(self, _size: int, /) -> bytes:
        """What the other side has sent, nothing at its end. Raises BlockingIOError, OSError.

        However much is asked for, it returns all that is there, so that none of it is left where epoll does not look.
        """
        try:
            ended = not self._receive(or_end=True)
        except BlockingIOError:
            if not self._incoming.pending:
                raise
            ended = False
        pieces: list[bytes] = []
        try:
            # A record is read whole, so nothing is left in the SSL object itself.
            while self._incoming.pending:
                piece = self._read(RECORD_BYTES)
                if not piece:
                    ended = True
                    # Where more data stood before this end, epoll shall report it once more.
                    self._stop_receiving()
                    break
                pieces.append(piece)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self._send_last()
            raise _broken(error) from error
        if self._outgoing.pending > MOST_UNASKED_BYTES:
            raise TlsError(errno.EPROTO, "it asks for new keys and does not read")
        if not pieces and not ended:
            raise BlockingIOError(errno.EAGAIN, "no whole record has come")
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def send(self, data: bytes | memoryview, /) -> int:
        """Send some of it; how many bytes have left. Raises BlockingIOError, OSError."""
        if self._encrypted:
            self._flush()
            if self._owed_bytes:
                taken, self._owed_bytes = self._owed_bytes, 0
                return taken
        try:
            taken = self._write(data) if len(data) <= RECORD_BYTES else self._encrypt(memoryview(data)[:SEND_BYTES])
        except ssl.SSLError as error:
            raise _broken(error) from error
        self._owed_bytes = taken
        self._flush()
        self._owed_bytes = 0
        return taken

    def sendmsg(self, pieces: Iterable[memoryview], /) -> int:
        """Send some of the pieces, in order; how many bytes have left. Raises BlockingIOError, OSError."""
        total = 0
        try:
            for piece in pieces:
                sent = self.send(piece)
                total += sent
                if sent < len(piece) or total >= SEND_BYTES:
                    break
        except BlockingIOError:
            if not total:
                raise
        return total

    def close(self) -> None:
        """Say goodbye, where the socket takes it, and close."""
        if self._shaken and not self._encrypted:
            # OpenSSL wants the other side's goodbye too, and nobody waits for that.
            with suppress(ssl.SSLError):
                self._object.unwrap()
            self._send_last()
        self.socket.close()

    def check(self) -> None:
        """Assert the invariants."""
        assert self._owed_bytes == 0 or self._encrypted, "bytes that have left were not counted"
        assert self._shaken or self._owed_bytes == 0

    def _receive(self, *, or_end: bool = False) -> int:
        """Ciphertext from the socket; how much. Raises BlockingIOError, OSError."""
        size = self.socket.recv_into(_received)
        if size:
            self._incoming.write(_received[:size])
        elif not or_end:
            raise ConnectionResetError(errno.ECONNRESET, "it hung up in the middle of the handshake")
        return size

    def _encrypt(self, data: memoryview) -> int:
        taken = 0
        while taken < len(data):
            taken += self._write(data[taken : taken + RECORD_BYTES])
        return taken

    def _flush(self) -> None:
        """Send ciphertext. Raises BlockingIOError when not all of it has left, OSError."""
        if self._outgoing.pending:
            fresh = self._outgoing.read()
            self._encrypted = memoryview(b"".join((self._encrypted, fresh)) if self._encrypted else fresh)
        while self._encrypted:
            self._encrypted = self._encrypted[self.socket.send(self._encrypted) :]

    def _stop_receiving(self) -> None:
        try:
            self.socket.shutdown(socket.SHUT_RD)
        except OSError as error:
            if error.errno != errno.ENOTCONN:
                raise

    def _send_last(self) -> None:
        """Send what OpenSSL has left to say, if the socket takes it: who does not get it sees the end anyway."""
        alert = self._outgoing.read()
        if alert and not self._encrypted:
            try:
                self.socket.send(alert)
            except OSError as error:
                log.debug("an alert could not be sent: %s", error)


def _broken(error: ssl.SSLError) -> TlsError:
    """An error of ssl as one whose number cannot be mistaken for one of a socket's."""
    words: Any = getattr(error, "verify_message", None) or error.reason or error
    return TlsError(errno.EPROTO, f"TLS: {words}".replace("_", " ").lower().replace("tls: ", "TLS: ", 1))
