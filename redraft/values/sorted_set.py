"""Sorted sets: `Members` with a score each, and the order of both.

Theory. Redis holds a sorted set twice: a hash table tells a member's score, a skip list tells what stands where. Here
`Members` with a row of scores beside it is the one, and a `SortedList` of *places* is the other: a list of lists of a
thousand or so, which is searched in O(log n) comparisons at C speed, and whose index of positions, a tree of the lists'
lengths, answers for ranks. A change costs that index O(log(n/1000)); it is made anew when a list is split or joined,
at the next question for a rank (0.3 ms for a million members, once in hundreds of changes).

A place is nine bytes that are in order as scores are, and then the member. To look at one of a million objects is to
wait for memory: two strings are compared with half the waits of two tuples of a float and a string, and a change takes
16 µs instead of 21.

Ranges are `range`s of positions in the order, *spans*: counting is `len`, a limit is arithmetic, and only what is
wanted is walked over.

Invariants (`check`): the order has exactly the places of members and scores; no score is NaN or -0.

A zero's sign is dropped when it is stored. Redis drops it from small sets and keeps it in large ones, by a boundary
that is configured; but what is stored may not depend on a configuration, which every node has of its own.

On disk (`values.slices`): a sorted set's pairs of a score, a double, and a member, in order, so that nothing has to be
sorted when it is loaded.

What this leaves out: replies, and how bounds are written in commands.
"""

from __future__ import annotations

import math
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from operator import lt
from typing import ClassVar, Self

import msgspec
from sortedcontainers import SortedList

from redraft.errors import DamagedDataError
from redraft.values import codec
from redraft.values.members import Members, longest
from redraft.values.slices import SLICE_MEMBERS, decode_items, header, slices
from redraft.values.thresholds import IN_FORCE

PAIR_BYTES = sys.getsizeof(0.0) + sys.getsizeof(b"") + 9 + 12
"""Memory of a member's score, and of its place in the order but for the member in it."""
ORDER_BYTES = 900
"""Memory of an order with nothing in it."""

_pairs = msgspec.msgpack.Decoder(list[tuple[float, bytes]]).decode

Pair = tuple[float, bytes]
"""A score and its member, as they are ordered."""
NOTHING = range(0)
"""The empty span."""

SCORE_BYTES = 9
"""The length of a place without its member."""
_place_of_positive = struct.Struct(">Bd").pack
_place_of_negative = struct.Struct(">BQ").pack
_score_at = struct.Struct(">d").unpack_from
_bits_at = struct.Struct(">Q").unpack_from
_ALL_BITS = (1 << 64) - 1


def place_of(score: float, member: bytes = b"") -> bytes:
    """Where a pair stands: the bytes of places are in order as pairs are. Without a member, where its score begins."""
    if score >= 0:
        return _place_of_positive(1, score) + member
    (bits,) = _bits_at(_place_of_positive(0, score), 1)
    return _place_of_negative(0, _ALL_BITS ^ bits) + member


def pair_at(place: bytes) -> Pair:
    """The score and the member that stand at a place."""
    if place[0]:
        return _score_at(place, 1)[0], place[SCORE_BYTES:]
    (bits,) = _bits_at(place, 1)
    return _score_at(_place_of_negative(0, _ALL_BITS ^ bits), 1)[0], place[SCORE_BYTES:]


@dataclass(frozen=True, slots=True)
class ScoreBound:
    """One end of a range of scores."""

    score: float
    exclusive: bool = False


@dataclass(frozen=True, slots=True)
class LexBound:
    """One end of a range of members: at `member`, or where `side` is not 0, before (-1) or after (1) all members."""

    side: int
    member: bytes = b""
    exclusive: bool = False

    def is_below(self, member: bytes) -> bool:
        """Whether a range that begins here has the member."""
        if self.side:
            return self.side < 0
        return self.member < member or (self.member == member and not self.exclusive)

    def is_above(self, member: bytes) -> bool:
        """Whether a range that ends here has the member."""
        if self.side:
            return self.side > 0
        return member < self.member or (self.member == member and not self.exclusive)


class FrozenPairs:
    """Pairs as of one instant. They are this object's, which lets go of what it has encoded: the value may be gone by
    then, and a million places are not to be freed at once."""

    __slots__ = ("_places",)

    def __init__(self, places: list[bytes]) -> None:
        self._places = places

    def pieces(self) -> Iterator[bytes]:
        """The payload in pieces. To be called once."""
        places = self._places
        yield header(len(places))
        freed = [b""] * SLICE_MEMBERS
        for start in range(0, len(places), SLICE_MEMBERS):
            part = places[start : start + SLICE_MEMBERS]
            places[start : start + SLICE_MEMBERS] = freed[: len(part)]
            yield from slices(list(map(pair_at, part)), sum(map(len, part)))


