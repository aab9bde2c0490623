"""The request parser: hiredis where it agrees with Redis, the strict parser everywhere else.

Theory. `resp.strict` defines what a request means; hiredis parses the same at C speed, but accepts more (`+OK` or `:5`
inside a request, RESP3's types between requests), waits where Redis refuses (`$600000000`), and reserves memory for as
many elements as a header announces. So:

* a small chunk that holds one command is cut at line ends; if packing the pieces gives the same bytes, that was it;
* a chunk goes to hiredis only when nothing is pending, it begins with `*`, it is too short to hold an argument over the
  limit, and no header in it announces 100,000 elements or more (`_HUGE_HEADER`, a search at C speed);
* what hiredis returns is believed if no argument has a carriage return, a `$` or a `*` in it (so that wherever
  `\\r\\n$` and `\\r\\n*` stand, a header begins), and the chunk holds one `\\r\\n$` for each argument and one
  `\\r\\n*` for each command after the first: then all were arrays of bulk strings. Where a command is left unfinished,
  the same is asked of what stands before the last `\\r\\n*`, and that the last argument ends there;
* otherwise (XADD's `*` is such an argument) packing the finished ones again tells whether they were canonical, and
  where they end;
* the tail goes to the strict parser, which finishes that command when more has come and applies every limit; what
  stands behind that command is a chunk as any other;
* what is not believed is parsed again, by the strict parser.

Invariant (tested): any bytes in any chunks give the same commands and the same error as the strict parser alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import chain
from typing import cast

import hiredis

from redraft.resp.strict import ProtocolError, StrictParser

_HUGE_HEADER = re.compile(rb"\*[0-9]{6}")
_HUGE_REPLY_HEADER = re.compile(rb"[~>%][0-9]{6}")
"""RESP3's sets, pushes and maps. This search is slow, so three fast ones (memchr) ask first whether there is any."""
SINGLE_BYTES = 1024
SINGLE_ARGUMENTS = 31
"""A chunk up to this size may be one command: cutting it at line ends and packing it again takes half of what hiredis
and the checks behind it take, and is right whenever the same bytes come out."""
_COUNTS = [b"*%d" % count for count in range(SINGLE_ARGUMENTS + 1)]
LETS_IN = (b"AUTH", b"HELLO")
"""Commands after which a client may be authenticated."""
_NOTHING = object()
_pack = cast(Callable[[tuple[bytes, ...]], bytes], hiredis.pack_command)


class Limits:
    """What a parser refuses. Sizes in bytes."""

    __slots__ = ("authenticated", "max_bulk_bytes", "query_buffer_limit")

    def __init__(
        self,
        max_bulk_bytes: int = 512 * 1024 * 1024,
        query_buffer_limit: int = 1024 * 1024 * 1024,
        *,
        authenticated: bool = True,
    ) -> None:
        self.max_bulk_bytes = max_bulk_bytes
        self.query_buffer_limit = query_buffer_limit
        self.authenticated = authenticated


