"""Sets (Redis: t_set.c). The value is `values.set.Set`.

What SPOP draws comes from the log entry's randomness and the members' order, which are the same on every replica. It is
drawn by `Random.random`, the one method that Python promises to keep as it is: replicas may run on different versions.
"""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import Any

from redraft.commands import errors, parse
from redraft.commands.context import Context
from redraft.commands.key_finders import numkeys_at
from redraft.commands.members import draw, draw_count, scan_options, scanned
from redraft.commands.table import command
from redraft.errors import CommandError
from redraft.integers import INT64_MAX
from redraft.resp.reply import SetReply
from redraft.values.set import Set

REBUILD_FACTOR = 5
"""SPOP makes a new set of the members that stay if they are so many times fewer than those that go. (In Redis only;
here it just shows in OBJECT ENCODING.)"""

_NUMKEYS_NOT_POSITIVE = "ERR numkeys should be greater than 0"
_TOO_MANY_KEYS = "ERR Number of keys can't be greater than number of args"
_LIMIT_NEGATIVE = "ERR LIMIT can't be negative"

_PER_MEMBER = "O(N) where N is the number of members given."
_ALL_SETS = "O(N) where N is the number of members of all sets together."
_SMALLEST = "O(N*M) where N is the number of members of the smallest set and M the number of sets."
_UNORDERED = ("nondeterministic_output_order",)
_RANDOM = ("nondeterministic_output",)

_set = partial(command, group="set", acl="set")
_of_one = partial(_set, keys=(1, 1, 1))
_of_many = partial(_set, keys=(1, -1, 1))


# One set: writing.


@_of_one(
    "SADD", -3, "write denyoom fast", since="1.0.0", summary="Add members to a set", complexity=_PER_MEMBER,
    access="RW insert",
)  # fmt: skip
def sadd(context: Context, argv: list[bytes]) -> Any:
    return _add(context, argv[1], argv[2:])


def _add(context: Context, key: bytes, members: list[bytes]) -> int:
    held = context.collection(key, Set)
    if held is not None:
        members = held.lacking(members)
        if not members:
            return 0
    held = context.mutable(key, Set)
    if held is None:
        held = Set()
        context.db.put(key, held)
    return sum([held.add(member) for member in members])


@_of_one(
    "SREM", -3, "write fast", since="1.0.0", summary="Remove members from a set", complexity=_PER_MEMBER,
    access="RW delete",
)  # fmt: skip
def srem(context: Context, argv: list[bytes]) -> Any:
    return _remove(context, argv[1], argv[2:])


def _remove(context: Context, key: bytes, members: list[bytes]) -> int:
    held = context.collection(key, Set)
    if held is None or not (members := held.common(members)):
        return 0
    held = context.mutable(key, Set)
    assert held is not None
    removed = sum([held.remove(member) for member in members])
    if not len(held):
        context.delete(key)
    return removed


@_set(
    "SMOVE", 4, "write fast", since="1.0.0", summary="Move a member from one set to another",
    keys=(1, 2, 1), access="RW access delete; RW insert",
)  # fmt: skip
def smove(context: Context, argv: list[bytes]) -> Any:
    source, target, member = argv[1:]
    held = context.collection(source, Set)
    if held is None:
        return 0
    context.collection(target, Set)
    if member not in held:
        return 0
    if source != target:
        _remove(context, source, [member])
        _add(context, target, [member])
    return 1


@_of_one(
    "SPOP", -2, "write fast", since="1.0.0", summary="Take members out of a set at random",
    complexity="O(N) where N is the number of members taken.", access="RW access delete", tips=_RANDOM,
)  # fmt: skip
def spop(context: Context, argv: list[bytes]) -> Any:
    if len(argv) > 3:
        raise CommandError(errors.SYNTAX)
    count = 1
    if len(argv) == 3:
        count = parse.integer_in(argv[2], 0, INT64_MAX, errors.MUST_BE_POSITIVE)
    popped = _pop(context, argv[1], count)
    if len(argv) == 3:
        return SetReply(popped)
    return popped[0] if popped else None


