"""Several sorted sets at once: union, intersection, difference (Redis: t_zset.c, zunionInterDiffGenericCommand).

A set may stand wherever a sorted set may: each of its members has the score 1. Sums are made in the order of the
inputs' sizes, as Redis makes them, since the last digit of a sum of doubles depends on the order.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from redraft.commands import errors, parse
from redraft.commands.context import Context
from redraft.commands.key_finders import numkeys_at
from redraft.commands.sorted_set_ranges import store
from redraft.commands.table import command
from redraft.errors import CommandError
from redraft.integers import INT64_MAX
from redraft.resp.reply import Pairs
from redraft.values.set import Set
from redraft.values.sorted_set import Pair, SortedSet

_WEIGHT_NOT_A_FLOAT = "ERR weight value is not a float"
_LIMIT_NEGATIVE = "ERR LIMIT can't be negative"

_UNION = "O(N)+O(M*log(M)) where N is the number of members of all inputs and M that of the result."
_INTERSECTION = "O(N*K)+O(M*log(M)) where N is the size of the smallest of the K inputs and M that of the result."
_DIFFERENCE = "O(N*K)+O(M*log(M)) where N is the size of the first of the K inputs and M that of the result."

Aggregate = Callable[[float, float], float]


def _sum(first: float, second: float) -> float:
    total = first + second
    return 0.0 if math.isnan(total) else total


_AGGREGATES: dict[bytes, Aggregate] = {
    b"sum": _sum,
    # Of 0 and -0 the first one stays, as in Redis; Python's min and max keep to that too.
    b"min": min,
    b"max": max,
}


class _Input:
    """One input: its members' scores, times its weight."""

    def __init__(self, value: Set | SortedSet | None) -> None:
        self._value = value
        self.weight = 1.0

    def __len__(self) -> int:
        return 0 if self._value is None else len(self._value)

    def __contains__(self, member: bytes) -> bool:
        return self._value is not None and member in self._value

    def members(self) -> list[bytes]:
        return [] if self._value is None else self._value.members

    def scores(self) -> list[float]:
        """The scores of `members`, weighted."""
        value, weight = self._value, self.weight
        if not isinstance(value, SortedSet):
            return [weight] * len(self)
        if weight == 1:
            return value.scores
        return [0.0 if math.isnan(score := weight * each) else score for each in value.scores]

    def weighted(self, member: bytes) -> float:
        """The score of a member, weighted."""
        score = self._value.maybe_score(member) if isinstance(self._value, SortedSet) else 1.0
        assert score is not None
        return score * self.weight


@dataclass(slots=True)
class _Inputs:
    """What the arguments ask for."""

    inputs: list[_Input]
    aggregate: Aggregate = _sum
    with_scores: bool = False
    limit: int = 0


def _parsed(context: Context, argv: list[bytes], position: int, options: frozenset[bytes]) -> _Inputs:
    """The inputs, whose number is `argv[position]`, and what follows them of `options`. Raises CommandError."""
    numkeys = parse.integer(argv[position])
    if numkeys < 1:
        name = argv[0].decode("latin-1").lower()
        raise CommandError(f"ERR at least 1 input key is needed for '{name}' command")
    at = position + 1 + numkeys
    if at > len(argv):
        raise CommandError(errors.SYNTAX)
    asked = _Inputs([_Input(_input(context, key)) for key in argv[position + 1 : at]])
    while at < len(argv):
        word = argv[at].lower()
        left = len(argv) - at - 1
        if word not in options:
            raise CommandError(errors.SYNTAX)
        if word == b"weights" and left >= numkeys:
            for number, each in enumerate(asked.inputs):
                each.weight = parse.floating(argv[at + 1 + number], _WEIGHT_NOT_A_FLOAT)
            at += numkeys
        elif word == b"aggregate" and left >= 1 and argv[at + 1].lower() in _AGGREGATES:
            asked.aggregate = _AGGREGATES[argv[at + 1].lower()]
            at += 1
        elif word == b"limit" and left >= 1:
            asked.limit = parse.integer_in(argv[at + 1], 0, INT64_MAX, _LIMIT_NEGATIVE)
            at += 1
        elif word == b"withscores":
            asked.with_scores = True
        else:
            raise CommandError(errors.SYNTAX)
        at += 1
    return asked


def _input(context: Context, key: bytes) -> Set | SortedSet | None:
    value = context.get(key)
    if value is None or isinstance(value, (Set, SortedSet)):
        return value
    raise CommandError(errors.WRONG_TYPE)


# The results, as scores by member.


