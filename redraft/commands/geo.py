"""Positions on earth (Redis: geo.c): a sorted set whose scores are geohashes.

GEORADIUS and GEORADIUSBYMEMBER are writes, because they may store what they find.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from redraft.commands import errors, parse, sorted_sets
from redraft.commands.context import Context
from redraft.commands.key_finders import KeywordFinder
from redraft.commands.sorted_set_ranges import store
from redraft.commands.table import command
from redraft.errors import CommandError
from redraft.resp.reply import NIL_ARRAY, DoubleText
from redraft.values import geohash
from redraft.values.geohash import LATITUDE_MAX, LONGITUDE_MAX, Area, Position
from redraft.values.sorted_set import ScoreBound, SortedSet

UNITS_M = {b"m": 1.0, b"km": 1000.0, b"ft": 0.3048, b"mi": 1609.34}

_NO_UNIT = "ERR unsupported unit provided. please use M, KM, FT, MI"
_NO_MEMBER = "ERR could not decode requested zset member"

_SEARCH = "O(N+log(M)) where N is the number of members near the area and M those inside it."
_PER_MEMBER = "O(N) where N is the number of members asked for."
_ADD = "O(log(N)) for each member, where N is the number of members of the sorted set."

_geo = partial(command, group="geo", acl="geo")
_read = partial(_geo, keys=(1, 1, 1), access="RO access")


def _position(first: bytes, second: bytes) -> Position:
    longitude, latitude = parse.floating(first), parse.floating(second)
    if not (-LONGITUDE_MAX <= longitude <= LONGITUDE_MAX and -LATITUDE_MAX <= latitude <= LATITUDE_MAX):
        raise CommandError(f"ERR invalid longitude,latitude pair {longitude:f},{latitude:f}")
    return longitude, latitude


def _unit_m(word: bytes) -> float:
    unit = UNITS_M.get(word.lower())
    if unit is None:
        raise CommandError(_NO_UNIT)
    return unit


def _length(word: bytes, name: str) -> float:
    length = parse.floating(word, f"ERR need numeric {name}")
    if length < 0:
        negative = "radius cannot be negative" if name == "radius" else "height or width cannot be negative"
        raise CommandError(f"ERR {negative}")
    return length


def _member_position(held: SortedSet, member: bytes) -> Position:
    score = held.maybe_score(member)
    if score is None:
        raise CommandError(_NO_MEMBER)
    return geohash.position_of(score)


def _shown_position(position: Position) -> list[DoubleText]:
    """17 decimals, less the zeros at their end (util.c, ld2string)."""
    return [DoubleText(_trimmed(b"%.17f" % part)) for part in position]


def _trimmed(text: bytes) -> bytes:
    shown = text.rstrip(b"0").rstrip(b".")
    return b"0" if shown == b"-0" else shown


@_geo(
    "GEOADD", -5, "write denyoom", since="3.2.0", keys=(1, 1, 1), access="RW update", complexity=_ADD,
    summary="Put members with their positions into a sorted set",
)  # fmt: skip
def geoadd(context: Context, argv: list[bytes]) -> Any:
    at = 2
    words = set()
    while at < len(argv) and (word := argv[at].lower()) in (b"nx", b"xx", b"ch"):
        words.add(word)
        at += 1
    if (len(argv) - at) % 3 or {b"nx", b"xx"} <= words:
        raise CommandError(errors.SYNTAX)
    scored = [b"ZADD", argv[1], *argv[2:at]]
    for place in range(at, len(argv), 3):
        scored += [b"%d" % geohash.score_of(_position(argv[place], argv[place + 1])), argv[place + 2]]
    return sorted_sets.zadd(context, scored)


@_read("GEOPOS", -2, "readonly", since="3.2.0", complexity=_PER_MEMBER, summary="Get the positions of members")
def geopos(context: Context, argv: list[bytes]) -> Any:
    held = context.collection(argv[1], SortedSet)
    scores = [None if held is None else held.maybe_score(member) for member in argv[2:]]
    return [NIL_ARRAY if score is None else _shown_position(geohash.position_of(score)) for score in scores]


@_read("GEOHASH", -2, "readonly", since="3.2.0", complexity=_PER_MEMBER, summary="Get the geohashes of members")
def geohash_(context: Context, argv: list[bytes]) -> Any:
    held = context.collection(argv[1], SortedSet)
    scores = [None if held is None else held.maybe_score(member) for member in argv[2:]]
    return [None if score is None else geohash.text_of(geohash.position_of(score)) for score in scores]


@_read("GEODIST", -4, "readonly", since="3.2.0", summary="Get the distance between two members")
def geodist(context: Context, argv: list[bytes]) -> Any:
    if len(argv) > 5:
        raise CommandError(errors.SYNTAX)
    unit_m = _unit_m(argv[4]) if len(argv) == 5 else 1.0
    held = context.collection(argv[1], SortedSet)
    if held is None:
        return None
    first, second = held.maybe_score(argv[2]), held.maybe_score(argv[3])
    if first is None or second is None:
        return None
    return b"%.4f" % (geohash.distance_m(geohash.position_of(first), geohash.position_of(second)) / unit_m)


# Searching.

FEW_MEMBERS = 32
"""So many members are looked at one by one."""


class _Found(NamedTuple):
    distance_m: float
    score: float
    member: bytes
    position: Position


@dataclass
class _Search:
    """What a search asks for: made by one of the functions below, then `run`."""

    held: SortedSet | None
    name: str
    area: Area | None = None
    with_distance: bool = False
    with_hash: bool = False
    with_position: bool = False
    any_will_do: bool = False
    count: int = 0
    descending: bool | None = None
    target: bytes | None = None
    store_distances: bool = False

    def take_common(self, argv: list[bytes], at: int) -> int:
        """Take an option that all searches have, at `argv[at]`; how many words it has: 0 when it is none."""
        word = argv[at].lower()
        if word == b"withdist":
            self.with_distance = True
        elif word == b"withhash":
            self.with_hash = True
        elif word == b"withcoord":
            self.with_position = True
        elif word == b"any":
            self.any_will_do = True
        elif word in (b"asc", b"desc"):
            self.descending = word == b"desc"
        elif word == b"count" and at + 1 < len(argv):
            self.count = parse.integer(argv[at + 1])
            if self.count <= 0:
                raise CommandError("ERR COUNT must be > 0")
            return 2
        else:
            return 0
        return 1

    def check(self) -> None:
        """Refuse options that do not go together."""
        if self.target is not None and (self.with_distance or self.with_hash or self.with_position):
            raise CommandError(f"ERR {self.name} is not compatible with WITHDIST, WITHHASH and WITHCOORD options")

    def check_any(self) -> None:
        """Refuse ANY without COUNT."""
        if self.any_will_do and not self.count:
            raise CommandError("ERR the ANY argument requires COUNT argument")

    def run(self, context: Context) -> Any:
        """Search, and answer or store what was found."""
        found = self._found()
        if self.target is None:
            return [self._shown(each) for each in found]
        assert self.area is not None or not found
        pairs = [
            (each.distance_m / self.area.unit_m if self.store_distances and self.area else each.score, each.member)
            for each in found
        ]
        return store(context, self.target, sorted(pairs))

    def _found(self) -> list[_Found]:
        if self.held is None:
            return []
        assert self.area is not None
        found: list[_Found] = []
        enough = self.count if self.any_will_do else 0
        for cell in self.area.cells():
            if enough and len(found) >= enough:
                break
            self._look_into(cell, enough, found)
        descending = self.descending
        if descending is None and self.count and not self.any_will_do:
            descending = False
        if descending is not None:
            found.sort(key=lambda each: each.distance_m, reverse=descending)
        return found[: self.count] if self.count else found

    def _look_into(self, cell: geohash.Cell, enough: int, found: list[_Found]) -> None:
        """Find what is in a cell and inside the area, in the order of scores. A cell with many members is searched part
        by part, without those parts that the area misses."""
        held, area = self.held, self.area
        assert held is not None
        assert area is not None
        scores = cell.scores()
        span = held.score_span(ScoreBound(float(scores.start)), ScoreBound(float(scores.stop), exclusive=True))
        if len(span) > FEW_MEMBERS and cell.step < geohash.FINEST_STEP:
            for part in cell.parts():
                if not area.misses(part):
                    self._look_into(part, enough, found)
                    if enough and len(found) >= enough:
                        return
            return
        for each in area.inside(held.walk(span)):
            found.append(_Found(*each))
            if enough and len(found) >= enough:
                return

    def _shown(self, each: _Found) -> Any:
        assert self.area is not None
        shown: list[Any] = [each.member]
        if self.with_distance:
            shown.append(b"%.4f" % (each.distance_m / self.area.unit_m))
        if self.with_hash:
            shown.append(int(each.score))
        if self.with_position:
            shown.append(_shown_position(each.position))
        return shown if len(shown) > 1 else each.member


def _searched(context: Context, argv: list[bytes], first: int, target: bytes | None) -> Any:
    """GEOSEARCH and GEOSEARCHSTORE; the source is `argv[first - 1]`."""
    held = context.collection(argv[first - 1], SortedSet)
    search = _Search(held, "GEOSEARCHSTORE", target=target)
    centre: Position | None = None
    shape: tuple[float, float | None, float, float] | None = None
    by_member = by_position = False
    at = first
    while at < len(argv):
        word, left = argv[at].lower(), len(argv) - at - 1
        if taken := search.take_common(argv, at):
            at += taken
        elif word == b"frommember" and left >= 1 and not by_position:
            by_member = True
            if held is not None:
                centre = _member_position(held, argv[at + 1])
            at += 2
        elif word == b"fromlonlat" and left >= 2 and not by_member:
            by_position = True
            centre = _position(argv[at + 1], argv[at + 2])
            at += 3
        elif word == b"byradius" and left >= 2 and (shape is None or shape[1] is not None):
            radius = _length(argv[at + 1], "radius")
            shape = (_unit_m(argv[at + 2]), radius, 0.0, 0.0)
            at += 3
        elif word == b"bybox" and left >= 3 and (shape is None or shape[1] is None):
            width = parse.floating(argv[at + 1], "ERR need numeric width")
            height = parse.floating(argv[at + 2], "ERR need numeric height")
            if width < 0 or height < 0:
                raise CommandError("ERR height or width cannot be negative")
            shape = (_unit_m(argv[at + 3]), None, width, height)
            at += 4
        elif word == b"storedist" and target is not None:
            search.store_distances = True
            at += 1
        else:
            raise CommandError(errors.SYNTAX)
    search.check()
    name = argv[0].decode("latin-1")
    if not (by_member or by_position):
        raise CommandError(f"ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for {name}")
    if shape is None:
        raise CommandError(f"ERR exactly one of BYRADIUS and BYBOX can be specified for {name}")
    search.check_any()
    if centre is not None:
        search.area = Area(centre, *shape)
    return search.run(context)


@_read(
    "GEOSEARCH", -7, "readonly", since="6.2.0", complexity=_SEARCH, summary="Find members inside a circle or a box",
)  # fmt: skip
def geosearch(context: Context, argv: list[bytes]) -> Any:
    return _searched(context, argv, 2, None)


@_geo(
    "GEOSEARCHSTORE", -8, "write denyoom", since="6.2.0", keys=(1, 2, 1), access="OW update; RO access",
    complexity=_SEARCH, summary="Find members inside a circle or a box, and store them",
)  # fmt: skip
def geosearchstore(context: Context, argv: list[bytes]) -> Any:
    return _searched(context, argv, 3, argv[1])


def _around(context: Context, argv: list[bytes], *, by_member: bool, may_store: bool) -> Any:
    """GEORADIUS and its kin."""
    held = context.collection(argv[1], SortedSet)
    search = _Search(held, "STORE option in GEORADIUS")
    at = 5 if by_member else 6
    if not by_member:
        centre = _position(argv[2], argv[3])
    elif held is not None:
        centre = _member_position(held, argv[2])
    if not by_member or held is not None:
        radius = _length(argv[at - 2], "radius")
        search.area = Area(centre, _unit_m(argv[at - 1]), radius)
    while at < len(argv):
        if taken := search.take_common(argv, at):
            at += taken
        elif may_store and argv[at].lower() in (b"store", b"storedist") and at + 1 < len(argv):
            search.target = argv[at + 1]
            search.store_distances = argv[at].lower() == b"storedist"
            at += 2
        else:
            raise CommandError(errors.SYNTAX)
    search.check()
    search.check_any()
    return search.run(context)


_around_read = partial(_read, since="3.2.10", flags="readonly", complexity=_SEARCH)
_around_write = partial(
    _geo, flags="write denyoom movablekeys", since="3.2.0", complexity=_SEARCH,
    access="RO access; OW update; OW update",
)  # fmt: skip


@_around_write(
    "GEORADIUS", -6, find_keys=KeywordFinder((b"STORE", b"STOREDIST"), 6), keys=(1, 1, 1),
    summary="Find members near a position, and perhaps store them",
)  # fmt: skip
def georadius(context: Context, argv: list[bytes]) -> Any:
    return _around(context, argv, by_member=False, may_store=True)


@_around_write(
    "GEORADIUSBYMEMBER", -5, find_keys=KeywordFinder((b"STORE", b"STOREDIST"), 5), keys=(1, 1, 1),
    summary="Find members near another member, and perhaps store them",
)  # fmt: skip
def georadiusbymember(context: Context, argv: list[bytes]) -> Any:
    return _around(context, argv, by_member=True, may_store=True)


@_around_read("GEORADIUS_RO", -6, summary="Find members near a position")
def georadius_ro(context: Context, argv: list[bytes]) -> Any:
    return _around(context, argv, by_member=False, may_store=False)


@_around_read("GEORADIUSBYMEMBER_RO", -5, summary="Find members near another member")
def georadiusbymember_ro(context: Context, argv: list[bytes]) -> Any:
    return _around(context, argv, by_member=True, may_store=False)
