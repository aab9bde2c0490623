"""Hashes (Redis: t_hash.c). The value is `values.hash.Hash`."""

from __future__ import annotations

from functools import partial
from typing import Any

from redraft.commands import errors, parse
from redraft.commands.context import Context
from redraft.commands.members import draw, draw_count, scan_options, scanned
from redraft.commands.table import command
from redraft.errors import CommandError
from redraft.integers import INT64_MAX, INT64_MIN, parse_int64
from redraft.resp.reply import OK, Map, Pairs
from redraft.values import long_double
from redraft.values.hash import Hash

_NOT_AN_INTEGER = "ERR hash value is not an integer"
_NOT_A_FLOAT = "ERR hash value is not a float"
_NAN_OR_INFINITY = "ERR value is NaN or Infinity"

_PER_FIELD = "O(N) where N is the number of fields given."
_WHOLE = "O(N) where N is the number of fields of the hash."
_UNORDERED = ("nondeterministic_output_order",)

_hash = partial(command, group="hash", acl="hash", keys=(1, 1, 1))


def _made(context: Context, key: bytes) -> Hash:
    """The hash at `key`, to be changed; an empty one is put there if there is none."""
    held = context.mutable(key, Hash)
    if held is None:
        held = Hash()
        context.db.put(key, held)
    return held


# Writing.


@_hash(
    "HSET", -4, "write denyoom fast", since="2.0.0", summary="Set fields of a hash", complexity=_PER_FIELD,
    access="RW update",
)  # fmt: skip
def hset(context: Context, argv: list[bytes]) -> Any:
    if len(argv) % 2:
        raise errors.wrong_arity("hset")
    put = _made(context, argv[1]).set
    if len(argv) == 4:
        return int(put(argv[2], argv[3]))
    return sum([put(argv[position], argv[position + 1]) for position in range(2, len(argv), 2)])


@_hash(
    "HMSET", -4, "write denyoom fast", since="2.0.0", summary="Set fields of a hash (now HSET)", complexity=_PER_FIELD,
    access="RW update",
)  # fmt: skip
def hmset(context: Context, argv: list[bytes]) -> Any:
    if len(argv) % 2:
        raise errors.wrong_arity("hmset")
    hset(context, argv)
    return OK


@_hash(
    "HSETNX", 4, "write denyoom fast", since="2.0.0", summary="Set a field of a hash unless it exists",
    access="RW insert",
)  # fmt: skip
def hsetnx(context: Context, argv: list[bytes]) -> Any:
    held = context.collection(argv[1], Hash)
    if held is not None and argv[2] in held:
        return 0
    _made(context, argv[1]).set(argv[2], argv[3])
    return 1


@_hash(
    "HDEL", -3, "write fast", since="2.0.0", summary="Remove fields from a hash", complexity=_PER_FIELD,
    access="RW delete",
)  # fmt: skip
def hdel(context: Context, argv: list[bytes]) -> Any:
    key = argv[1]
    held = context.collection(key, Hash)
    if held is None or not (fields := held.common(argv[2:])):
        return 0
    held = context.mutable(key, Hash)
    assert held is not None
    removed = sum([held.remove(field) for field in fields])
    if not len(held):
        context.delete(key)
    return removed


@_hash(
    "HINCRBY", 4, "write denyoom fast", since="2.0.0", summary="Add to the integer of a field",
    access="RW access update",
)  # fmt: skip
def hincrby(context: Context, argv: list[bytes]) -> Any:
    increment = parse.integer(argv[3])
    held = context.collection(argv[1], Hash)
    value = None if held is None else held.get(argv[2])
    number = 0 if value is None else parse_int64(value)
    if number is None:
        raise CommandError(_NOT_AN_INTEGER)
    number += increment
    if not INT64_MIN <= number <= INT64_MAX:
        raise CommandError(errors.INCREMENT_OVERFLOW)
    _made(context, argv[1]).set(argv[2], b"%d" % number)
    return number


@_hash(
    "HINCRBYFLOAT", 4, "write denyoom fast", since="2.6.0", summary="Add to the floating point number of a field",
    access="RW access update",
)  # fmt: skip
def hincrbyfloat(context: Context, argv: list[bytes]) -> Any:
    increment = long_double.parse(argv[3])
    if increment is None:
        raise CommandError(errors.NOT_A_FLOAT)
    if isinstance(increment, float):
        raise CommandError(_NAN_OR_INFINITY)
    held = context.collection(argv[1], Hash)
    value = None if held is None else held.get(argv[2])
    number = long_double.parse(b"0" if value is None else value)
    if number is None:
        raise CommandError(_NOT_A_FLOAT)
    try:
        text = long_double.show(long_double.add(number, increment))
    except long_double.LongDoubleOverflowError:
        raise CommandError(errors.INCREMENT_NAN_OR_INFINITY) from None
    _made(context, argv[1]).set(argv[2], text)
    return text


