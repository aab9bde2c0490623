"""SORT and SORT_RO (Redis: sort.c): the elements of a list, a set or a sorted set in order, perhaps by other keys.

SORT is a write because it may store what it has sorted. A set that is not to be sorted has its own order here; stored,
it is sorted by its bytes, as in Redis. Strings are compared by their bytes, not by a locale.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

from redraft.commands import errors, parse
from redraft.commands.context import Context
from redraft.commands.key_finders import KeywordFinder
from redraft.commands.table import command
from redraft.errors import CommandError
from redraft.values.hash import Hash
from redraft.values.list import List
from redraft.values.set import Set
from redraft.values.sorted_set import SortedSet

_NO_DOUBLE = "ERR One or more scores can't be converted into double"

_COMPLEXITY = "O(N*log(N)) where N is the number of elements; O(N) when they are not sorted."


@dataclass
class _Asked:
    """The options of a SORT."""

    by: bytes | None = None
    start: int = 0
    count: int = -1
    patterns: list[bytes] = field(default_factory=list)
    descending: bool = False
    alpha: bool = False
    target: bytes | None = None

    @property
    def as_it_is(self) -> bool:
        """Whether nothing is to be sorted: BY names a pattern without a star."""
        return self.by is not None and b"*" not in self.by


def _options(argv: list[bytes], *, may_store: bool) -> _Asked:
    asked = _Asked()
    at = 2
    while at < len(argv):
        word, left = argv[at].lower(), len(argv) - at - 1
        if word in (b"asc", b"desc"):
            asked.descending = word == b"desc"
        elif word == b"alpha":
            asked.alpha = True
        elif word == b"limit" and left >= 2:
            asked.start, asked.count = parse.integer(argv[at + 1]), parse.integer(argv[at + 2])
            at += 2
        elif word == b"store" and left >= 1 and may_store:
            asked.target = argv[at + 1]
            at += 1
        elif word == b"by" and left >= 1:
            asked.by = argv[at + 1]
            at += 1
        elif word == b"get" and left >= 1:
            asked.patterns.append(argv[at + 1])
            at += 1
        else:
            raise CommandError(errors.SYNTAX)
        at += 1
    return asked


def _followed(context: Context, pattern: bytes, element: bytes) -> bytes | None:
    """The string that a pattern names for an element: `#` is the element itself, `*` stands for it in a key's name, and
    `->` separates the name from a hash's field."""
    if pattern == b"#":
        return element
    before, star, after = pattern.partition(b"*")
    if not star:
        return None
    after, arrow, name = after.partition(b"->")
    if arrow and not name:
        after, arrow = after + arrow, b""
    value = context.get(before + element + after)
    if arrow:
        return value.get(name) if isinstance(value, Hash) else None
    return bytes(value) if isinstance(value, (bytes, bytearray)) else None


def _elements(held: List | Set | SortedSet, *, backwards: bool) -> list[bytes]:
    if isinstance(held, SortedSet):
        return held.members_in(range(len(held)), backwards)
    if isinstance(held, List):
        return list(held)[::-1] if backwards else list(held)
    return list(held.members)


def _ordered(context: Context, asked: _Asked, elements: list[bytes]) -> list[bytes]:
    by = asked.by
    weights = elements if by is None else [_followed(context, by, element) for element in elements]
    keys: list[Any]
    if asked.alpha:
        keys = [(weight is not None, weight or b"") for weight in weights]
    else:
        keys = list(zip(map(_number, weights), elements, strict=True))
    places = sorted(range(len(elements)), key=keys.__getitem__, reverse=asked.descending)
    return [elements[place] for place in places]


def _number(weight: bytes | None) -> float:
    """A weight as a double; 0 where there is none."""
    if weight is None:
        return 0.0
    number = parse.maybe_float(weight.lstrip(b" \t\n\v\f\r") or weight) if weight else 0.0
    if number is None:
        raise CommandError(_NO_DOUBLE)
    return number


def _limited(asked: _Asked, size: int) -> slice:
    start = min(max(asked.start, 0), size)
    return slice(start, size if asked.count < 0 else min(start + asked.count, size))


def _sorted(context: Context, argv: list[bytes], *, may_store: bool) -> Any:
    asked = _options(argv, may_store=may_store)
    held = context.get(argv[1])
    if held is not None and not isinstance(held, (List, Set, SortedSet)):
        raise CommandError(errors.WRONG_TYPE)
    if asked.as_it_is and isinstance(held, Set) and asked.target is not None:
        asked.by, asked.alpha = None, True
    elements = [] if held is None else _elements(held, backwards=asked.as_it_is and asked.descending)
    if not asked.as_it_is:
        elements = _ordered(context, asked, elements)
    elements = elements[_limited(asked, len(elements))]
    found: list[bytes | None] = list(elements)
    if asked.patterns:
        found = [_followed(context, pattern, element) for element in elements for pattern in asked.patterns]
    if asked.target is None:
        return found
    context.delete(asked.target)
    if found:
        context.db.put(asked.target, List([value or b"" for value in found]))
    return len(found)


_sort = partial(command, group="generic", complexity=_COMPLEXITY, keys=(1, 1, 1), acl="set sortedset list dangerous")


@_sort(
    "SORT", -2, "write denyoom movablekeys", since="1.0.0", find_keys=KeywordFinder((b"STORE",), 2, anywhere=True),
    access="RO access; RO access; OW update",
    summary="Sort the elements of a list, a set or a sorted set, and perhaps store them",
)  # fmt: skip
def sort(context: Context, argv: list[bytes]) -> Any:
    return _sorted(context, argv, may_store=True)


@_sort(
    "SORT_RO", -2, "readonly movablekeys", since="7.0.0", access="RO access; RO access",
    find_keys=KeywordFinder((), 2, anywhere=True),
    summary="Sort the elements of a list, a set or a sorted set",
)  # fmt: skip
def sort_ro(context: Context, argv: list[bytes]) -> Any:
    return _sorted(context, argv, may_store=False)