@codec.register
class SortedSet(Members):
    """Distinct members, each with a score; ordered by score, and members of equal score by their bytes.

    >>> race = SortedSet()
    >>> race.put(b"b", 2.0), race.put(b"a", 1.0), race.put(b"b", 0.5)
    (True, True, False)
    >>> race.maybe_rank(b"a"), list(race.walk(race.rank_span(0, -1)))
    (1, [(0.5, b'b'), (1.0, b'a')])
    """

    __slots__ = ("_order", "scores")

    type_name: ClassVar[bytes] = b"zset"
    tag: ClassVar[int] = codec.TAG_ZSET

    def __init__(self, pairs: list[Pair] | None = None) -> None:
        """`pairs` have distinct members and no score that is NaN or -0; in order is fastest."""
        pairs = pairs or []
        super().__init__([member for _, member in pairs])
        self.scores: list[float] = [score for score, _ in pairs]
        """The score of each of `members`; for reading only."""
        self._order: SortedList[bytes] = SortedList([place_of(score, member) for score, member in pairs])
        self.compact = fits_listpack(self.members)

    @classmethod
    def of(cls, scores: dict[bytes, float]) -> Self:
        """The sorted set of these scores, zeros of either sign among them."""
        return cls([(score + 0.0, member) for member, score in scores.items()])

    # One member.

    def maybe_score(self, member: bytes) -> float | None:
        """The member's score, if it is one. O(1)."""
        position = self.position(member)
        return self.scores[position] if position >= 0 else None

    def maybe_rank(self, member: bytes) -> int | None:
        """The member's place in the order, if it is one. O(log n)."""
        position = self.position(member)
        return self._order.index(place_of(self.scores[position], member)) if position >= 0 else None

    def put(self, member: bytes, score: float) -> bool:
        """Set a member's score, which is a number; whether the member is new. O(log n)."""
        score += 0.0  # drops the sign of a zero
        position = self.position(member)
        if position < 0:
            self.append(member)
            self.scores.append(score)
            self._order.add(place_of(score, member))
            if self.compact and (
                len(self.members) > IN_FORCE.zset_max_listpack_entries or len(member) > IN_FORCE.zset_max_listpack_value
            ):
                self.compact = False
            return True
        old = self.scores[position]
        if old != score:
            self._order.remove(place_of(old, member))
            self._order.add(place_of(score, member))
            self.scores[position] = score
        return False

    def remove(self, member: bytes) -> bool:
        """Remove a member; whether it was there. O(log n)."""
        position = self.position(member)
        if position < 0:
            return False
        self._order.remove(place_of(self.scores[position], member))
        self._forget(member)
        return True

    def pop(self, *, highest: bool) -> Pair:
        """Remove the pair that stands first, or last, and return it. O(log n)."""
        member = self._order.pop(-1 if highest else 0)[SCORE_BYTES:]
        return self._forget(member), member

    def _forget(self, member: bytes) -> float:
        """Drop a member that is no longer in the order; its score."""
        position, scores = self.discard(member), self.scores
        last = scores.pop()
        if position == len(scores):
            return last
        score, scores[position] = scores[position], last
        return score

    # Spans.

    def rank_span(self, start: int, end: int) -> range:
        """The span from rank `start` to `end`, both included; negative ones count from the end."""
        count = len(self.members)
        first = max(start + count, 0) if start < 0 else start
        last = end + count if end < 0 else min(end, count - 1)
        return range(first, last + 1) if first <= last else NOTHING

    def score_span(self, low: ScoreBound, high: ScoreBound) -> range:
        """The span of the scores between two bounds. O(log n)."""
        start = self._after(low.score) if low.exclusive else self._order.bisect_left(place_of(low.score + 0.0))
        stop = self._order.bisect_left(place_of(high.score + 0.0)) if high.exclusive else self._after(high.score)
        return range(start, stop) if start < stop else NOTHING

    def _after(self, score: float) -> int:
        """The position of the first score that is greater."""
        if score == math.inf:
            return len(self._order)
        return self._order.bisect_left(place_of(math.nextafter(score, math.inf) + 0.0))

    def lex_span(self, low: LexBound, high: LexBound, backwards: bool = False) -> range:
        """The span of the members between two bounds. O(log n) where all scores are equal, as ranges of members
        demand; otherwise what a walk through the order meets first (`backwards`: from its end), as in Redis's
        listpacks, in O(n)."""
        order = self._order
        if not order:
            return NOTHING
        score = order[0][:SCORE_BYTES]
        if score != order[-1][:SCORE_BYTES]:
            return self._walked_span(low, high, backwards)
        start, stop = 0, len(order)
        if low.side == 0:
            start = (order.bisect_right if low.exclusive else order.bisect_left)(score + low.member)
        if high.side == 0:
            stop = (order.bisect_left if high.exclusive else order.bisect_right)(score + high.member)
        return range(start, stop) if start < stop and low.side <= 0 <= high.side else NOTHING

    def _walked_span(self, low: LexBound, high: LexBound, backwards: bool) -> range:
        members = self.members_in(range(len(self)), backwards)
        first, last = (members[-1], members[0]) if backwards else (members[0], members[-1])
        if not low.is_below(last) or not high.is_above(first):
            return NOTHING
        enters, stays = low.is_below, high.is_above
        if backwards:
            enters, stays = stays, enters
        start = next((place for place, member in enumerate(members) if enters(member)), len(members))
        stop = start
        while stop < len(members) and stays(members[stop]):
            stop += 1
        return range(len(members) - stop, len(members) - start) if backwards else range(start, stop)

    def walk(self, span: range, backwards: bool = False) -> Iterator[Pair]:
        """The pairs of a span, in order or from its end. Not to be kept while the set changes."""
        return map(pair_at, self._order.islice(span.start, span.stop, reverse=backwards))

    def members_in(self, span: range, backwards: bool = False) -> list[bytes]:
        """The members of a span, in order or from its end."""
        return [place[SCORE_BYTES:] for place in self._order.islice(span.start, span.stop, reverse=backwards)]

    def between(self, low: float, high: float) -> Iterator[Pair]:
        """The pairs with scores from `low` on and below `high`, in order; no rank is asked for, so it is the same soon
        after a change. Not to be kept while the set changes."""
        return map(pair_at, self._order.irange(place_of(low + 0.0), place_of(high + 0.0), (True, False)))

    def remove_span(self, span: range) -> list[Pair]:
        """Remove what stands in a span; what it was, in order. O(m log n) for m pairs, O(n) where they are many."""
        gone = list(self.walk(span))
        del self._order[span.start : span.stop]
        for _, member in gone:
            self._forget(member)
        return gone

    # The whole.

    def release(self, count: int) -> int:
        """Free up to `count` members of a value that is not needed any more; how many it were."""
        released = super().release(count)
        del self.scores[-released:]
        pop = self._order.pop
        for _ in range(released):
            pop()
        return released

    def freeze(self) -> FrozenPairs:
        """A copy to encode later: for a million members a tick of 21 ms was seen."""
        return FrozenPairs(list(self._order))

    def copy(self) -> Self:
        """An independent sorted set."""
        twin = type(self)()
        self._copy_into(twin)
        twin.scores = self.scores.copy()
        twin._order = self._order.copy()
        twin.compact = self.compact
        return twin

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """The sorted set whose pieces joined to `payload`. Raises DamagedDataError."""
        pairs = decode_items(payload, _pairs)
        if not all(map(lt, pairs, islice(pairs, 1, None))) or (pairs and pairs[0][0] != pairs[0][0]):
            raise DamagedDataError("a sorted set is out of order")
        value = cls(pairs)
        if len(dict.fromkeys(value.members)) != len(pairs):
            raise DamagedDataError("a sorted set has a member twice")
        return value

    def encoding(self) -> bytes:
        """`listpack` or `skiplist`."""
        return b"listpack" if self.compact else b"skiplist"

    def memory_bytes(self) -> int:
        """Estimated by sampling."""
        return self.memory_of_members() + sys.getsizeof(self.scores) + ORDER_BYTES + PAIR_BYTES * len(self.members)

    def check(self) -> None:
        """Assert the invariants."""
        super().check()
        assert len(self.scores) == len(self.members)
        assert list(self._order) == sorted(map(place_of, self.scores, self.members))
        assert list(self.walk(range(len(self)))) == sorted(zip(self.scores, self.members, strict=True))
        assert all(score == score and (score or math.copysign(1, score) > 0) for score in self.scores)


def fits_listpack(members: list[bytes]) -> bool:
    """Whether Redis would hold these members as a listpack."""
    return len(members) <= IN_FORCE.zset_max_listpack_entries and longest(members) <= IN_FORCE.zset_max_listpack_value
