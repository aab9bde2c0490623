"""Positions on earth as scores of a sorted set (Redis: geohash.c, geohash_helper.c).

Theory: a cell at step n halves longitude and latitude n times, and its hash interleaves the bits of both halvings,
longitude first. A position is stored as its hash at step 26: 52 bits, which a double holds exactly. All positions of a
cell at a coarser step have hashes in one range, so an area is searched in the nine cells around its centre, at the
finest step at which they cover it.

The arithmetic is Redis's, operation by operation, so that the same positions are found at an area's edge. Sines come
from the machine's C library: replicas that store the outcome of a search must not differ in it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from functools import cache
from typing import NamedTuple

EARTH_RADIUS_M = 6372797.560856
MERCATOR_MAX_M = 20037726.37
LONGITUDE_MAX = 180.0
LATITUDE_MAX = 85.05112878
"""The latitudes of Web Mercator's square."""
FINEST_STEP = 26

_TOP_BIT = 1 << 63
_FINEST = float(1 << FINEST_STEP)
_MARGIN = 1.0 + 1e-9
"""More than rounding can make of a distance: what is further away by this is outside without a closer look."""
_RADIANS = math.pi / 180.0
_ALPHABET = "0123456789bcdefghjkmnpqrstuvwxyz"
_SPREAD = [sum((byte >> bit & 1) << (2 * bit) for bit in range(8)) for byte in range(256)]
"""The bits of a byte, each followed by a zero."""

Position = tuple[float, float]
"""(longitude, latitude), in degrees."""


