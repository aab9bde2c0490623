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
from collections.abc import Iterator
from typing import NamedTuple

EARTH_RADIUS_M = 6372797.560856
MERCATOR_MAX_M = 20037726.37
LONGITUDE_MAX = 180.0
LATITUDE_MAX = 85.05112878
"""The latitudes of Web Mercator's square."""
FINEST_STEP = 26

_TOP_BIT = 1 << 63
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
    """The bits at the even places."""
    bits &= 0x5555555555555555
    for shift, mask in (
        (1, 0x3333333333333333), (2, 0x0F0F0F0F0F0F0F0F), (4, 0x00FF00FF00FF00FF), (8, 0x0000FFFF0000FFFF),
        (16, 0x00000000FFFFFFFF),
    ):  # fmt: skip
        bits = (bits | bits >> shift) & mask
    return bits


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
    """The middle of the cell that a score names."""
    bits = _bits_of(score)
    west, south, east, north = Cell(_separated(bits >> 1), _separated(bits), FINEST_STEP).bounds()
    longitude, latitude = (west + east) / 2, (south + north) / 2
    return (
        min(max(longitude, -LONGITUDE_MAX), LONGITUDE_MAX),
        min(max(latitude, -LATITUDE_MAX), LATITUDE_MAX),
    )


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
