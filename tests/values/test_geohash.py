"""Positions and cells, areas and the cells that cover them."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redraft.values import geohash
from redraft.values.geohash import EARTH_RADIUS_M, FINEST_STEP, LATITUDE_MAX, Area, Cell

longitudes = st.integers(-180_000_000, 179_999_999).map(lambda number: number / 1e6)
latitudes = st.integers(-85_051_128, 85_051_128).map(lambda number: number / 1e6)
positions = st.tuples(longitudes, latitudes)


@given(positions)
def test_a_score_names_a_cell_of_less_than_a_metre_around_its_position(position: tuple[float, float]) -> None:
    score = geohash.score_of(position)
    assert 0 <= score < 1 << 52
    assert score == int(float(score))
    there = geohash.position_of(score)
    assert abs(there[0] - position[0]) <= 180 / (1 << FINEST_STEP) * 1.001
    assert abs(there[1] - position[1]) <= LATITUDE_MAX / (1 << FINEST_STEP) * 1.001
    assert geohash.score_of(there) == score


@given(positions, st.integers(1, FINEST_STEP))
def test_the_scores_of_a_cell_are_those_of_the_positions_in_it(position: tuple[float, float], step: int) -> None:
    cell = geohash.cell_of(position, step)
    assert geohash.score_of(position) in cell.scores()
    west, south, east, north = cell.bounds()
    assert west <= position[0] <= east
    assert south <= position[1] <= north
    for columns, rows in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        neighbour = cell.moved(columns, rows)
        assert neighbour.scores() != cell.scores()
        assert neighbour.moved(-columns, -rows) == cell


def test_the_cells_of_a_step_share_out_all_scores() -> None:
    cells = [Cell(column, row, 3) for column in range(8) for row in range(8)]
    spans = sorted((cell.scores().start, cell.scores().stop) for cell in cells)
    assert spans[0][0] == 0
    assert spans[-1][1] == 1 << 52
    assert all(first[1] == second[0] for first, second in pairwise(spans))


@given(positions, positions)
def test_distances_are_along_great_circles(first: tuple[float, float], second: tuple[float, float]) -> None:
    distance = geohash.distance_m(first, second)
    assert 0 <= distance <= math.pi * EARTH_RADIUS_M * 1.0001
    assert distance == pytest.approx(geohash.distance_m(second, first))
    # By the angle between two vectors, which is another formula.
    vectors = []
    for longitude, latitude in (first, second):
        x, y = math.radians(longitude), math.radians(latitude)
        vectors.append((math.cos(y) * math.cos(x), math.cos(y) * math.sin(x), math.sin(y)))
    straight = math.dist(*vectors)
    assert distance == pytest.approx(2 * EARTH_RADIUS_M * math.asin(min(1.0, straight / 2)), abs=1.0)


near = st.tuples(st.floats(-60, 60), st.floats(-60, 60))


@given(near, near, st.floats(1, 2_000_000), st.booleans())
def test_what_is_inside_an_area_is_in_one_of_its_cells(
    centre: tuple[float, float], position: tuple[float, float], size: float, round_: bool
) -> None:
    area = Area(centre, 1.0, size) if round_ else Area(centre, 1.0, None, size, size)
    cells = list(area.cells())
    assert len(cells) == len(set(cells)) <= 9
    assert any(geohash.score_of(centre) in cell.scores() for cell in cells)
    closer = (centre[0] + (position[0] - centre[0]) * size / 2e7, centre[1] + (position[1] - centre[1]) * size / 2e7)
    for point in (position, closer):
        if area.maybe_distance_m(point) is not None:
            assert any(geohash.score_of(point) in cell.scores() for cell in cells)


anywhere = st.tuples(st.floats(-180, 180), st.floats(-85, 85))


@given(anywhere, st.floats(0, 20_000_000), st.booleans(), st.lists(anywhere, min_size=1, max_size=20))
def test_what_is_inside_is_what_is_near_enough_and_no_cell_of_it_is_missed(
    centre: tuple[float, float], size: float, round_: bool, positions: list[tuple[float, float]]
) -> None:
    area = Area(centre, 1.0, size) if round_ else Area(centre, 1.0, None, size, size / 2)
    pairs = [(float(geohash.score_of(position)), b"%d" % number) for number, position in enumerate(positions)]
    near = []
    for score, member in pairs:
        distance = area.maybe_distance_m(geohash.position_of(score))
        if distance is not None:
            near.append((distance, score, member, geohash.position_of(score)))
            for step in range(1, geohash.FINEST_STEP + 1):
                cell = geohash.cell_of(geohash.position_of(score), step)
                assert not area.misses(cell)
    assert list(area.inside(pairs)) == near


@given(st.integers(1, geohash.FINEST_STEP - 1), anywhere)
def test_the_parts_of_a_cell_share_out_its_scores_in_order(step: int, position: tuple[float, float]) -> None:
    cell = geohash.cell_of(position, step)
    scores = [part.scores() for part in cell.parts()]
    assert [each.start for each in scores] == [cell.scores().start, *(each.stop for each in scores[:-1])]
    assert scores[-1].stop == cell.scores().stop


@given(st.tuples(st.floats(-179.9, 179.9), st.floats(-85, 85)))
def test_the_position_of_a_score_is_the_middle_of_its_cell(position: tuple[float, float]) -> None:
    cell = geohash.cell_of(position, geohash.FINEST_STEP)
    west, south, east, north = cell.bounds()
    assert geohash.position_of(geohash.score_of(position)) == ((west + east) / 2, (south + north) / 2)


@pytest.mark.parametrize("score", [math.inf, -math.inf, 1e300, -1.0, 1.5, float(1 << 53)])
def test_any_score_has_a_position(score: float) -> None:
    longitude, latitude = geohash.position_of(score)
    assert -180 <= longitude <= 180
    assert -LATITUDE_MAX <= latitude <= LATITUDE_MAX
