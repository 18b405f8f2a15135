r"""Exact assignment of detections to tracks: a matching of largest total weight in a sparse bipartite graph.

Rows (detections) and columns (tracks) are joined by edges of positive weight; any of them may stay alone at weight 0. The Hungarian method
in its shortest-augmenting-path form keeps dual prices :math:`u_i, v_j \ge 0` with :math:`u_i + v_j \ge w_{ij}`, tight on the matching and zero on
whatever is alone; then the matching is optimal (Kuhn 1955; Jonker and Volgenant 1987). Most rows take their best column at once; only rows that
compete for one search a path, and only through the edges around them.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tertium_server.engine.kernel import kernel

_INFINITY = np.inf
_UNSEEN, _OPEN, _SETTLED = 0, 1, 2


class Search(NamedTuple):
    """Scratch of the search for a path, one entry a column."""

    distance: npt.NDArray[np.float64]
    reached_from: npt.NDArray[np.int64]
    frontier: npt.NDArray[np.int64]
    settled: npt.NDArray[np.int64]
    state: npt.NDArray[np.int64]


@kernel
def assign(
    rows, columns, edge_start, edge_column, edge_weight, row_match, column_match, row_price, column_price, search
):
    """Matches rows to columns.

    ``edge_start`` int64 (rows + 1,), ``edge_column`` int64 (E,) and ``edge_weight`` float64 (E,) hold each row's edges, weights above 0. Writes
    ``row_match`` (rows,) and ``column_match`` (columns,): the partner's number or -1. ``row_price``, ``column_price`` and ``search`` are scratch.
    """
    for column in range(columns):
        column_match[column] = -1
        column_price[column] = 0.0
    contested = 0
    for row in range(rows):
        row_match[row] = -1
        best = 0.0
        best_column = -1
        for edge in range(edge_start[row], edge_start[row + 1]):
            if edge_weight[edge] > best:
                best = edge_weight[edge]
                best_column = edge_column[edge]
        row_price[row] = best
        if best_column >= 0:
            if column_match[best_column] < 0:
                column_match[best_column] = row
                row_match[row] = best_column
            else:
                contested += 1
    if contested == 0:
        return
    for column in range(columns):
        search.distance[column] = _INFINITY
        search.state[column] = _UNSEEN
    for row in range(rows):
        if row_match[row] < 0 and row_price[row] > 0.0:
            _augment(
                row, edge_start, edge_column, edge_weight, row_match, column_match, row_price, column_price, search
            )


@kernel
def _augment(source, edge_start, edge_column, edge_weight, row_match, column_match, row_price, column_price, search):
    """Finds the cheapest way to give ``source`` a column, or to leave one row of its alternating tree alone, and takes it."""
    distance = search.distance
    reached_from = search.reached_from
    frontier = search.frontier
    settled = search.settled
    state = search.state
    frontier_size = 0
    settled_size = 0
    limit = row_price[source]  # what it costs to leave the source alone
    end_column = -1  # free column at the end of the path
    end_row = source  # or the row that is left alone
    row = source
    row_distance = 0.0
    while True:
        for edge in range(edge_start[row], edge_start[row + 1]):
            column = edge_column[edge]
            reach = row_distance + row_price[row] + column_price[column] - edge_weight[edge]
            if state[column] != _SETTLED and reach < distance[column] and reach < limit:
                if state[column] == _UNSEEN:
                    state[column] = _OPEN
                    frontier[frontier_size] = column
                    frontier_size += 1
                distance[column] = reach
                reached_from[column] = row
        nearest = -1
        nearest_distance = limit
        for place in range(frontier_size):
            if distance[frontier[place]] < nearest_distance:
                nearest_distance = distance[frontier[place]]
                nearest = place
        if nearest < 0:
            break
        column = frontier[nearest]
        frontier_size -= 1
        frontier[nearest] = frontier[frontier_size]
        state[column] = _SETTLED
        settled[settled_size] = column
        settled_size += 1
        row = column_match[column]
        row_distance = distance[column]
        if row < 0:
            limit = row_distance
            end_column = column
            break
        if row_distance + row_price[row] < limit:
            limit = row_distance + row_price[row]
            end_row = row

    row_price[source] -= limit
    for place in range(settled_size):
        column = settled[place]
        gain = limit - distance[column]
        if gain > 0.0:
            column_price[column] += gain
            if column_match[column] >= 0:
                row_price[column_match[column]] -= gain

    if end_column < 0 and end_row != source:
        end_column = row_match[end_row]
        row_match[end_row] = -1
    while end_column >= 0:
        row = reached_from[end_column]
        previous = row_match[row]
        row_match[row] = end_column
        column_match[end_column] = row
        end_column = previous

    for place in range(settled_size):
        distance[settled[place]] = _INFINITY
        state[settled[place]] = _UNSEEN
    for place in range(frontier_size):
        distance[frontier[place]] = _INFINITY
        state[frontier[place]] = _UNSEEN