class RequestParser:
    """Turns a client's bytes into commands.

    >>> parser = RequestParser(Limits())
    >>> parser.feed(b"PING\\r\\n*1\\r\\n$4\\r\\nQU")
    [[b'PING']]
    >>> parser.feed(b"IT\\r\\n")
    [[b'QUIT']]
    """

    __slots__ = (
        "_authenticated",
        "_clear",
        "_reader",
        "_single_bytes",
        "_strict",
        "error",
        "packed",
        "query_buffer_limit",
        "waiting",
    )

    def __init__(self, limits: Limits) -> None:
        self._strict = StrictParser(limits.max_bulk_bytes)
        self._reader = hiredis.Reader(notEnoughData=_NOTHING)
        self._authenticated = limits.authenticated
        self._single_bytes = min(SINGLE_BYTES, limits.max_bulk_bytes)
        self.query_buffer_limit = limits.query_buffer_limit
        self.error: ProtocolError | None = None
        """Set once the client broke the protocol; nothing is accepted after it."""
        self._clear = limits.authenticated
        """Whether nothing is pending, the client is in and has made no mistake."""
        self.waiting = False
        """Whether the last command may let the client in, and the limits for what stands behind it depend on that: set
        `authenticated`, then `feed(b"")` goes on."""
        self.packed: bytes | None = None
        """What `feed` returned last, packed, if it stood so in the chunk: whole commands in canonical RESP."""

    @property
    def pending_bytes(self) -> int:
        """Bytes held of a command that is not complete."""
        return self._strict.pending_bytes

    @property
    def wanted_bytes(self) -> int:
        """Bytes that the argument under way still lacks; 0 where none is."""
        return self._strict.wanted_bytes

    def idle(self) -> bool:
        """Whether nothing is held of a command that is not complete."""
        return self._strict.idle()

    @property
    def authenticated(self) -> bool:
        """Whether the client may send commands of any size."""
        return self._authenticated

    @authenticated.setter
    def authenticated(self, value: bool) -> None:
        self._authenticated = value
        self._look()

    def feed(self, data: bytes) -> list[list[bytes]]:
        """The commands that `data` completes. When the client breaks the protocol, `error` is set and the commands
        before are returned."""
        if self._clear and len(data) <= self._single_bytes and data.rfind(b"*") == 0:
            # One small command, as a client without pipelining sends it: cut at line ends and packed again.
            parts = data.split(b"\r\n")
            command = parts[2::2]
            count = len(command)
            if 0 < count <= SINGLE_ARGUMENTS and parts[0] == _COUNTS[count] and _pack(tuple(command)) == data:
                self.packed = data
                return [command]
        self.packed = None
        self.waiting = False
        if self.error is not None:
            return []
        commands = self._feed_chunk(data) if self._clear or not self._authenticated else self._go_on(data)
        self._look()
        return commands

    def _go_on(self, data: bytes) -> list[list[bytes]]:
        """Go on with the command that is under way, and then with what stands behind it."""
        self._strict.feed(data)
        try:
            command = self._strict.next(authenticated=True)
        except ProtocolError as error:
            self.error = error
            return []
        if command is None:
            self._check_pending()
            return []
        rest = self._strict.take_rest()
        commands = self._feed_chunk(rest) if rest else []
        if self.packed is not None or not rest:
            self.packed = _pack(tuple(command)) + (self.packed or b"")
        return [command, *commands]

    def _feed_chunk(self, data: bytes) -> list[list[bytes]]:
        """What `data` completes where no command is under way, or the client is not in."""
        strict = self._strict
        if (
            data[:1] == b"*"
            and self._authenticated
            and len(data) <= strict.max_bulk_bytes
            and _HUGE_HEADER.search(data) is None
            and not ((b"~" in data or b">" in data or b"%" in data) and _HUGE_REPLY_HEADER.search(data))
        ):
            return self._feed_many(data)
        strict.feed(data)
        commands: list[list[bytes]] = []
        self._drain_strict(commands)
        return commands

    def _look(self) -> None:
        self._clear = self.error is None and self._authenticated and self._strict.idle()

    def _feed_many(self, data: bytes) -> list[list[bytes]]:
        reader = self._reader
        commands: list[list[bytes]] = []
        add = commands.append
        gets = reader.gets
        unfinished = True
        try:
            reader.feed(data)
            command = gets()
            while command is not _NOTHING:
                add(command)
                command = gets()
            # hiredis does not say whether it is inside a command: an empty one comes back at once only if it is not.
            reader.feed(b"*0\r\n")
            unfinished = gets() != []
        except (hiredis.ProtocolError, TypeError):
            pass  # TypeError: a map whose key is an array
        if unfinished:
            self._reader = hiredis.Reader(notEnoughData=_NOTHING)
        try:
            arguments = b"".join(chain.from_iterable(commands))
            # Where the tail begins, if it is a command.
            end = data.rfind(b"\r\n*") + 2 if unfinished else len(data)
            last = commands[-1] if commands else []
            believed = (
                not (b"\r" in arguments or b"$" in arguments or b"*" in arguments)
                and data.count(b"\r\n$", 0, end) == sum(map(len, commands))
                and data.count(b"\r\n*", 0, end) == len(commands) - 1
                and type(last) is list
                and data.endswith(b"\r\n" + _pack(tuple(last[-1:]))[4:], 0, end)
            )
            if not believed:
                canonical = b"".join(_pack(tuple(command)) for command in commands)
                end = len(canonical)
                believed = data.startswith(canonical) and (unfinished or end == len(data))
        except TypeError:
            believed = False
        if not believed or [] in commands:
            self._strict.feed(data)
            commands = []
            self._drain_strict(commands)
        elif unfinished:
            self._strict.feed(data[end:])
            before = len(commands)
            self._drain_strict(commands)
            if len(commands) == before:
                self.packed = data[:end]
        else:
            self.packed = data
        return commands

    def _drain_strict(self, commands: list[list[bytes]]) -> None:
        strict = self._strict
        try:
            while (command := strict.next(self.authenticated)) is not None:
                commands.append(command)
                if not self.authenticated and command[0].upper() in LETS_IN:
                    self.waiting = True
                    return
        except ProtocolError as error:
            self.error = error
            return
        self._check_pending()

    def _check_pending(self) -> None:
        if self._strict.pending_bytes > self.query_buffer_limit:
            self.error = ProtocolError("Protocol error: the query buffer is over client-query-buffer-limit")
