"""Ranges of sorted sets: by rank, by score, by member; to get, count, store and remove them (Redis: t_zset.c)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import partial
from typing import Any

from redraft.commands import errors, parse
from redraft.commands.context import Context
from redraft.commands.table import command
from redraft.errors import CommandError
from redraft.resp.reply import Pairs
from redraft.values.sorted_set import NOTHING, LexBound, Pair, ScoreBound, SortedSet

_NOT_A_SCORE_RANGE = "ERR min or max is not a float"
_NOT_A_LEX_RANGE = "ERR min or max not valid string range item"
_LIMIT_NEEDS_BY = "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX"
_LEX_WITHSCORES = "ERR syntax error, WITHSCORES not supported in combination with BYLEX"

_RANGE = "O(log(N)+M) where N is the number of members and M the number in the range."
_COUNT = "O(log(N)) where N is the number of members."

_zset = partial(command, group="sorted-set", acl="sortedset", keys=(1, 1, 1))
_get = partial(_zset, flags="readonly", complexity=_RANGE, access="RO access")


# Bounds.

_SPACES = re.compile(rb"[ \t\n\v\f\r]+")


def score_bound(data: bytes) -> ScoreBound:
    """A bound such as `1.5`, `(1.5` or `-inf`. It is what C's `strtod` takes, unlike a score: spaces may stand before
    it, nothing at all is 0, it ends at a zero byte, and what is too large is infinite."""
    exclusive = data[:1] == b"("
    text = data[exclusive:].split(b"\0", 1)[0]
    spaces = _SPACES.match(text)
    number = parse.maybe_strtod(text[spaces.end() :] if spaces else text) if text else 0.0
    if number is None:
        raise CommandError(_NOT_A_SCORE_RANGE)
    return ScoreBound(number, exclusive)


def lex_bound(data: bytes) -> LexBound:
    """A bound such as `[a`, `(a`, `-` or `+`."""
    sign = data[:1]
    if sign in (b"[", b"("):
        return LexBound(0, data[1:], sign == b"(")
    if sign in (b"-", b"+") and data[1:2] in (b"", b"\0"):
        return LexBound(-1 if sign == b"-" else 1)
    raise CommandError(_NOT_A_LEX_RANGE)


class _RankRange:
    def __init__(self, first: bytes, last: bytes, backwards: bool = False) -> None:
        self._backwards = backwards
        self._start, self._end = parse.integer(first), parse.integer(last)

    def span(self, held: SortedSet) -> range:
        span = held.rank_span(self._start, self._end)
        return range(len(held) - span.stop, len(held) - span.start) if self._backwards and span else span


class _ScoreRange:
    def __init__(self, first: bytes, last: bytes, backwards: bool = False) -> None:
        low, high = (last, first) if backwards else (first, last)
        self._low, self._high = score_bound(low), score_bound(high)

    def span(self, held: SortedSet) -> range:
        return held.score_span(self._low, self._high)


class _LexRange:
    def __init__(self, first: bytes, last: bytes, backwards: bool = False) -> None:
        low, high = (last, first) if backwards else (first, last)
        self._backwards = backwards
        self._low, self._high = lex_bound(low), lex_bound(high)

    def span(self, held: SortedSet) -> range:
        return held.lex_span(self._low, self._high, self._backwards)


_Range = type[_RankRange] | type[_ScoreRange] | type[_LexRange]


def _limited(span: range, offset: int, count: int, backwards: bool) -> range:
    """The part of a span that LIMIT leaves; a negative count is no limit."""
    if not 0 <= offset < len(span):
        return NOTHING
    taken = len(span) - offset if count < 0 else min(count, len(span) - offset)
    start = span.stop - offset - taken if backwards else span.start + offset
    return range(start, start + taken)


# Getting.


class _Query:
    """What ZRANGE and its relatives ask for: of the key at `argv[position]`, the range in the two words after it, and
    what the options say that follow."""

    def __init__(
        self,
        argv: list[bytes],
        position: int,
        by: _Range | None = None,
        backwards: bool | None = None,
        *,
        scores_allowed: bool = True,
    ) -> None:
        """`by` and `backwards` are given by commands that have them in their names. Raises CommandError."""
        self.key = argv[position]
        self.with_scores = False
        offset, count = 0, -1
        at = position + 3
        while at < len(argv):
            word = argv[at].lower()
            if word == b"withscores" and scores_allowed:
                self.with_scores = True
            elif word == b"limit" and at + 2 < len(argv):
                offset, count = parse.integer(argv[at + 1]), parse.integer(argv[at + 2])
                at += 2
            elif word == b"rev" and backwards is None:
                backwards = True
            elif word == b"bylex" and by is None:
                by = _LexRange
            elif word == b"byscore" and by is None:
                by = _ScoreRange
            else:
                raise CommandError(errors.SYNTAX)
            at += 1
        if by is None:
            by = _RankRange
        if count != -1 and by is _RankRange:
            raise CommandError(_LIMIT_NEEDS_BY)
        if self.with_scores and by is _LexRange:
            raise CommandError(_LEX_WITHSCORES)
        self._backwards = bool(backwards)
        self._offset, self._count = (0, -1) if by is _RankRange else (offset, count)
        self._range = by(argv[position + 1], argv[position + 2], self._backwards)

    def pairs(self, context: Context) -> Iterable[Pair]:
        """The pairs that are asked for. Raises WRONGTYPE."""
        held = context.collection(self.key, SortedSet)
        return () if held is None else held.walk(self._span(held), self._backwards)

    def members(self, context: Context) -> list[bytes]:
        """Their members. Raises WRONGTYPE."""
        held = context.collection(self.key, SortedSet)
        return [] if held is None else held.members_in(self._span(held), self._backwards)

    def _span(self, held: SortedSet) -> range:
        return _limited(self._range.span(held), self._offset, self._count, self._backwards)


def _answer(context: Context, query: _Query) -> Any:
    if query.with_scores:
        return Pairs((member, score) for score, member in query.pairs(context))
    return query.members(context)


@_get("ZRANGE", -4, since="1.2.0", summary="Get the members in a range of ranks, scores or members")
def zrange(context: Context, argv: list[bytes]) -> Any:
    return _answer(context, _Query(argv, 1))


@_get("ZREVRANGE", -4, since="1.2.0", summary="Get the members in a range of ranks, from the highest score down")
def zrevrange(context: Context, argv: list[bytes]) -> Any:
    return _answer(context, _Query(argv, 1, _RankRange, True))


@_get("ZRANGEBYSCORE", -4, since="1.0.5", summary="Get the members in a range of scores")
def zrangebyscore(context: Context, argv: list[bytes]) -> Any:
    return _answer(context, _Query(argv, 1, _ScoreRange, False))


@_get("ZREVRANGEBYSCORE", -4, since="2.2.0", summary="Get the members in a range of scores, from the highest down")
def zrevrangebyscore(context: Context, argv: list[bytes]) -> Any:
    return _answer(context, _Query(argv, 1, _ScoreRange, True))


@_get("ZRANGEBYLEX", -4, since="2.8.9", summary="Get the members in a range of members, where all scores are equal")
def zrangebylex(context: Context, argv: list[bytes]) -> Any:
    return _answer(context, _Query(argv, 1, _LexRange, False))


@_get("ZREVRANGEBYLEX", -4, since="2.8.9", summary="Get the members in a range of members, from the last down")
def zrevrangebylex(context: Context, argv: list[bytes]) -> Any:
    return _answer(context, _Query(argv, 1, _LexRange, True))


@_zset(
    "ZRANGESTORE", -5, "write denyoom", since="6.2.0", summary="Store the members in a range in another sorted set",
    complexity=_RANGE, keys=(1, 2, 1), access="OW update; RO access",
)  # fmt: skip
def zrangestore(context: Context, argv: list[bytes]) -> Any:
    pairs = list(_Query(argv, 2, scores_allowed=False).pairs(context))
    return store(context, argv[1], pairs)


def store(context: Context, key: bytes, pairs: list[Pair]) -> int:
    """Make a key the sorted set of these pairs, or delete it where there are none; how many they are."""
    context.delete(key)
    if pairs:
        context.db.put(key, SortedSet(pairs))
    return len(pairs)


# Counting.


@_zset(
    "ZCOUNT", 4, "readonly fast", since="2.0.0", summary="Count the members in a range of scores", complexity=_COUNT,
    access="RO access",
)  # fmt: skip
def zcount(context: Context, argv: list[bytes]) -> Any:
    wanted = _ScoreRange(argv[2], argv[3])
    held = context.collection(argv[1], SortedSet)
    return 0 if held is None else len(wanted.span(held))


@_zset(
    "ZLEXCOUNT", 4, "readonly fast", since="2.8.9", complexity=_COUNT, access="RO access",
    summary="Count the members in a range of members, where all scores are equal",
)  # fmt: skip
def zlexcount(context: Context, argv: list[bytes]) -> Any:
    wanted = _LexRange(argv[2], argv[3])
    held = context.collection(argv[1], SortedSet)
    return 0 if held is None else len(wanted.span(held))


# Removing.

_remove = partial(_zset, arity=4, flags="write", complexity=_RANGE, access="RW delete")


@_remove("ZREMRANGEBYRANK", since="2.0.0", summary="Remove the members in a range of ranks")
def zremrangebyrank(context: Context, argv: list[bytes]) -> Any:
    return _remove_range(context, argv[1], _RankRange(argv[2], argv[3]))


@_remove("ZREMRANGEBYSCORE", since="1.2.0", summary="Remove the members in a range of scores")
def zremrangebyscore(context: Context, argv: list[bytes]) -> Any:
    return _remove_range(context, argv[1], _ScoreRange(argv[2], argv[3]))


@_remove(
    "ZREMRANGEBYLEX", since="2.8.9", summary="Remove the members in a range of members, where all scores are equal"
)
def zremrangebylex(context: Context, argv: list[bytes]) -> Any:
    return _remove_range(context, argv[1], _LexRange(argv[2], argv[3]))


def _remove_range(context: Context, key: bytes, wanted: _RankRange | _ScoreRange | _LexRange) -> int:
    held = context.collection(key, SortedSet)
    if held is None or not (span := wanted.span(held)):
        return 0
    if len(span) == len(held):
        context.delete(key)
        return len(span)
    held = context.mutable(key, SortedSet)
    assert held is not None
    held.remove_span(span)
    return len(span)
