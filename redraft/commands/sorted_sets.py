"""Sorted sets, member by member: adding, removing, scores, ranks, scanning (Redis: t_zset.c).

Ranges stand in `sorted_set_ranges`, several sets at once in `sorted_set_algebra`, popping in `sorted_set_pops`.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from redraft.commands import errors, parse
from redraft.commands.context import Context
from redraft.commands.members import draw, draw_count, scan_options, scanned
from redraft.commands.table import command
from redraft.errors import CommandError
from redraft.integers import INT64_MAX
from redraft.resp.encoder import format_double
from redraft.resp.reply import Pairs
from redraft.values.sorted_set import SortedSet

_NX_AND_XX = "ERR XX and NX options at the same time are not compatible"
_GT_LT_NX = "ERR GT, LT, and/or NX options at the same time are not compatible"
_ONE_INCREMENT = "ERR INCR option supports a single increment-element pair"
_SCORE_NAN = "ERR resulting score is not a number (NaN)"

_PER_MEMBER = "O(M*log(N)) where M is the number of members given and N that of the sorted set."
_RANDOM = ("nondeterministic_output",)
_ZADD_WORDS = frozenset((b"nx", b"xx", b"gt", b"lt", b"ch", b"incr"))

_zset = partial(command, group="sorted-set", acl="sortedset", keys=(1, 1, 1))


@_zset(
    "ZADD", -4, "write denyoom fast", since="1.2.0", summary="Add members to a sorted set, or change their scores",
    complexity=_PER_MEMBER, access="RW update",
)  # fmt: skip
def zadd(context: Context, argv: list[bytes]) -> Any:
    if len(argv) == 4:
        if argv[2].lower() in _ZADD_WORDS:
            raise CommandError(errors.SYNTAX)
        return _put(context, argv[1], parse.floating(argv[2]), argv[3])
    position = 2
    words: set[bytes] = set()
    while position < len(argv) and (word := argv[position].lower()) in _ZADD_WORDS:
        words.add(word)
        position += 1
    count = len(argv) - position
    if count % 2 or not count:
        raise CommandError(errors.SYNTAX)
    if not words:
        pairs = [(parse.floating(argv[at]), argv[at + 1]) for at in range(position, len(argv), 2)]
        return _put_all(context, argv[1], pairs)
    return _zadd_with(context, argv, position, words)


def _put(context: Context, key: bytes, score: float, member: bytes) -> int:
    """Set a member's score; whether it is new."""
    held = context.collection(key, SortedSet)
    if held is not None and held.maybe_score(member) == score:
        return 0
    held = context.mutable(key, SortedSet)
    if held is None:
        held = SortedSet()
        context.db.put(key, held)
    return int(held.put(member, score))


def _put_all(context: Context, key: bytes, pairs: list[tuple[float, bytes]]) -> int:
    """Set the scores of members; how many are new."""
    held = context.collection(key, SortedSet)
    if held is not None and all(held.maybe_score(member) == score for score, member in pairs):
        return 0
    held = context.mutable(key, SortedSet)
    if held is None:
        held = SortedSet()
        context.db.put(key, held)
    put = held.put
    return sum([put(member, score) for score, member in pairs])


def _zadd_with(context: Context, argv: list[bytes], position: int, words: set[bytes]) -> Any:
    absent_only, present_only = b"nx" in words, b"xx" in words
    greater_only, less_only = b"gt" in words, b"lt" in words
    if absent_only and present_only:
        raise CommandError(_NX_AND_XX)
    if (greater_only and absent_only) or (less_only and absent_only) or (greater_only and less_only):
        raise CommandError(_GT_LT_NX)
    increments = b"incr" in words
    if increments and len(argv) - position > 2:
        raise CommandError(_ONE_INCREMENT)
    pairs = [(parse.floating(argv[at]), argv[at + 1]) for at in range(position, len(argv), 2)]
    held = context.collection(argv[1], SortedSet)
    scores: dict[bytes, float] = {}
    added = changed = 0
    for score, member in pairs:
        old = scores.get(member)
        if old is None and held is not None:
            old = held.maybe_score(member)
        if old is None:
            if present_only:
                continue
            added += 1
        else:
            if absent_only:
                continue
            if increments:
                score = _sum(old, score)
            if (greater_only and score <= old) or (less_only and score >= old):
                continue
            changed += score != old
        scores[member] = score
    if added or changed:
        _put_all(context, argv[1], [(score, member) for member, score in scores.items()])
    if increments:
        return next(iter(scores.values()), None)
    return added + changed if b"ch" in words else added


def _sum(score: float, increment: float) -> float:
    total = score + increment
    if math.isnan(total):
        raise CommandError(_SCORE_NAN)
    return total


@_zset(
    "ZINCRBY", 4, "write denyoom fast", since="1.2.0", summary="Add to a member's score",
    complexity="O(log(N)) where N is the number of members.", access="RW access update",
)  # fmt: skip
def zincrby(context: Context, argv: list[bytes]) -> Any:
    key, member = argv[1], argv[3]
    score = parse.floating(argv[2])
    held = context.collection(key, SortedSet)
    old = None if held is None else held.maybe_score(member)
    if old is not None:
        score = _sum(old, score)
    _put(context, key, score, member)
    return score


