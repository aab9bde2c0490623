"""The strict request parser: Redis's own rules (networking.c), byte for byte, incremental.

Theory. It is the meaning of the protocol here: hiredis (`resp.parser`) only does the same thing faster for the bytes on
which both agree. It holds at most one unfinished command. A large argument is collected as the chunks came and joined
once, so a 512 MB value costs one copy.

Facts about Redis that it keeps: a length is a canonical decimal (string2ll); the two bytes after an argument are not
looked at; `*0` and `*-1` are nothing; empty inline lines are nothing; an inline line may end in a bare `\\n`.
"""

from __future__ import annotations

import re

from redraft.integers import parse_int64

INLINE_MAX_BYTES = 64 * 1024
"""PROTO_INLINE_MAX_SIZE: the longest inline request, and the longest length line."""
MULTIBULK_MAX = (1 << 31) - 1
UNAUTHENTICATED_MULTIBULK_MAX = 10
UNAUTHENTICATED_BULK_MAX = 16384


class ProtocolError(Exception):
    """The client broke the protocol; `str(error)` is the reply's text after `ERR `."""


class StrictParser:
    """Parses requests from `buffer`, which the caller appends to."""

    __slots__ = (
        "_argv",
        "_argv_bytes",
        "_bulk_bytes",
        "_missing",
        "_parts",
        "_parts_bytes",
        "buffer",
        "max_bulk_bytes",
    )

    def __init__(self, max_bulk_bytes: int) -> None:
        self.max_bulk_bytes = max_bulk_bytes
        self.buffer = bytearray()
        self._argv: list[bytes] = []
        self._argv_bytes = 0
        self._missing = 0
        """Arguments of the command under way that are still to come."""
        self._bulk_bytes = -1
        """The length of the argument under way, or -1 before its length line."""
        self._parts: list[bytes] = []
        self._parts_bytes = 0

    def idle(self) -> bool:
        """Whether no command is under way and nothing is buffered."""
        return not self._missing and not self.buffer

    @property
    def pending_bytes(self) -> int:
        """Bytes held of what is not complete."""
        return len(self.buffer) + self._parts_bytes + self._argv_bytes

    @property
    def wanted_bytes(self) -> int:
        """Bytes that the argument under way still lacks, with those that end it; 0 where none is."""
        return max(0, self._bulk_bytes + 2 - self._parts_bytes) if self._bulk_bytes >= 0 else 0

    def take_rest(self) -> bytes:
        """What stands behind the last complete command: the caller's from now on."""
        rest = bytes(self.buffer)
        self.buffer.clear()
        return rest

    def feed(self, data: bytes) -> None:
        """Take bytes; a large argument's go straight to its parts."""
        if self._bulk_bytes >= 0 and not self.buffer:
            wanted = self.wanted_bytes
            if len(data) <= wanted:
                self._parts.append(data)
                self._parts_bytes += len(data)
                return
            self._parts.append(data[:wanted])
            self._parts_bytes += wanted
            data = data[wanted:]
        self.buffer += data

    def next(self, authenticated: bool) -> list[bytes] | None:
        """The next complete command, or None when more bytes are needed. Raises ProtocolError."""
        while True:
            if not self._missing:
                if not self.buffer:
                    return None
                if self.buffer[0] != 42:  # '*'
                    line = self._inline()
                    if line is None:
                        return None
                    if line:
                        return line
                    continue
                if not self._multibulk_header(authenticated):
                    return None
                continue
            if self._bulk_bytes < 0 and not self._bulk_header(authenticated):
                return None
            if not self._argument():
                return None
            if not self._missing:
                argv, self._argv = self._argv, []
                self._argv_bytes = 0
                return argv

    def _line(self, too_big: str) -> bytes | None:
        """A length line without its sign and line end."""
        end = self.buffer.find(b"\r")
        if end < 0:
            if len(self.buffer) > INLINE_MAX_BYTES:
                raise ProtocolError(too_big)
            return None
        if end + 2 > len(self.buffer):
            return None
        line = bytes(self.buffer[1:end])
        del self.buffer[: end + 2]
        return line

    def _multibulk_header(self, authenticated: bool) -> bool:
        line = self._line("Protocol error: too big mbulk count string")
        if line is None:
            return False
        count = parse_int64(line)
        if count is None or count > MULTIBULK_MAX:
            raise ProtocolError("Protocol error: invalid multibulk length")
        if count > UNAUTHENTICATED_MULTIBULK_MAX and not authenticated:
            raise ProtocolError("Protocol error: unauthenticated multibulk length")
        self._missing = max(0, count)
        return True

    def _bulk_header(self, authenticated: bool) -> bool:
        if not self.buffer:
            return False
        end = self.buffer.find(b"\r")
        if end < 0:
            if len(self.buffer) > INLINE_MAX_BYTES:
                raise ProtocolError("Protocol error: too big bulk count string")
            return False
        if end + 2 > len(self.buffer):
            return False
        if self.buffer[0] != 36:  # '$'
            raise ProtocolError(f"Protocol error: expected '$', got '{chr(self.buffer[0])}'")
        size = parse_int64(self.buffer[1:end])
        del self.buffer[: end + 2]
        if size is None or size < 0 or size > self.max_bulk_bytes:
            raise ProtocolError("Protocol error: invalid bulk length")
        if size > UNAUTHENTICATED_BULK_MAX and not authenticated:
            raise ProtocolError("Protocol error: unauthenticated bulk length")
        self._bulk_bytes = size
        return True

    def _argument(self) -> bool:
        size = self._bulk_bytes
        if self._parts_bytes:
            wanted = size + 2 - self._parts_bytes
            if wanted:
                piece = bytes(self.buffer[:wanted])
                del self.buffer[: len(piece)]
                self._parts.append(piece)
                self._parts_bytes += len(piece)
                if len(piece) < wanted:
                    return False
            whole = b"".join(self._parts)
            self._argv.append(whole[:size])
            self._parts = []
            self._parts_bytes = 0
        elif len(self.buffer) >= size + 2:
            self._argv.append(bytes(self.buffer[:size]))
            del self.buffer[: size + 2]
        else:
            if self.buffer:
                self._parts.append(bytes(self.buffer))
                self._parts_bytes = len(self.buffer)
                self.buffer.clear()
            return False
        self._argv_bytes += size
        self._bulk_bytes = -1
        self._missing -= 1
        return True

    def _inline(self) -> list[bytes] | None:
        end = self.buffer.find(b"\n")
        if end < 0:
            if len(self.buffer) > INLINE_MAX_BYTES:
                raise ProtocolError("Protocol error: too big inline request")
            return None
        line = bytes(self.buffer[:end])
        del self.buffer[: end + 1]
        if line.endswith(b"\r"):
            line = line[:-1]
        words = split_words(line) if _UNUSUAL.search(line) else line.split()
        if words is None:
            raise ProtocolError("Protocol error: unbalanced quotes in request")
        return words