def _union(asked: _Inputs) -> dict[bytes, float]:
    aggregate = asked.aggregate
    first, *others = sorted(asked.inputs, key=len)
    result = dict(zip(first.members(), first.scores(), strict=True))
    for each in others:
        if not result:
            result = dict(zip(each.members(), each.scores(), strict=True))
            continue
        for member, score in zip(each.members(), each.scores(), strict=True):
            old = result.get(member)
            result[member] = score if old is None else aggregate(old, score)
    return result


def _intersection(asked: _Inputs) -> dict[bytes, float]:
    aggregate = asked.aggregate
    first, *others = sorted(asked.inputs, key=len)
    result = {}
    for member, score in zip(first.members(), first.scores(), strict=True):
        for each in others:
            if member not in each:
                break
            score = aggregate(score, each.weighted(member))
        else:
            result[member] = score
    return result


def _difference(asked: _Inputs) -> dict[bytes, float]:
    first, *others = asked.inputs
    others = [each for each in others if len(each)]
    pairs = zip(first.members(), first.scores(), strict=True)
    return {member: score for member, score in pairs if not any(member in each for each in others)}


def _answer(asked: _Inputs, result: dict[bytes, float]) -> Any:
    pairs: list[Pair] = sorted((score, member) for member, score in result.items())
    if asked.with_scores:
        return Pairs((member, score) for score, member in pairs)
    return [member for _, member in pairs]


def _stored(context: Context, argv: list[bytes], result: dict[bytes, float]) -> int:
    return store(context, argv[1], [(score + 0.0, member) for member, score in result.items()])


_AGGREGATED = frozenset((b"weights", b"aggregate"))
_WITH_SCORES = frozenset((b"withscores",))

_zset = partial(command, group="sorted-set", acl="sortedset")
_get = partial(_zset, flags="readonly movablekeys", find_keys=numkeys_at(1), access="RO access")
_store = partial(
    _zset, arity=-4, flags="write denyoom movablekeys", keys=(1, 1, 1), find_keys=numkeys_at(2, first=1),
    access="OW update; RO access",
)  # fmt: skip


@_get("ZUNION", -3, since="6.2.0", complexity=_UNION, summary="Get the members that any of the sorted sets has")
def zunion(context: Context, argv: list[bytes]) -> Any:
    asked = _parsed(context, argv, 1, _AGGREGATED | _WITH_SCORES)
    return _answer(asked, _union(asked))


@_store("ZUNIONSTORE", since="2.0.0", complexity=_UNION, summary="Store the members that any of the sorted sets has")
def zunionstore(context: Context, argv: list[bytes]) -> Any:
    return _stored(context, argv, _union(_parsed(context, argv, 2, _AGGREGATED)))


@_get("ZINTER", -3, since="6.2.0", complexity=_INTERSECTION, summary="Get the members that all sorted sets have")
def zinter(context: Context, argv: list[bytes]) -> Any:
    asked = _parsed(context, argv, 1, _AGGREGATED | _WITH_SCORES)
    return _answer(asked, _intersection(asked))


@_store("ZINTERSTORE", since="2.0.0", complexity=_INTERSECTION, summary="Store the members that all sorted sets have")
def zinterstore(context: Context, argv: list[bytes]) -> Any:
    return _stored(context, argv, _intersection(_parsed(context, argv, 2, _AGGREGATED)))


@_get("ZINTERCARD", -3, since="7.0.0", complexity=_INTERSECTION, summary="Count the members that all sorted sets have")
def zintercard(context: Context, argv: list[bytes]) -> Any:
    asked = _parsed(context, argv, 1, frozenset((b"limit",)))
    first, *others = sorted(asked.inputs, key=len)
    common = (None for member in first.members() if all(member in each for each in others))
    return sum(1 for _ in islice(common, min(asked.limit or len(first), len(first))))


@_get(
    "ZDIFF", -3, since="6.2.0", complexity=_DIFFERENCE,
    summary="Get the members of the first sorted set that no other has",
)  # fmt: skip
def zdiff(context: Context, argv: list[bytes]) -> Any:
    asked = _parsed(context, argv, 1, _WITH_SCORES)
    return _answer(asked, _difference(asked))


@_store(
    "ZDIFFSTORE", since="6.2.0", complexity=_DIFFERENCE,
    summary="Store the members of the first sorted set that no other has",
)  # fmt: skip
def zdiffstore(context: Context, argv: list[bytes]) -> Any:
    return _stored(context, argv, _difference(_parsed(context, argv, 2, frozenset())))