class Cell(NamedTuple):
    """A cell by its column and row at a step; both count from the south-west."""

    column: int
    row: int
    step: int

    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north, in degrees."""
        scale = float(1 << self.step)
        wide, high = 2 * LONGITUDE_MAX, 2 * LATITUDE_MAX
        return (
            -LONGITUDE_MAX + (self.column / scale) * wide,
            -LATITUDE_MAX + (self.row / scale) * high,
            -LONGITUDE_MAX + ((self.column + 1) / scale) * wide,
            -LATITUDE_MAX + ((self.row + 1) / scale) * high,
        )

    def scores(self) -> range:
        """The scores of all positions in the cell."""
        bits = _interleaved(self.row, self.column)
        shift = 52 - 2 * self.step
        return range(bits << shift, (bits + 1) << shift)

    def parts(self) -> list[Cell]:
        """Its four cells at the next step, in the order of their scores."""
        column, row, step = self.column * 2, self.row * 2, self.step + 1
        return [Cell(column + east, row + north, step) for east in (0, 1) for north in (0, 1)]

    def moved(self, columns: int, rows: int) -> Cell:
        """The cell so far to the east and to the north, round the edges."""
        mask = (1 << self.step) - 1
        column = self.column + columns & mask if columns else self.column  # 180° is one beyond the last column
        row = self.row + rows & mask if rows else self.row
        return Cell(column, row, self.step)


def _interleaved(even: int, odd: int) -> int:
    """Bits of one number at the even places, of the other at the odd ones."""
    bits = 0
    for shift in (0, 8, 16, 24):
        bits |= (_SPREAD[even >> shift & 255] | _SPREAD[odd >> shift & 255] << 1) << (2 * shift)
    return bits


def _separated(bits: int) -> int:
    """The bits at the even places of 64."""
    even = _even_bits()
    return even[bits & 65535] | even[bits >> 16 & 65535] << 8 | even[bits >> 32 & 65535] << 16 | even[bits >> 48] << 24


@cache
def _even_bits() -> bytes:
    """Of each number of 16 bits those at the even places."""
    of_byte = [sum((byte >> 2 * bit & 1) << bit for bit in range(4)) for byte in range(256)]
    return bytes(high << 4 | low for high in of_byte for low in of_byte)


def cell_of(position: Position, step: int, latitude_max: float = LATITUDE_MAX) -> Cell:
    """The cell at a step that holds a position."""
    longitude, latitude = position
    column = (longitude + LONGITUDE_MAX) / (LONGITUDE_MAX - -LONGITUDE_MAX)
    row = (latitude + latitude_max) / (latitude_max - -latitude_max)
    return Cell(int(column * (1 << step)) & 0xFFFFFFFF, int(row * (1 << step)) & 0xFFFFFFFF, step)


def score_of(position: Position) -> int:
    """The score of a position: its hash at the finest step."""
    cell = cell_of(position, FINEST_STEP)
    return _interleaved(cell.row, cell.column)


def position_of(score: float) -> Position:
    """The middle of the cell that a score names. Flat, since a search asks for it thousands of times."""
    bits = int(score) if 0 <= score < _TOP_BIT else _bits_of(score)
    even = _even_bits()
    row = even[bits & 65535] | even[bits >> 16 & 65535] << 8 | even[bits >> 32 & 65535] << 16 | even[bits >> 48] << 24
    bits >>= 1
    column = (
        even[bits & 65535] | even[bits >> 16 & 65535] << 8 | even[bits >> 32 & 65535] << 16 | even[bits >> 48] << 24
    )
    west, east = -LONGITUDE_MAX + column / _FINEST * 360.0, -LONGITUDE_MAX + (column + 1) / _FINEST * 360.0
    south = -LATITUDE_MAX + row / _FINEST * (2 * LATITUDE_MAX)
    north = -LATITUDE_MAX + (row + 1) / _FINEST * (2 * LATITUDE_MAX)
    longitude, latitude = (west + east) / 2, (south + north) / 2
    if not (-LONGITUDE_MAX <= longitude <= LONGITUDE_MAX and -LATITUDE_MAX <= latitude <= LATITUDE_MAX):
        longitude = min(max(longitude, -LONGITUDE_MAX), LONGITUDE_MAX)
        latitude = min(max(latitude, -LATITUDE_MAX), LATITUDE_MAX)
    return longitude, latitude


def _bits_of(score: float) -> int:
    """The 64 bits that Redis sees in a score, also in one that is of no position: those of C's conversion, as it is on
    x86-64."""
    if score < _TOP_BIT:
        return int(score) & (2 * _TOP_BIT - 1) if score >= -_TOP_BIT else _TOP_BIT
    return int(score) if score < 2 * _TOP_BIT else 0


def text_of(position: Position) -> bytes:
    """The eleven letters of the standard geohash; the last is always 0, since 52 bits do not reach it."""
    cell = cell_of(position, FINEST_STEP, 90.0)
    bits = _interleaved(cell.row, cell.column)
    return "".join([_ALPHABET[bits >> (52 - 5 * place) & 31] for place in range(1, 11)]).encode() + b"0"


def distance_m(first: Position, second: Position) -> float:
    """Metres along a great circle (haversine)."""
    v = math.sin((second[0] * _RADIANS - first[0] * _RADIANS) / 2)
    if v == 0.0:
        return _latitude_distance_m(first[1], second[1])
    first_radians, second_radians = first[1] * _RADIANS, second[1] * _RADIANS
    u = math.sin((second_radians - first_radians) / 2)
    a = u * u + math.cos(first_radians) * math.cos(second_radians) * v * v
    return 2.0 * EARTH_RADIUS_M * math.asin(min(1.0, math.sqrt(a)))


def _latitude_distance_m(first: float, second: float) -> float:
    return EARTH_RADIUS_M * abs(second * _RADIANS - first * _RADIANS)


class Area:
    """What is within a radius of a centre, or in a box around it."""

    def __init__(
        self, centre: Position, unit_m: float, radius: float | None, width: float = 0, height: float = 0
    ) -> None:
        self.centre = centre
        self.unit_m = unit_m
        self._radius = radius
        self._width = width
        self._height = height

    def maybe_distance_m(self, position: Position) -> float | None:
        """How far a position is from the centre; None when it lies outside."""
        centre = self.centre
        if self._radius is not None:
            distance = distance_m(centre, position)
            return distance if distance <= self._radius * self.unit_m else None
        if _latitude_distance_m(position[1], centre[1]) > self._height * self.unit_m / 2:
            return None
        if distance_m(position, (centre[0], position[1])) > self._width * self.unit_m / 2:
            return None
        return distance_m(centre, position)

    def misses(self, cell: Cell) -> bool:
        """Whether a cell is outside for sure; most that are outside are."""
        west, south, east, north = cell.bounds()
        longitude, latitude = self.centre
        away = max(south - latitude, latitude - north, 0.0)
        high = self._radius if self._radius is not None else self._height / 2
        if away * _RADIANS * EARTH_RADIUS_M > high * self.unit_m * _MARGIN:
            return True
        if west <= longitude <= east:
            return False
        # As near as the cell's nearest meridian, there where meridians are closest to each other.
        to_west, to_east = abs(west - longitude), abs(east - longitude)
        beside = min(to_west, to_east, 360.0 - to_west, 360.0 - to_east)
        cosine = math.cos(max(abs(south), abs(north)) * _RADIANS)
        if self._radius is not None:
            wide = self._radius
            cosine = math.sqrt(cosine * math.cos(latitude * _RADIANS))
        else:
            wide = self._width / 2
        nearest_m = 2.0 * EARTH_RADIUS_M * math.asin(min(1.0, cosine * math.sin(beside * _RADIANS / 2)))
        return nearest_m > wide * self.unit_m * _MARGIN

    def inside(self, pairs: Iterable[tuple[float, bytes]]) -> Iterator[tuple[float, float, bytes, Position]]:
        """Of pairs of a score and a member those that lie inside: distance (m), score, member, position."""
        radius = self._radius
        if radius is None:
            for score, member in pairs:
                position = position_of(score)
                distance = self.maybe_distance_m(position)
                if distance is not None:
                    yield distance, score, member, position
            return
        # As `distance_m` has it, with what is the same for all of them taken out.
        most_m = radius * self.unit_m
        longitude, latitude = self.centre
        longitude_radians, latitude_radians = longitude * _RADIANS, latitude * _RADIANS
        cosine = math.cos(latitude_radians)
        most_latitude = most_m / EARTH_RADIUS_M * _MARGIN
        sin, cos, asin, sqrt = math.sin, math.cos, math.asin, math.sqrt
        for score, member in pairs:
            position = position_of(score)
            other_radians = position[1] * _RADIANS
            if abs(other_radians - latitude_radians) > most_latitude:
                continue
            v = sin((position[0] * _RADIANS - longitude_radians) / 2)
            if v == 0.0:
                distance = EARTH_RADIUS_M * abs(other_radians - latitude_radians)
            else:
                u = sin((other_radians - latitude_radians) / 2)
                root = sqrt(u * u + cosine * cos(other_radians) * v * v)
                distance = 2.0 * EARTH_RADIUS_M * asin(root if root < 1.0 else 1.0)
            if distance <= most_m:
                yield distance, score, member, position

    def cells(self) -> Iterator[Cell]:
        """The cells that cover the area, in the order in which Redis searches them."""
        west, south, east, north = self._bounds()
        radius = self._radius
        if radius is None:
            radius = math.sqrt((self._width / 2) * (self._width / 2) + (self._height / 2) * (self._height / 2))
        step = _coarsest_needed(radius * self.unit_m, self.centre[1])
        middle = cell_of(self.centre, step)
        if step > 1 and (
            middle.moved(0, 1).bounds()[3] < north
            or middle.moved(0, -1).bounds()[1] > south
            or middle.moved(1, 0).bounds()[2] < east
            or middle.moved(-1, 0).bounds()[0] > west
        ):
            step -= 1
            middle = cell_of(self.centre, step)
        around = [(0, 0), (0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1)]
        if step >= 2:
            middle_west, middle_south, middle_east, middle_north = middle.bounds()
            around = [
                (columns, rows)
                for columns, rows in around
                if not (
                    (rows < 0 and middle_south < south)
                    or (rows > 0 and middle_north > north)
                    or (columns < 0 and middle_west < west)
                    or (columns > 0 and middle_east > east)
                )
            ]
        last = None
        for columns, rows in around:
            cell = middle.moved(columns, rows)
            if cell != last:  # with few cells two neighbours may be the same one
                yield cell
            if (columns, rows) != (0, 0):
                last = cell

    def _bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north of a box around the area, in degrees."""
        longitude, latitude = self.centre
        if self._radius is None:
            height, width = self.unit_m * (self._height / 2), self.unit_m * (self._width / 2)
        else:
            height = width = self.unit_m * self._radius
        high = height / EARTH_RADIUS_M / _RADIANS
        wide_top = width / EARTH_RADIUS_M / _cos((latitude + high) * _RADIANS) / _RADIANS
        wide_bottom = width / EARTH_RADIUS_M / _cos((latitude - high) * _RADIANS) / _RADIANS
        wide = wide_bottom if latitude < 0 else wide_top
        return longitude - wide, latitude - high, longitude + wide, latitude + high


def _cos(angle: float) -> float:
    return math.cos(angle) if math.isfinite(angle) else math.nan


def _coarsest_needed(radius_m: float, latitude: float) -> int:
    """The step at which nine cells cover a radius, about (geohashEstimateStepsByRadius)."""
    if radius_m == 0:
        return FINEST_STEP
    step = 1
    while radius_m < MERCATOR_MAX_M:
        radius_m *= 2
        step += 1
    step -= 2
    if abs(latitude) > 66:
        step -= 2 if abs(latitude) > 80 else 1
    return min(max(step, 1), FINEST_STEP)