_UNUSUAL = re.compile(rb"[\"'\v\f\0]")
"""What is not only a character of a word, or a space between words as `bytes.split` knows it."""
_SPACES = b" \t\n\v\f\r\0"
"""What may stand between words and behind a closing quote (C's isspace)."""
_WORD_ENDS = b" \t\n\r\0"
"""What ends a word without quotes."""
_ESCAPES = {ord("n"): 10, ord("r"): 13, ord("t"): 9, ord("b"): 8, ord("a"): 7}
_HEX = b"0123456789abcdefABCDEF"


def split_words(line: bytes) -> list[bytes] | None:
    """The words of an inline request by Redis's quoting rules (sds.c, sdssplitargs); None for unbalanced quotes."""
    line = line.split(b"\0", 1)[0]
    words: list[bytes] = []
    i = 0
    n = len(line)
    while True:
        while i < n and line[i] in _SPACES:
            i += 1
        if i >= n:
            return words
        word = bytearray()
        quote = 0
        while True:
            if i >= n:
                if quote:
                    return None
                break
            c = line[i]
            if quote == 34:  # double
                if c == 92 and i + 3 < n and line[i + 1] == 120 and line[i + 2] in _HEX and line[i + 3] in _HEX:
                    word.append(int(line[i + 2 : i + 4], 16))
                    i += 3
                elif c == 92 and i + 1 < n:
                    i += 1
                    word.append(_ESCAPES.get(line[i], line[i]))
                elif c == 34:
                    if i + 1 < n and line[i + 1] not in _SPACES:
                        return None
                    i += 1
                    break
                else:
                    word.append(c)
            elif quote == 39:  # single
                if c == 92 and i + 1 < n and line[i + 1] == 39:
                    i += 1
                    word.append(39)
                elif c == 39:
                    if i + 1 < n and line[i + 1] not in _SPACES:
                        return None
                    i += 1
                    break
                else:
                    word.append(c)
            elif c in _WORD_ENDS:
                break
            elif c in (34, 39):
                quote = c
            else:
                word.append(c)
            i += 1
        words.append(bytes(word))
