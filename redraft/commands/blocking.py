"""Blocking commands of lists and sorted sets: each pops as its plain form does, or waits until it can.

A command that waits is tried again by the executor when one of its keys holds something, with `context.serving` naming
that key; it then looks at no other (blocked.c, handleClientsBlockedOnKeys).
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from redraft.commands import errors, lists, parse, sorted_set_pops
from redraft.commands.context import Context
from redraft.commands.key_finders import numkeys_at
from redraft.commands.table import command
from redraft.errors import CommandError
from redraft.integers import INT64_MAX
from redraft.values.list import List
from redraft.values.sorted_set import SortedSet


def timeout_ms(word: bytes) -> int:
    """A timeout in seconds, with a fraction; 0 is for ever (timeout.c, getTimeoutFromObjectOrReply)."""
    seconds = parse.maybe_strtod(word)
    if seconds is None:
        raise CommandError(errors.TIMEOUT_NOT_A_FLOAT)
    milliseconds = seconds * 1000
    if not -1 < milliseconds < INT64_MAX:  # what does not fit comes out as negative there
        raise CommandError(errors.TIMEOUT_NEGATIVE)
    return math.ceil(milliseconds)


def _looked_at(context: Context, keys: list[bytes]) -> list[bytes]:
    return keys if context.serving is None else [context.serving]


# Lists.


_list = partial(command, group="list", acl="list")


def _pop(context: Context, argv: list[bytes], *, left: bool) -> Any:
    timeout = timeout_ms(argv[-1])
    keys = argv[1:-1]
    for key in _looked_at(context, keys):
        if taken := lists.take(context, key, 1, left=left):
            return [key, taken[0]]
    return context.wait(keys, argv, List.type_name, timeout)


@_list(
    "BLPOP", -3, "write noscript blocking", since="2.0.0", keys=(1, -2, 1), access="RW access delete",
    summary="Take the first element out of the first list that has one, or wait for one",
    complexity="O(N) where N is the number of keys.",
)  # fmt: skip
def blpop(context: Context, argv: list[bytes]) -> Any:
    return _pop(context, argv, left=True)


@_list(
    "BRPOP", -3, "write noscript blocking", since="2.0.0", keys=(1, -2, 1), access="RW access delete",
    summary="Take the last element out of the first list that has one, or wait for one",
    complexity="O(N) where N is the number of keys.",
)  # fmt: skip
def brpop(context: Context, argv: list[bytes]) -> Any:
    return _pop(context, argv, left=False)


def _move(context: Context, argv: list[bytes], *, from_left: bool, to_left: bool) -> Any:
    timeout = timeout_ms(argv[-1])
    moved = lists.move(context, argv[1], argv[2], from_left=from_left, to_left=to_left)
    if moved is not None:
        return moved
    return context.wait([argv[1]], argv, List.type_name, timeout, instead=None)


@_list(
    "BLMOVE", 6, "write denyoom noscript blocking", since="6.2.0", keys=(1, 2, 1), access="RW access delete; RW insert",
    summary="Move an element from one list to another, or wait for one",
)  # fmt: skip
def blmove(context: Context, argv: list[bytes]) -> Any:
    return _move(context, argv, from_left=lists.is_left(argv[3]), to_left=lists.is_left(argv[4]))


@_list(
    "BRPOPLPUSH", 4, "write denyoom noscript blocking", since="2.2.0", keys=(1, 2, 1),
    access="RW access delete; RW insert", summary="Move a list's last element to the head of another, or wait for one",
)  # fmt: skip
def brpoplpush(context: Context, argv: list[bytes]) -> Any:
    return _move(context, argv, from_left=False, to_left=True)


@_list(
    "BLMPOP", -5, "write blocking movablekeys", since="7.0.0", find_keys=numkeys_at(2), access="RW access delete",
    summary="Take elements out of the first list that has some, or wait for some",
    complexity="O(N+M) where N is the number of keys and M the number of elements taken.",
)  # fmt: skip
def blmpop(context: Context, argv: list[bytes]) -> Any:
    keys, count, left = lists.several_options(argv, 2)
    timeout = timeout_ms(argv[1])
    for key in _looked_at(context, keys):
        if taken := lists.take(context, key, count, left=left):
            return [key, taken]
    return context.wait(keys, argv, List.type_name, timeout)


# Sorted sets.

_zset = partial(command, group="sorted-set", acl="sortedset")
_PER_MEMBER = "O(log(N)) where N is the number of members."


def _zpop(context: Context, argv: list[bytes], *, highest: bool) -> Any:
    timeout = timeout_ms(argv[-1])
    keys = argv[1:-1]
    found = sorted_set_pops.pop_first(context, _looked_at(context, keys), 1, highest=highest)
    if found is None:
        return context.wait(keys, argv, SortedSet.type_name, timeout)
    key, [(member, score)] = found
    return [key, member, score]


@_zset(
    "BZPOPMIN", -3, "write noscript blocking fast", since="5.0.0", keys=(1, -2, 1), access="RW access delete",
    summary="Take the member with the lowest score out of the first sorted set that has one, or wait for one",
    complexity=_PER_MEMBER,
)  # fmt: skip
def bzpopmin(context: Context, argv: list[bytes]) -> Any:
    return _zpop(context, argv, highest=False)


@_zset(
    "BZPOPMAX", -3, "write noscript blocking fast", since="5.0.0", keys=(1, -2, 1), access="RW access delete",
    summary="Take the member with the highest score out of the first sorted set that has one, or wait for one",
    complexity=_PER_MEMBER,
)  # fmt: skip
def bzpopmax(context: Context, argv: list[bytes]) -> Any:
    return _zpop(context, argv, highest=True)


@_zset(
    "BZMPOP", -5, "write blocking movablekeys", since="7.0.0", find_keys=numkeys_at(2), access="RW access delete",
    summary="Take members out of the first sorted set that has some, or wait for some",
    complexity="O(M*log(N)) where M is the number of members popped and N that of the sorted set.",
)  # fmt: skip
def bzmpop(context: Context, argv: list[bytes]) -> Any:
    keys, count, highest = sorted_set_pops.several_options(argv, 2)
    timeout = timeout_ms(argv[1])
    found = sorted_set_pops.pop_first(context, _looked_at(context, keys), count, highest=highest)
    if found is None:
        return context.wait(keys, argv, SortedSet.type_name, timeout)
    return sorted_set_pops.several(found)
