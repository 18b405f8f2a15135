"""Assignment against scipy's, which knows only full matrices: there, a row that stays alone takes a place of its own at weight 0."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from tertium_server.engine.assignment import Search, assign

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
TINY = 1e-9


@dataclass(frozen=True)
class Assigned:
    row_match: Ints
    column_match: Ints
    row_price: Floats
    column_price: Floats


def assigned(weights: Floats, search: Search | None = None) -> Assigned:
    """What the kernel makes of a matrix in which 0 is no edge."""
    rows, columns = weights.shape
    edge_start = np.concatenate([[0], np.cumsum((weights > 0).sum(axis=1))]).astype(np.int64)
    edge_row, edge_column = np.nonzero(weights > 0)
    result = Assigned(np.full(rows, 77), np.full(columns, 77), np.full(rows, np.nan), np.full(columns, np.nan))
    assign(
        rows,
        columns,
        edge_start,
        edge_column.astype(np.int64),
        weights[edge_row, edge_column].astype(np.float64),
        result.row_match,
        result.column_match,
        result.row_price,
        result.column_price,
        fresh_search(columns) if search is None else search,
    )
    return result


def fresh_search(columns: int) -> Search:
    """Scratch full of rubbish."""
    return Search(np.full(columns, -3.0), *(np.full(columns, 5, dtype=np.int64) for _ in range(4)))


def best_total(weights: Floats) -> float:
    rows, columns = weights.shape
    padded = np.hstack([weights, np.zeros((rows, rows))])
    return float(padded[linear_sum_assignment(padded, maximize=True)].sum()) if rows and columns else 0.0


def check(weights: Floats) -> None:
    """A matching, of largest total weight, with prices that prove it."""
    found = assigned(weights)
    matched = [(row, int(found.row_match[row])) for row in range(len(weights)) if found.row_match[row] >= 0]
    assert all(found.column_match[column] == row for row, column in matched)
    assert (found.column_match >= 0).sum() == len(matched)
    assert all(weights[row, column] > 0 for row, column in matched), "only along edges"
    assert sum(weights[row, column] for row, column in matched) == pytest.approx(best_total(weights), abs=TINY)
    # Complementary slackness: prices cover every edge, are tight on the matching and nothing on whatever is alone.
    assert (found.row_price >= -TINY).all()
    assert (found.column_price >= -TINY).all()
    slack = found.row_price[:, None] + found.column_price[None, :] - weights
    assert (slack[weights > 0] >= -TINY).all()
    assert all(abs(slack[row, column]) <= TINY for row, column in matched)
    assert np.abs(found.row_price[found.row_match < 0]).max(initial=0.0) <= TINY
    assert np.abs(found.column_price[found.column_match < 0]).max(initial=0.0) <= TINY


def sparse(random: np.random.Generator, rows: int, columns: int, density: float) -> Floats:
    weights = random.uniform(0.001, 0.8, (rows, columns))
    weights[random.random((rows, columns)) >= density] = 0.0
    return weights


@pytest.mark.parametrize("density", [0.02, 0.1, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("seed", range(20))
def test_random_graphs(seed: int, density: float) -> None:
    random = np.random.default_rng([seed, round(100 * density)])
    rows, columns = random.integers(1, 40, 2).tolist()
    check(sparse(random, rows, columns, density))


@pytest.mark.parametrize("seed", range(40))
def test_graphs_full_of_ties(seed: int) -> None:
    random = np.random.default_rng(seed)
    rows, columns = random.integers(1, 25, 2).tolist()
    check(random.choice([0.0, 0.25, 0.5], (rows, columns), p=[0.5, 0.25, 0.25]))


@pytest.mark.parametrize("seed", range(20))
def test_weights_that_differ_in_the_last_digits_only(seed: int) -> None:
    random = np.random.default_rng(seed)
    check(np.asarray(0.5 + 1e-13 * random.integers(0, 4, (12, 12)), dtype=np.float64))


@pytest.mark.parametrize(("rows", "columns"), [(60, 3), (3, 60), (50, 1), (1, 50), (0, 5), (5, 0), (0, 0)])
def test_one_side_larger_than_the_other(rows: int, columns: int) -> None:
    random = np.random.default_rng([rows, columns])
    for density in (0.3, 1.0):
        check(sparse(random, rows, columns, density))


def test_no_edges_at_all() -> None:
    check(np.zeros((7, 9)))


def test_all_rows_want_the_same_column() -> None:
    weights = np.zeros((30, 4))
    weights[:, 2] = np.linspace(0.1, 0.7, 30)
    check(weights)
    assert assigned(weights).row_match[29] == 2


def test_a_row_gives_way_although_it_comes_first_and_is_then_alone() -> None:
    weights = np.array([[0.5, 0.0], [0.9, 0.0]])
    assert assigned(weights).row_match.tolist() == [-1, 0]


def test_the_largest_total_beats_the_largest_single_weight() -> None:
    assert assigned(np.array([[0.9, 0.8], [0.8, 0.0]])).row_match.tolist() == [1, 0]


def test_a_chain_in_which_everyone_has_to_move_up() -> None:
    size = 60
    weights = np.zeros((size, size))
    for row in range(size):
        weights[row, row] = 0.5
        if row:
            weights[row, row - 1] = 0.51
    weights[0, 0] = 0.6
    check(weights)


@pytest.mark.parametrize("kind", ["dense", "sparse", "crossing", "ties"])
def test_two_hundred_by_two_hundred(kind: str) -> None:
    random = np.random.default_rng(11)
    if kind == "dense":
        weights = random.uniform(0.1, 0.9, (200, 200))
    elif kind == "sparse":
        weights = sparse(random, 200, 200, 0.04)
    elif kind == "crossing":  # everyone near everyone else on a line
        places = np.sort(random.uniform(0, 40, (2, 200)), axis=1)
        weights = np.maximum(0.0, 1.0 - np.abs(places[0][:, None] - places[1][None, :]))
    else:
        weights = random.choice([0.0, 0.3], (200, 200), p=[0.9, 0.1])
    check(weights)


@given(st.integers(1, 7), st.integers(1, 7), st.data())
def test_small_graphs_of_any_kind(rows: int, columns: int, data: st.DataObject) -> None:
    values = st.sampled_from([0.0, 0.1, 0.2, 0.3]) | st.floats(0, 1)
    weights = data.draw(st.lists(values, min_size=rows * columns, max_size=rows * columns))
    check(np.array(weights).reshape(rows, columns))


def test_scratch_is_left_as_it_may_be_found() -> None:
    random = np.random.default_rng(3)
    search = fresh_search(60)
    for _ in range(50):
        rows, columns = random.integers(1, 60, 2).tolist()
        weights = sparse(random, rows, columns, 0.4)
        assert (assigned(weights, search).row_match == assigned(weights).row_match).all()