@_zset(
    "ZREM", -3, "write fast", since="1.2.0", summary="Remove members from a sorted set", complexity=_PER_MEMBER,
    access="RW delete",
)  # fmt: skip
def zrem(context: Context, argv: list[bytes]) -> Any:
    key = argv[1]
    held = context.collection(key, SortedSet)
    if held is None or not (members := held.common(argv[2:])):
        return 0
    held = context.mutable(key, SortedSet)
    assert held is not None
    removed = sum([held.remove(member) for member in members])
    if not len(held):
        context.delete(key)
    return removed


@_zset("ZCARD", 2, "readonly fast", since="1.2.0", summary="Count the members of a sorted set", access="RO")
def zcard(context: Context, argv: list[bytes]) -> Any:
    held = context.collection(argv[1], SortedSet)
    return 0 if held is None else len(held)


@_zset("ZSCORE", 3, "readonly fast", since="1.2.0", summary="Get a member's score", access="RO access")
def zscore(context: Context, argv: list[bytes]) -> Any:
    held = context.collection(argv[1], SortedSet)
    return None if held is None else held.maybe_score(argv[2])


@_zset(
    "ZMSCORE", -3, "readonly fast", since="6.2.0", summary="Get the scores of several members",
    complexity="O(N) where N is the number of members given.", access="RO access",
)  # fmt: skip
def zmscore(context: Context, argv: list[bytes]) -> Any:
    held = context.collection(argv[1], SortedSet)
    return [None if held is None else held.maybe_score(member) for member in argv[2:]]


_rank = partial(_zset, complexity="O(log(N)) where N is the number of members.", access="RO access")


@_rank("ZRANK", 3, "readonly fast", since="2.0.0", summary="Get a member's place, the lowest score's being 0")
def zrank(context: Context, argv: list[bytes]) -> Any:
    held = context.collection(argv[1], SortedSet)
    return None if held is None else held.maybe_rank(argv[2])


@_rank("ZREVRANK", 3, "readonly fast", since="2.0.0", summary="Get a member's place, the highest score's being 0")
def zrevrank(context: Context, argv: list[bytes]) -> Any:
    held = context.collection(argv[1], SortedSet)
    rank = None if held is None else held.maybe_rank(argv[2])
    return None if held is None or rank is None else len(held) - 1 - rank


@_zset(
    "ZRANDMEMBER", -2, "readonly", since="6.2.0", summary="Get members of a sorted set at random",
    complexity="O(N) where N is the number of members returned.", access="RO access", tips=_RANDOM,
)  # fmt: skip
def zrandmember(context: Context, argv: list[bytes]) -> Any:
    count = draw_count(argv[2]) if len(argv) > 2 else None
    with_scores = len(argv) > 3
    if with_scores and (len(argv) > 4 or argv[3].lower() != b"withscores"):
        raise CommandError(errors.SYNTAX)
    if with_scores and count is not None and abs(count) > INT64_MAX // 2:
        raise CommandError(errors.OUT_OF_RANGE)
    held = context.collection(argv[1], SortedSet)
    if held is None:
        return None if count is None else []
    if count is None:
        return held.members[draw(context.random, len(held), 1)[0]]
    if count >= len(held):
        everything = range(len(held))
        if with_scores:
            return Pairs((member, score) for score, member in held.walk(everything))
        return held.members_in(everything)
    drawn = draw(context.random, len(held), count)
    if with_scores:
        return Pairs((held.members[position], held.scores[position]) for position in drawn)
    return [held.members[position] for position in drawn]


@_zset(
    "ZSCAN", -3, "readonly", since="2.8.0", summary="Walk through the members of a sorted set, a few at each call",
    complexity="O(COUNT) for each call, O(N) for the whole walk.", access="RO access", tips=_RANDOM,
)  # fmt: skip
def zscan(context: Context, argv: list[bytes]) -> Any:
    cursor = parse.cursor(argv[2])
    held = context.collection(argv[1], SortedSet)
    if held is None:
        return [b"0", []]
    matches, count = scan_options(argv)
    small = held.encoding() == b"listpack"
    if small:
        following, pairs = b"0", list(held.walk(range(len(held))))
    else:
        following, positions = scanned(held, cursor, count, whole=False)
        pairs = [(held.scores[position], held.members[position]) for position in positions]
    found: list[bytes] = []
    for score, member in pairs:
        if matches is None or matches(member):
            found += (member, _listpack_score(score) if small else format_double(score))
    return [following, found]


def _listpack_score(score: float) -> bytes:
    """As Redis holds it in a listpack: a whole number of 64 bits as that, also where a double is shown otherwise."""
    return b"%d" % int(score) if abs(score) < 1 << 63 and score == int(score) else format_double(score)
