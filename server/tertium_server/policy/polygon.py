"""Polygons: whether one is simple, and whether it holds a point."""

from collections.abc import Sequence
from itertools import pairwise

Point = tuple[float, float]
_FEWEST_CORNERS = 3


def check_polygon(corners: tuple[Point, ...]) -> tuple[Point, ...]:
    """The corners, if they make a simple polygon with an inside.

    Raises:
        ValueError: There are fewer than three corners, two next to each other are the same, or edges meet elsewhere than in a common corner.
    """
    if len(corners) < _FEWEST_CORNERS:
        raise ValueError(f"it has {len(corners)} corners; a zone needs at least {_FEWEST_CORNERS}")
    edges = list(pairwise((*corners, corners[0])))
    for number, (start, end) in enumerate(edges):
        if start == end:
            raise ValueError(f"corner {number + 1} is written twice: leave one of them out")
    for first, one in enumerate(edges):
        for second in range(first + 1, len(edges)):
            if _meet_wrongly(one, edges[second], len(edges), second - first):
                raise ValueError(
                    f"it intersects itself: the edge after corner {first + 1} meets that after corner {second + 1}; "
                    "name the corners in the order in which one walks around the zone"
                )
    return corners


def contains(corners: Sequence[Point], x: float, y: float) -> bool:
    """Whether a polygon holds a point, by the even-odd rule: the engine's own arithmetic, for people who ask before they switch."""
    inside = False
    for (x1, y1), (x2, y2) in pairwise((*corners, corners[0])):
        if (y1 > y) != (y2 > y) and x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
            inside = not inside
    return inside


def _meet_wrongly(one: tuple[Point, Point], other: tuple[Point, Point], count: int, apart: int) -> bool:
    """Whether two edges meet. Neighbours share a corner, and may share no more."""
    (a, b), (c, d) = one, other
    if apart == 1:  # b is c
        return _lies_on(a, other) or _lies_on(d, one)
    if apart == count - 1:  # a is d
        return _lies_on(b, other) or _lies_on(c, one)
    turns = _turn(a, b, c), _turn(a, b, d), _turn(c, d, a), _turn(c, d, b)
    if turns[0] * turns[1] < 0 and turns[2] * turns[3] < 0:
        return True
    return _lies_on(a, other) or _lies_on(b, other) or _lies_on(c, one) or _lies_on(d, one)


def _turn(a: Point, b: Point, c: Point) -> int:
    """1 if a, b, c turn left, -1 if right, 0 if they lie on a line."""
    area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    return (area > 0) - (area < 0)


def _lies_on(point: Point, edge: tuple[Point, Point]) -> bool:
    (x1, y1), (x2, y2) = edge
    return (
        _turn(edge[0], edge[1], point) == 0
        and min(x1, x2) <= point[0] <= max(x1, x2)
        and min(y1, y2) <= point[1] <= max(y1, y2)
    )