def _pop(context: Context, key: bytes, count: int) -> list[bytes]:
    held = context.collection(key, Set)
    if held is None or not count:
        return []
    if count >= len(held):
        members = held.members.copy()
        context.delete(key)
        return members
    held = context.mutable(key, Set)
    assert held is not None
    random = context.random.random
    popped = [held.pop(int(random() * len(held))) for _ in range(count)]
    if len(held) * REBUILD_FACTOR <= count:
        held.encode_as_built_of(held.members)
    return popped


# One set: reading.


@_of_one("SCARD", 2, "readonly fast", since="1.0.0", summary="Count the members of a set", access="RO")
def scard(context: Context, argv: list[bytes]) -> Any:
    held = context.collection(argv[1], Set)
    return 0 if held is None else len(held)


@_of_one("SISMEMBER", 3, "readonly fast", since="1.0.0", summary="Tell whether a set has a member", access="RO")
def sismember(context: Context, argv: list[bytes]) -> Any:
    held = context.collection(argv[1], Set)
    return int(held is not None and argv[2] in held)


@_of_one(
    "SMISMEMBER", -3, "readonly fast", since="6.2.0", summary="Tell which of several members a set has",
    complexity=_PER_MEMBER, access="RO access",
)  # fmt: skip
def smismember(context: Context, argv: list[bytes]) -> Any:
    held = context.collection(argv[1], Set)
    return [int(held is not None and member in held) for member in argv[2:]]


@_of_one(
    "SMEMBERS", 2, "readonly", since="1.0.0", summary="Get all members of a set",
    complexity="O(N) where N is the number of members.", access="RO access", tips=_UNORDERED,
)  # fmt: skip
def smembers(context: Context, argv: list[bytes]) -> Any:
    held = context.collection(argv[1], Set)
    return SetReply() if held is None else SetReply(held.members)


@_of_one(
    "SRANDMEMBER", -2, "readonly", since="1.0.0", summary="Get members of a set at random",
    complexity="O(N) where N is the number of members returned.", access="RO access", tips=_RANDOM,
)  # fmt: skip
def srandmember(context: Context, argv: list[bytes]) -> Any:
    if len(argv) > 3:
        raise CommandError(errors.SYNTAX)
    count = draw_count(argv[2]) if len(argv) == 3 else None
    held = context.collection(argv[1], Set)
    if held is None:
        return None if count is None else []
    members = held.members
    if count is None:
        return members[draw(context.random, len(held), 1)[0]]
    return [members[position] for position in draw(context.random, len(held), count)]


@_of_one(
    "SSCAN", -3, "readonly", since="2.8.0", summary="Walk through the members of a set, a few at each call",
    complexity="O(COUNT) for each call, O(N) for the whole walk.", access="RO access", tips=_RANDOM,
)  # fmt: skip
def sscan(context: Context, argv: list[bytes]) -> Any:
    cursor = parse.cursor(argv[2])
    held = context.collection(argv[1], Set)
    if held is None:
        return [b"0", []]
    matches, count = scan_options(argv)
    following, positions = scanned(held, cursor, count, whole=held.encoding() == b"intset")
    found = held.members[positions.start : positions.stop]
    return [following, found if matches is None else [member for member in found if matches(member)]]


# Several sets.


def _sets(context: Context, keys: list[bytes]) -> list[Set | None]:
    return [context.collection(key, Set) for key in keys]


def _intersection(sets: list[Set | None]) -> list[bytes]:
    present = [held for held in sets if held is not None]
    if len(present) < len(sets):
        return []
    present.sort(key=len)
    members = present[0].members.copy()
    for held in present[1:]:
        members = held.common(members)
    return members


def _union(sets: list[Set | None]) -> list[bytes]:
    members: dict[bytes, None] = {}
    for held in sets:
        if held is not None:
            members.update(dict.fromkeys(held.members))
    return list(members)


def _difference(sets: list[Set | None]) -> list[bytes]:
    first = sets[0]
    if first is None:
        return []
    if not _takes_away(sets):
        members = first.members.copy()
        for held in sets[1:]:
            if held is not None:
                members = held.lacking(members)
        return members
    left = dict.fromkeys(first.members)
    for held in sets[1:]:
        if held is not None:
            for member in held.members:
                left.pop(member, None)
    return list(left)


