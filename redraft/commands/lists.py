"""Lists (Redis: t_list.c). The value is `values.list.List`.

`take` and `move` are also what the blocking commands do.
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
from redraft.resp.reply import NIL_ARRAY, OK
from redraft.values.list import List

_NUMKEYS_NOT_POSITIVE = "ERR numkeys should be greater than 0"
_COUNT_NOT_POSITIVE = "ERR count should be greater than 0"
_RANK_ZERO = (
    "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from "
    "the end of the list"
)
_COUNT_NEGATIVE = "ERR COUNT can't be negative"
_MAXLEN_NEGATIVE = "ERR MAXLEN can't be negative"

_PER_ELEMENT = "O(N) where N is the number of elements given."
_FROM_END = "O(1) at the ends, O(log(N)) elsewhere, where N is the length of the list."
_WHOLE = "O(N) where N is the length of the list."
_PER_POPPED = "O(N) where N is the number of elements taken."

_list = partial(command, group="list", acl="list")
_of_one = partial(_list, keys=(1, 1, 1))


# Pushing.


def _push(context: Context, key: bytes, elements: list[bytes], *, left: bool) -> int:
    held = context.mutable(key, List)
    if held is None:
        held = List()
        context.db.put(key, held)
    held.push(elements, left=left)
    return len(held)


def _push_if_there(context: Context, argv: list[bytes], *, left: bool) -> int:
    if context.collection(argv[1], List) is None:
        return 0
    return _push(context, argv[1], argv[2:], left=left)


@_of_one(
    "LPUSH", -3, "write denyoom fast", since="1.0.0", access="RW insert", complexity=_PER_ELEMENT,
    summary="Put elements at the head of a list",
)  # fmt: skip
def lpush(context: Context, argv: list[bytes]) -> Any:
    return _push(context, argv[1], argv[2:], left=True)


@_of_one(
    "RPUSH", -3, "write denyoom fast", since="1.0.0", access="RW insert", complexity=_PER_ELEMENT,
    summary="Put elements at the end of a list",
)  # fmt: skip
def rpush(context: Context, argv: list[bytes]) -> Any:
    return _push(context, argv[1], argv[2:], left=False)


@_of_one(
    "LPUSHX", -3, "write denyoom fast", since="2.2.0", access="RW insert", complexity=_PER_ELEMENT,
    summary="Put elements at the head of a list that is there",
)  # fmt: skip
def lpushx(context: Context, argv: list[bytes]) -> Any:
    return _push_if_there(context, argv, left=True)


@_of_one(
    "RPUSHX", -3, "write denyoom fast", since="2.2.0", access="RW insert", complexity=_PER_ELEMENT,
    summary="Put elements at the end of a list that is there",
)  # fmt: skip
def rpushx(context: Context, argv: list[bytes]) -> Any:
    return _push_if_there(context, argv, left=False)


@_of_one(
    "LINSERT", 5, "write denyoom", since="2.2.0", access="RW insert", complexity=_WHOLE,
    summary="Put an element before or after another one of a list",
)  # fmt: skip
def linsert(context: Context, argv: list[bytes]) -> Any:
    where = argv[2].lower()
    if where not in (b"before", b"after"):
        raise CommandError(errors.SYNTAX)
    held = context.collection(argv[1], List)
    if held is None:
        return 0
    position = held.position(argv[3])
    if position < 0:
        return -1
    held = context.mutable(argv[1], List)
    assert held is not None
    held.insert(position + (where == b"after"), argv[4])
    return len(held)


# Taking.


def take(context: Context, key: bytes, count: int, *, left: bool) -> list[bytes]:
    """Take up to `count` elements from an end of a list, the outermost first; none where there is no key. Raises
    WRONGTYPE."""
    held = context.collection(key, List)
    if held is None or not count:
        return []
    held = context.mutable(key, List)
    assert held is not None
    if count < held.size:
        return held.pop(count, left=left)
    elements = list(held)
    context.delete(key)
    return elements if left else elements[::-1]


def move(context: Context, source: bytes, target: bytes, *, from_left: bool, to_left: bool) -> bytes | None:
    """Take an element from an end of one list and put it at an end of another; None where there is no source. Raises
    WRONGTYPE."""
    if context.collection(source, List) is None:
        return None
    context.collection(target, List)
    (element,) = take(context, source, 1, left=from_left)
    _push(context, target, [element], left=to_left)
    return element


def is_left(word: bytes) -> bool:
    """LEFT or RIGHT."""
    side = word.lower()
    if side not in (b"left", b"right"):
        raise CommandError(errors.SYNTAX)
    return side == b"left"


def several_options(argv: list[bytes], position: int) -> tuple[list[bytes], int, bool]:
    """What follows LMPOP from `argv[position]` on: keys with their count before them, the count, whether LEFT."""
    numkeys = parse.integer_in(argv[position], 1, INT64_MAX, _NUMKEYS_NOT_POSITIVE)
    end = position + 1 + numkeys
    if end >= len(argv):
        raise CommandError(errors.SYNTAX)
    left = is_left(argv[end])
    count = None
    for at in range(end + 1, len(argv), 2):
        if argv[at].lower() != b"count" or at + 1 == len(argv) or count is not None:
            raise CommandError(errors.SYNTAX)
        count = parse.integer_in(argv[at + 1], 1, INT64_MAX, _COUNT_NOT_POSITIVE)
    return argv[position + 1 : end], count or 1, left


def _pop(context: Context, argv: list[bytes], *, left: bool) -> Any:
    if len(argv) > 3:
        raise errors.wrong_arity(argv[0].decode("latin-1").lower())
    if len(argv) == 2:
        taken = take(context, argv[1], 1, left=left)
        return taken[0] if taken else None
    count = parse.integer_in(argv[2], 0, INT64_MAX, errors.MUST_BE_POSITIVE)
    if context.collection(argv[1], List) is None:
        return NIL_ARRAY
    return take(context, argv[1], count, left=left)


@_of_one(
    "LPOP", -2, "write fast", since="1.0.0", access="RW access delete", complexity=_PER_POPPED,
    summary="Take elements from the head of a list",
)  # fmt: skip
def lpop(context: Context, argv: list[bytes]) -> Any:
    return _pop(context, argv, left=True)


@_of_one(
    "RPOP", -2, "write fast", since="1.0.0", access="RW access delete", complexity=_PER_POPPED,
    summary="Take elements from the end of a list",
)  # fmt: skip
def rpop(context: Context, argv: list[bytes]) -> Any:
    return _pop(context, argv, left=False)


@_list(
    "LMPOP", -4, "write movablekeys", since="7.0.0", find_keys=numkeys_at(1), access="RW access delete",
    complexity="O(N+M) where N is the number of keys and M the number of elements taken.",
    summary="Take elements out of the first list that has some",
)  # fmt: skip
def lmpop(context: Context, argv: list[bytes]) -> Any:
    keys, count, left = several_options(argv, 1)
    for key in keys:
        if taken := take(context, key, count, left=left):
            return [key, taken]
    return NIL_ARRAY


@_list(
    "LMOVE", 5, "write denyoom", since="6.2.0", keys=(1, 2, 1), access="RW access delete; RW insert",
    summary="Move an element from an end of one list to an end of another",
)  # fmt: skip
def lmove(context: Context, argv: list[bytes]) -> Any:
    return move(context, argv[1], argv[2], from_left=is_left(argv[3]), to_left=is_left(argv[4]))


@_list(
    "RPOPLPUSH", 3, "write denyoom", since="1.2.0", keys=(1, 2, 1), access="RW access delete; RW insert",
    summary="Move a list's last element to the head of another",
)  # fmt: skip
def rpoplpush(context: Context, argv: list[bytes]) -> Any:
    return move(context, argv[1], argv[2], from_left=False, to_left=True)


@_of_one(
    "LREM", 4, "write", since="1.0.0", access="RW delete", complexity=_WHOLE,
    summary="Remove elements that are equal to one",
)  # fmt: skip
def lrem(context: Context, argv: list[bytes]) -> Any:
    count = parse.integer(argv[2])
    held = context.collection(argv[1], List)
    if held is None or held.position(argv[3]) < 0:
        return 0
    held = context.mutable(argv[1], List)
    assert held is not None
    removed = held.remove(argv[3], abs(count) or held.size, left=count >= 0)
    if not held:
        context.delete(argv[1])
    return removed


def _span(size: int, first: bytes, last: bytes) -> tuple[int, int]:
    """Positions `[start, end)` of a range whose ends may be negative, and beyond the list."""
    return _clipped(size, parse.integer(first), parse.integer(last))


def _clipped(size: int, start: int, end: int) -> tuple[int, int]:
    start = max(start + size, 0) if start < 0 else start
    end = end + size if end < 0 else end
    return min(start, size), max(min(end, size - 1) + 1, 0)


@_of_one(
    "LTRIM", 4, "write", since="1.0.0", access="RW delete",
    complexity="O(N) where N is the number of elements removed.",
    summary="Remove what is outside of a range of a list",
)  # fmt: skip
def ltrim(context: Context, argv: list[bytes]) -> Any:
    _span(0, argv[2], argv[3])
    held = context.collection(argv[1], List)
    if held is None:
        return OK
    start, end = _span(held.size, argv[2], argv[3])
    if start >= end:
        context.delete(argv[1])
    elif end - start < held.size:
        held = context.mutable(argv[1], List)
        assert held is not None
        held.keep(start, end)
    return OK


# By position.


def _position(held: List, word: bytes) -> int | None:
    """A position that counts from the end when it is negative; None outside of the list."""
    position = parse.integer(word)
    if position < 0:
        position += held.size
    return position if 0 <= position < held.size else None


@_of_one(
    "LINDEX", 3, "readonly", since="1.0.0", access="RO access", complexity=_FROM_END,
    summary="Get an element of a list by its position",
)  # fmt: skip
def lindex(context: Context, argv: list[bytes]) -> Any:
    held = context.collection(argv[1], List)
    if held is None:
        return None
    position = _position(held, argv[2])
    return None if position is None else held.get(position)


@_of_one(
    "LSET", 4, "write denyoom", since="1.0.0", access="RW update", complexity=_FROM_END,
    summary="Replace an element of a list by its position",
)  # fmt: skip
def lset(context: Context, argv: list[bytes]) -> Any:
    held = context.collection(argv[1], List)
    if held is None:
        raise CommandError(errors.NO_SUCH_KEY)
    position = _position(held, argv[2])
    if position is None:
        raise CommandError(errors.INDEX_OUT_OF_RANGE)
    held = context.mutable(argv[1], List)
    assert held is not None
    held.set(position, argv[3])
    return OK


@_of_one("LLEN", 2, "readonly fast", since="1.0.0", access="RO", summary="Count the elements of a list")
def llen(context: Context, argv: list[bytes]) -> Any:
    held = context.collection(argv[1], List)
    return 0 if held is None else held.size


@_of_one(
    "LRANGE", 4, "readonly", since="1.0.0", access="RO access",
    complexity="O(N) where N is the number of elements of the range.", summary="Get a range of a list",
)  # fmt: skip
def lrange(context: Context, argv: list[bytes]) -> Any:
    first, last = parse.integer(argv[2]), parse.integer(argv[3])
    held = context.collection(argv[1], List)
    return [] if held is None else held.slice(*_clipped(held.size, first, last))


@_of_one(
    "LPOS", -3, "readonly", since="6.0.6", access="RO access", complexity=_WHOLE,
    summary="Find the positions of elements that are equal to one",
)  # fmt: skip
def lpos(context: Context, argv: list[bytes]) -> Any:
    rank, count, most = 1, None, 0
    for at in range(3, len(argv), 2):
        option = argv[at].lower()
        if at + 1 == len(argv) or option not in (b"rank", b"count", b"maxlen"):
            raise CommandError(errors.SYNTAX)
        if option == b"rank":
            rank = parse.integer(argv[at + 1])
            if rank == 0:
                raise CommandError(_RANK_ZERO)
        elif option == b"count":
            count = parse.integer_in(argv[at + 1], 0, INT64_MAX, _COUNT_NEGATIVE)
        else:
            most = parse.integer_in(argv[at + 1], 0, INT64_MAX, _MAXLEN_NEGATIVE)
    held = context.collection(argv[1], List)
    if held is None:
        return None if count is None else []
    found = _positions(held, argv[2], rank, 1 if count is None else count or held.size, most or held.size)
    if count is None:
        return found[0] if found else None
    return found


def _positions(held: List, element: bytes, rank: int, count: int, most: int) -> list[int]:
    """Up to `count` positions of an element, beginning with its `rank`th one, among the first `most` that are looked
    at; from the end for a negative rank."""
    if rank > 0:
        start, end = 0, min(most, held.size)
    else:
        start, end = max(0, held.size - most), held.size
    found: list[int] = []
    position = held.position(element, start)
    while 0 <= position < end:
        found.append(position)
        if rank > 0 and len(found) == rank - 1 + count:
            break
        position = held.position(element, position + 1)
    if rank < 0:
        found.reverse()
    return found[abs(rank) - 1 :][:count]
