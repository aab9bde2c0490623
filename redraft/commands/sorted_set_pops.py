"""Popping from sorted sets: from one, and from the first of several that has members.

`pop` and `pop_first` are also what the blocking forms do once they have waited.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from redraft.commands import errors, parse
from redraft.commands.context import Context
from redraft.commands.key_finders import numkeys_at
from redraft.commands.table import command
from redraft.errors import CommandError
from redraft.integers import INT64_MAX
from redraft.resp.reply import NIL_ARRAY, Pairs
from redraft.values.sorted_set import SortedSet

_NUMKEYS_NOT_POSITIVE = "ERR numkeys should be greater than 0"
_COUNT_NOT_POSITIVE = "ERR count should be greater than 0"

_PER_MEMBER = "O(M*log(N)) where M is the number of members popped and N that of the sorted set."

Popped = list[tuple[bytes, float]]
"""Members with their scores, in the order in which they were popped."""


def pop(context: Context, key: bytes, count: int, *, highest: bool) -> Popped:
    """Take up to `count` members with the lowest scores, or the highest, out of a sorted set: none where there is no
    key. Raises WRONGTYPE."""
    held = context.collection(key, SortedSet)
    if held is None or count <= 0:
        return []
    size = len(held)
    if count >= size:
        popped = [(member, score) for score, member in held.walk(range(size), highest)]
        context.delete(key)
        return popped
    held = context.mutable(key, SortedSet)
    assert held is not None
    if count == 1:
        score, member = held.pop(highest=highest)
        return [(member, score)]
    span = range(size - count, size) if highest else range(count)
    taken = held.remove_span(span)
    if highest:
        taken.reverse()
    return [(member, score) for score, member in taken]


def pop_first(context: Context, keys: list[bytes], count: int, *, highest: bool) -> tuple[bytes, Popped] | None:
    """Pop from the first of `keys` that is there: its name and what was popped. Raises WRONGTYPE, unless a key before
    was there."""
    for key in keys:
        if popped := pop(context, key, count, highest=highest):
            return key, popped
    return None


def several(found: tuple[bytes, Popped] | None) -> Any:
    """The reply of ZMPOP: the key, and an array for each member."""
    if found is None:
        return NIL_ARRAY
    return [found[0], [list(pair) for pair in found[1]]]


def several_options(argv: list[bytes], position: int) -> tuple[list[bytes], int, bool]:
    """What follows ZMPOP from `argv[position]` on: keys with their count before them, the count, whether MAX."""
    numkeys = parse.integer_in(argv[position], 1, INT64_MAX, _NUMKEYS_NOT_POSITIVE)
    end = position + 1 + numkeys
    if end >= len(argv) or (where := argv[end].lower()) not in (b"min", b"max"):
        raise CommandError(errors.SYNTAX)
    count = None
    for at in range(end + 1, len(argv), 2):
        if argv[at].lower() != b"count" or at + 1 == len(argv) or count is not None:
            raise CommandError(errors.SYNTAX)
        count = parse.integer_in(argv[at + 1], 1, INT64_MAX, _COUNT_NOT_POSITIVE)
    return argv[position + 1 : end], count or 1, where == b"max"


_pop = partial(
    command, arity=-2, flags="write fast", group="sorted-set", since="5.0.0", complexity=_PER_MEMBER, keys=(1, 1, 1),
    access="RW access delete", acl="sortedset",
)  # fmt: skip


@_pop("ZPOPMIN", summary="Take the members with the lowest scores out of a sorted set")
def zpopmin(context: Context, argv: list[bytes]) -> Any:
    return _zpop(context, argv, highest=False)


@_pop("ZPOPMAX", summary="Take the members with the highest scores out of a sorted set")
def zpopmax(context: Context, argv: list[bytes]) -> Any:
    return _zpop(context, argv, highest=True)


def _zpop(context: Context, argv: list[bytes], *, highest: bool) -> Any:
    if len(argv) > 3:
        raise CommandError(errors.SYNTAX)
    if len(argv) == 2:
        popped = pop(context, argv[1], 1, highest=highest)
        return [item for pair in popped for item in pair]
    count = parse.integer_in(argv[2], 0, INT64_MAX, errors.MUST_BE_POSITIVE)
    return Pairs(pop(context, argv[1], count, highest=highest))


@command(
    "ZMPOP", -4, "write movablekeys", group="sorted-set", since="7.0.0", complexity=_PER_MEMBER,
    summary="Take members out of the first sorted set that has some", find_keys=numkeys_at(1),
    access="RW access delete", acl="sortedset",
)  # fmt: skip
def zmpop(context: Context, argv: list[bytes]) -> Any:
    keys, count, highest = several_options(argv, 1)
    return several(pop_first(context, keys, count, highest=highest))