def _takes_away(sets: list[Set | None]) -> bool:
    """Whether a difference is had more cheaply by taking the other sets' members away, one by one, than by looking
    each member of the first set up in all others. (Redis chooses so too, and it shows in OBJECT ENCODING: a set from
    which members were taken away stays what it was.)"""
    first = sets[0]
    present = [held for held in sets if held is not None]
    return first is not None and len(first) * len(present) // 2 > sum(map(len, present))


def _store(context: Context, key: bytes, stored: Set) -> int:
    context.delete(key)
    if len(stored):
        context.db.put(key, stored)
    return len(stored)


@_of_many(
    "SINTER", -2, "readonly", since="1.0.0", summary="Get the members that all sets have", complexity=_SMALLEST,
    access="RO access", tips=_UNORDERED,
)  # fmt: skip
def sinter(context: Context, argv: list[bytes]) -> Any:
    return SetReply(_intersection(_sets(context, argv[1:])))


@_of_many(
    "SINTERSTORE", -3, "write denyoom", since="1.0.0", summary="Store the members that all sets have",
    complexity=_SMALLEST, access="RW update; RO access",
)  # fmt: skip
def sinterstore(context: Context, argv: list[bytes]) -> Any:
    return _store(context, argv[1], Set(_intersection(_sets(context, argv[2:]))))


@_set(
    "SINTERCARD", -3, "readonly movablekeys", since="7.0.0", summary="Count the members that all sets have",
    complexity=_SMALLEST, find_keys=numkeys_at(1), access="RO access",
)  # fmt: skip
def sintercard(context: Context, argv: list[bytes]) -> Any:
    count = parse.integer_in(argv[1], 1, INT64_MAX, _NUMKEYS_NOT_POSITIVE)
    if count > len(argv) - 2:
        raise CommandError(_TOO_MANY_KEYS)
    limit = 0
    for position in range(2 + count, len(argv), 2):
        if argv[position].lower() != b"limit" or position + 1 == len(argv):
            raise CommandError(errors.SYNTAX)
        limit = parse.integer_in(argv[position + 1], 0, INT64_MAX, _LIMIT_NEGATIVE)
    sets = _sets(context, argv[2 : 2 + count])
    present = [held for held in sets if held is not None]
    if len(present) < count:
        return 0
    if not limit:
        return len(_intersection(sets))
    smallest, *others = sorted(present, key=len)
    found = (None for member in smallest.members if all(member in held for held in others))
    return sum(1 for _ in islice(found, min(limit, len(smallest))))


@_of_many(
    "SUNION", -2, "readonly", since="1.0.0", summary="Get the members that any of the sets has", complexity=_ALL_SETS,
    access="RO access", tips=_UNORDERED,
)  # fmt: skip
def sunion(context: Context, argv: list[bytes]) -> Any:
    return SetReply(_union(_sets(context, argv[1:])))


@_of_many(
    "SUNIONSTORE", -3, "write denyoom", since="1.0.0", summary="Store the members that any of the sets has",
    complexity=_ALL_SETS, access="OW update; RO access",
)  # fmt: skip
def sunionstore(context: Context, argv: list[bytes]) -> Any:
    return _store(context, argv[1], Set(_union(_sets(context, argv[2:]))))


@_of_many(
    "SDIFF", -2, "readonly", since="1.0.0", summary="Get the members of the first set that no other has",
    complexity=_ALL_SETS, access="RO access", tips=_UNORDERED,
)  # fmt: skip
def sdiff(context: Context, argv: list[bytes]) -> Any:
    return SetReply(_difference(_sets(context, argv[1:])))


@_of_many(
    "SDIFFSTORE", -3, "write denyoom", since="1.0.0", summary="Store the members of the first set that no other has",
    complexity=_ALL_SETS, access="OW update; RO access",
)  # fmt: skip
def sdiffstore(context: Context, argv: list[bytes]) -> Any:
    sets = _sets(context, argv[2:])
    stored = Set(_difference(sets))
    if sets[0] is not None and _takes_away(sets):
        stored.encode_as_built_of(sets[0].members)
    return _store(context, argv[1], stored)
