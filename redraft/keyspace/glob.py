"""Redis's glob patterns: matchers, and the prefix that a pattern fixes.

Redis's matcher (util.c, stringmatchlen) is byte-wise: `*` any run, `?` one byte, `[abc]`, `[^abc]`, `[a-z]` (either
order), `\\x` the byte x. A `[` without `]` ends its class at the end; a lone `\\` at the end stands for itself.

Theory. Stars cut a pattern into pieces of fixed length. The first piece must stand at the begin, the last at the end,
and each of the others is matched at its first place and never again, which is enough, since the next star takes up
whatever is left: `a*a*a*b` on a long run of `a` does not try every split (Redis: CVE-2022-36021), and nothing recurs
(CVE-2024-31228). So a match takes at most the product of both lengths.

A pattern as people write it becomes one regular expression, whose pieces are atomic groups, and is kept. A very long
one would take seconds to compile and be kept for nothing: its pieces are looked for one by one, and not before a text
comes that is as long as all of them together.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property, lru_cache

Matcher = Callable[[bytes], object]
"""A function that is truthy for the byte strings that its pattern matches whole."""

KEPT_BYTES = 1024
"""Patterns up to this length are compiled and kept; `KEPT` of them."""
KEPT = 512

_CLASS = rb"\[\^?(?:\\.|[^\]]-.|[^\]])*\]?"
_TOKEN = re.compile(rb"\*+|\?|%b|\\.|[^*?\[\\]+|\\$" % _CLASS, re.DOTALL)
_ONE_BYTE = re.compile(rb"\\.|%b" % _CLASS, re.DOTALL)
"""What stands for one byte of a text, but takes more in a pattern."""
_LITERAL = re.compile(rb"(?:[^*?\[\\]++|(?:\\.)++|\\$)*+", re.DOTALL)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)


def matcher(pattern: bytes) -> Matcher:
    """What tells whether `pattern` matches."""
    return _kept_matcher(pattern) if len(pattern) <= KEPT_BYTES else _Pieces(pattern)


@lru_cache(maxsize=KEPT)
def _kept_matcher(pattern: bytes) -> Matcher:
    if pattern == b"*":
        return lambda _: True
    pieces = [b"".join(map(_as_expression, piece)) for piece in _pieces(pattern)]
    if len(pieces) == 1:
        expression = pieces[0]
    else:
        middle = b"".join(b"(?>.*?%b)" % piece for piece in pieces[1:-1])
        expression = pieces[0] + middle + b".*" + pieces[-1]
    return re.compile(expression, re.DOTALL).fullmatch


def prefix(pattern: bytes) -> bytes:
    """The literal bytes with which everything that `pattern` matches begins: a scan may start there."""
    literal = _LITERAL.match(pattern)
    assert literal is not None
    return _ESCAPED.sub(rb"\1", literal[0]) if b"\\" in literal[0] else literal[0]


Element = bytes | frozenset[int] | None
"""What stands in a piece: bytes as they are; any one of some bytes; None for any byte at all."""


def _pieces(pattern: bytes) -> list[list[Element]]:
    """What stands between the stars; nothing between two of them is left out, but the first and the last are always
    there."""
    pieces: list[list[Element]] = [[]]
    for text in _TOKEN.findall(pattern):
        first = text[:1]
        if first == b"*":
            if pieces[-1] or len(pieces) == 1:
                pieces.append([])
        elif text == b"?":
            pieces[-1].append(None)
        elif first == b"[":
            pieces[-1].append(_class(text))
        else:
            pieces[-1].append(text[1:] if first == b"\\" and len(text) > 1 else text)
    return pieces


def _class(text: bytes) -> frozenset[int]:
    """The bytes of a class, given with its brackets."""
    negated = text[1:2] == b"^"
    i = 2 if negated else 1
    n = len(text)
    members: set[int] = set()
    while i < n:
        c = text[i]
        if c == ord("\\") and i + 1 < n:
            members.add(text[i + 1])
            i += 2
        elif c == ord("]"):
            break
        elif i + 2 < n and text[i + 1] == ord("-"):
            low, high = sorted((c, text[i + 2]))
            members.update(range(low, high + 1))
            i += 3
        else:
            members.add(c)
            i += 1
    return frozenset(range(256)) - members if negated else frozenset(members)


def _as_expression(element: Element) -> bytes:
    if element is None:
        return b"."
    if isinstance(element, bytes):
        return re.escape(element)
    return b"[" + b"".join(b"\\x%02x" % member for member in sorted(element)) + b"]" if element else b"(?!)"


def _length(piece: list[Element]) -> int:
    return sum(len(element) if isinstance(element, bytes) else 1 for element in piece)


class _Pieces:
    """A matcher of a long pattern, which is taken to pieces when a text comes that is long enough."""

    def __init__(self, pattern: bytes) -> None:
        self._pattern = pattern
        self._least = len(_ONE_BYTE.sub(b"?", pattern).replace(b"*", b""))

    def __call__(self, text: bytes) -> bool:
        return len(text) >= self._least and self._matches(text)

    @cached_property
    def _split(self) -> list[tuple[list[Element], int]]:
        """The pieces and their lengths."""
        return [(piece, _length(piece)) for piece in map(_joined, _pieces(self._pattern))]

    def _matches(self, text: bytes) -> bool:
        pieces = self._split
        first, position = pieces[0]
        if len(pieces) == 1:
            return len(text) == position and _stands_at(first, text, 0)
        last, last_length = pieces[-1]
        end = len(text) - last_length
        if not _stands_at(first, text, 0) or not _stands_at(last, text, end):
            return False
        for piece, length in pieces[1:-1]:
            found = _find(piece, text, position, end - length)
            if found < 0:
                return False
            position = found + length
        return True


def _joined(piece: list[Element]) -> list[Element]:
    """A piece whose neighbouring literals are one."""
    joined: list[Element] = []
    literal: list[bytes] = []
    for element in [*piece, None]:
        if isinstance(element, bytes):
            literal.append(element)
            continue
        if literal:
            joined.append(b"".join(literal))
            literal = []
        joined.append(element)
    joined.pop()
    return joined


def _stands_at(piece: list[Element], text: bytes, position: int) -> bool:
    for element in piece:
        if isinstance(element, bytes):
            if not text.startswith(element, position):
                return False
            position += len(element)
            continue
        if element is not None and text[position] not in element:
            return False
        position += 1
    return True


def _find(piece: list[Element], text: bytes, position: int, last: int) -> int:
    """The first place from `position` to `last` at which a piece stands; -1 if there is none."""
    head = piece[0]
    while position <= last:
        if isinstance(head, bytes):
            position = text.find(head, position, last + len(head))
            if position < 0:
                return -1
        if _stands_at(piece, text, position):
            return position
        position += 1
    return -1
