"""Polygons: which are simple, by exact arithmetic, and what they hold, by another algorithm."""

import math
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from matplotlib.path import Path as Outline

from tertium_server.policy.polygon import Point, check_polygon, contains

GRID = st.tuples(st.integers(0, 6), st.integers(0, 6)).map(lambda point: (point[0] / 8, point[1] / 8))


def exact(point: Point) -> tuple[Fraction, Fraction]:
    return Fraction(point[0]), Fraction(point[1])


def common_points(a: Point, b: Point, c: Point, d: Point) -> int:
    """How many points two segments share: 0, 1, or 2 for many. Exact."""
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = map(exact, (a, b, c, d))
    rx, ry, sx, sy = bx - ax, by - ay, dx - cx, dy - cy
    cross = rx * sy - ry * sx
    if cross != 0:
        t, u = ((cx - ax) * sy - (cy - ay) * sx) / cross, ((cx - ax) * ry - (cy - ay) * rx) / cross
        return int(0 <= t <= 1 and 0 <= u <= 1)
    if (cx - ax) * ry != (cy - ay) * rx:
        return 0
    along = sorted(((x - ax) * rx + (y - ay) * ry) / (rx * rx + ry * ry) for x, y in ((cx, cy), (dx, dy)))
    low, high = max(along[0], Fraction(0)), min(along[1], Fraction(1))
    return 0 if low > high else 1 if low == high else 2


def is_simple(corners: list[Point]) -> bool:
    count = len(corners)
    edges = [(corners[place], corners[(place + 1) % count]) for place in range(count)]
    if any(start == end for start, end in edges):
        return False
    for one, other in combinations(range(count), 2):
        neighbours = other - one in {1, count - 1}
        if common_points(*edges[one], *edges[other]) > int(neighbours):
            return False
    return True


@given(st.lists(GRID, min_size=3, max_size=7))
def test_polygons_that_intersect_themselves_are_refused_and_no_others(corners: list[Point]) -> None:
    try:
        check_polygon(tuple(corners))
    except ValueError:
        assert not is_simple(corners)
    else:
        assert is_simple(corners)


@given(st.lists(GRID, min_size=3, max_size=7, unique=True), st.floats(0, 0.8), st.floats(0, 0.8))
def test_a_point_is_inside_where_matplotlib_says_so(corners: list[Point], x: float, y: float) -> None:
    assume(is_simple(corners))
    outline = Outline(np.array([*corners, corners[0]]), closed=True)
    distance = min(
        _distance(x, y, corners[place], corners[(place + 1) % len(corners)]) for place in range(len(corners))
    )
    assume(distance > 1e-9)  # on the edge either answer will do
    assert contains(corners, x, y) == outline.contains_point((x, y))


def _distance(x: float, y: float, a: Point, b: Point) -> float:
    length = (b[0] - a[0]) ** 2 + (b[1] - a[1]) ** 2
    t = max(0.0, min(1.0, ((x - a[0]) * (b[0] - a[0]) + (y - a[1]) * (b[1] - a[1])) / length))
    return math.hypot(x - a[0] - t * (b[0] - a[0]), y - a[1] - t * (b[1] - a[1]))


@given(GRID, GRID)
def test_zones_that_share_an_edge_leave_no_point_out_and_hold_none_twice(point: Point, split: Point) -> None:
    across = 0.25 + split[0] / 2
    left = [(0.0, 0.0), (across, 0.0), (across, 1.0), (0.0, 1.0)]
    right = [(across, 0.0), (1.0, 0.0), (1.0, 1.0), (across, 1.0)]
    x, y = point
    assert contains(left, x, y) + contains(right, x, y) == 1


@pytest.mark.parametrize(
    ("corners", "message"),
    [
        ([(0, 0), (1, 1)], "needs at least 3"),
        ([(0, 0), (1, 0), (1, 0), (1, 1)], "corner 2 is written twice"),
        ([(0, 0), (1, 0), (1, 1), (0, 0)], "corner 4 is written twice"),
        ([(0, 0), (1, 1), (1, 0), (0, 1)], "edge after corner 1 meets that after corner 3"),
        ([(0, 0), (1, 0), (0.5, 0)], "intersects itself"),
    ],
)
def test_what_is_wrong_with_a_polygon_is_said_by_its_corners(corners: list[Point], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_polygon(tuple(corners))