# Reading fields.


@_hash("HGET", 3, "readonly fast", since="2.0.0", summary="Get the value of a field", access="RO access")
def hget(context: Context, argv: list[bytes]) -> Any:
    held = context.collection(argv[1], Hash)
    return None if held is None else held.get(argv[2])


@_hash(
    "HMGET", -3, "readonly fast", since="2.0.0", summary="Get the values of several fields", complexity=_PER_FIELD,
    access="RO access",
)  # fmt: skip
def hmget(context: Context, argv: list[bytes]) -> Any:
    held = context.collection(argv[1], Hash)
    if held is None:
        return [None] * (len(argv) - 2)
    return [held.get(field) for field in argv[2:]]


@_hash("HEXISTS", 3, "readonly fast", since="2.0.0", summary="Tell whether a hash has a field", access="RO")
def hexists(context: Context, argv: list[bytes]) -> Any:
    held = context.collection(argv[1], Hash)
    return int(held is not None and argv[2] in held)


@_hash("HSTRLEN", 3, "readonly fast", since="3.2.0", summary="Get the length of the value of a field", access="RO")
def hstrlen(context: Context, argv: list[bytes]) -> Any:
    held = context.collection(argv[1], Hash)
    return 0 if held is None else len(held.get(argv[2]) or b"")


@_hash("HLEN", 2, "readonly fast", since="2.0.0", summary="Count the fields of a hash", access="RO")
def hlen(context: Context, argv: list[bytes]) -> Any:
    held = context.collection(argv[1], Hash)
    return 0 if held is None else len(held)


# Reading the whole.


@_hash(
    "HGETALL", 2, "readonly", since="2.0.0", summary="Get all fields of a hash and their values", complexity=_WHOLE,
    access="RO access", tips=_UNORDERED,
)  # fmt: skip
def hgetall(context: Context, argv: list[bytes]) -> Any:
    held = context.collection(argv[1], Hash)
    return Map() if held is None else Map(zip(held.members, held.values, strict=True))


@_hash(
    "HKEYS", 2, "readonly", since="2.0.0", summary="Get all fields of a hash", complexity=_WHOLE, access="RO access",
    tips=_UNORDERED,
)  # fmt: skip
def hkeys(context: Context, argv: list[bytes]) -> Any:
    held = context.collection(argv[1], Hash)
    return [] if held is None else held.members.copy()


@_hash(
    "HVALS", 2, "readonly", since="2.0.0", summary="Get all values of a hash", complexity=_WHOLE, access="RO access",
    tips=_UNORDERED,
)  # fmt: skip
def hvals(context: Context, argv: list[bytes]) -> Any:
    held = context.collection(argv[1], Hash)
    return [] if held is None else held.values.copy()


@_hash(
    "HRANDFIELD", -2, "readonly", since="6.2.0", summary="Get fields of a hash at random",
    complexity="O(N) where N is the number of fields returned.", access="RO access", tips=("nondeterministic_output",),
)  # fmt: skip
def hrandfield(context: Context, argv: list[bytes]) -> Any:
    if len(argv) == 2:
        held = context.collection(argv[1], Hash)
        return None if held is None else held.members[draw(context.random, len(held), 1)[0]]
    count = draw_count(argv[2])
    with_values = len(argv) == 4
    if len(argv) > 4 or (with_values and argv[3].lower() != b"withvalues"):
        raise CommandError(errors.SYNTAX)
    if with_values and abs(count) > INT64_MAX // 2:
        raise CommandError(errors.OUT_OF_RANGE)
    held = context.collection(argv[1], Hash)
    if held is None:
        return []
    positions = draw(context.random, len(held), count)
    fields, values = held.members, held.values
    if with_values:
        return Pairs((fields[position], values[position]) for position in positions)
    return [fields[position] for position in positions]


@_hash(
    "HSCAN", -3, "readonly", since="2.8.0", summary="Walk through the fields of a hash, a few at each call",
    complexity="O(COUNT) for each call, O(N) for the whole walk.", access="RO access",
    tips=("nondeterministic_output",),
)  # fmt: skip
def hscan(context: Context, argv: list[bytes]) -> Any:
    cursor = parse.cursor(argv[2])
    held = context.collection(argv[1], Hash)
    if held is None:
        return [b"0", []]
    matches, count = scan_options(argv)
    following, positions = scanned(held, cursor, count, whole=held.encoding() == b"listpack")
    fields, values = held.members, held.values
    found: list[bytes] = []
    for position in positions:
        if matches is None or matches(fields[position]):
            found += (fields[position], values[position])
    return [following, found]
