"""Bounds and grids of thresholds, and work spread over processes."""

import sys
from typing import Any

import joblib.parallel
import numpy as np
import pytest

from tertium_server.tuning.choosing import choose_thresholds
from tertium_server.tuning.limits import LimitError, Limits, make_limits, parse_bounds, parse_grid
from tertium_server.tuning.objectives import F1, Budget, Cost, Objective, Targets
from tertium_server.tuning.spread import BackendError, Spread
from tertium_server.tuning.sweep import sweep
from tertium_server.tuning.thresholds import choose
from tests.tuning.scattered import scattered


def test_on_a_grid_counts_are_those_of_its_thresholds() -> None:
    curve = scattered(0, blocks=9).curve()
    grid = parse_grid("0:1:0.1", "--grid")
    limited = Limits(grid=grid).of(curve)
    assert limited.thresholds.tolist() == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    for place, value in enumerate(grid):
        point = curve.at(value)
        assert (limited.tp[place], limited.fp[place], limited.found[place]) == (point.tp, point.fp, point.found)
    assert limited.best().f1 == max(curve.at(value).f1 for value in grid)


def test_within_bounds_the_best_is_the_best_of_those_between() -> None:
    curve = scattered(1, blocks=9).curve()
    low, high = 0.62, 0.7
    limited = Limits(bounds=(low, high)).of(curve)
    candidates = [low, high, *(value for value in curve.exported if low < value < high)]
    assert limited.best().f1 == max(curve.at(value).f1 for value in candidates)
    assert low <= limited.best().threshold <= high


OBJECTIVES = [
    F1(),
    Targets(precision=0.8, recall=0.6),
    Targets(precision=0.7, recall=0.5, confidence=0.8),
    Cost(fp=1.0, fn=2.0, review=0.3),
    Budget(share=0.2),
]


@pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
def test_no_objective_chooses_beyond_the_limits(objective: Objective) -> None:
    units = scattered(2, blocks=40)
    grid = parse_grid("0.05:0.95:0.05", "--grid")
    chosen = choose_thresholds(units, objective, limits=Limits(grid=grid)).thresholds
    for point in (chosen.yes, chosen.no):
        assert point.threshold in (*grid, 1.0)  # 1 is "nothing is YES"
        whole = units.curve().at(point.threshold)
        assert (point.tp, point.fp) == (whole.tp, whole.fp)
    assert chosen.total == units.curve().accepted[0]


def test_a_grid_under_scores_of_one_does_not_say_that_nothing_is_yes_at_one() -> None:
    curve = sweep(np.array([0.3, 0.6, 1.0, 1.0]), np.array([0, 0, 1, 0]), 1)
    limited = Limits(grid=(0.5, 0.9)).of(curve)
    assert limited.nothing > 1.0
    assert Limits(grid=(0.5, 1.0)).of(sweep(np.array([0.3, 0.6]), np.array([0, 1]), 1)).nothing == 1.0
    (warning,) = choose(limited, Cost(fp=9.0, fn=1.0, review=5.0)).warnings
    assert "scores of 1 can't be kept from YES" in warning


@pytest.mark.parametrize(
    ("grid", "objective", "why"),
    [
        (
            (0.9, 1.0),
            Targets(precision=0.9),
            "no threshold reaches a precision of 0.9 (they accept nothing): nothing is YES",
        ),
        (
            (0.5, 1.0),
            Targets(precision=0.9),
            "no threshold reaches a precision of 0.9 (the best is 0.500): nothing is YES",
        ),
        (
            (0.9, 1.0),
            Targets(kept=0.9),
            "no threshold reaches a share of right detections of 0.9 (they accept nothing right): ",
        ),
    ],
)
def test_what_limits_leave_out_of_reach_is_told_with_the_best_there_is(
    grid: tuple[float, ...], objective: Objective, why: str
) -> None:
    curve = Limits(grid=grid).of(sweep(np.array([0.3, 0.6, 0.7]), np.array([0, 1, 0]), 1))
    assert any(text.startswith(why) for text in choose(curve, objective).warnings)


def test_without_limits_the_curve_is_what_it_was() -> None:
    curve = scattered(3, blocks=5).curve()
    assert Limits().of(curve) is curve


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("0.5,0.1,0.5", (0.1, 0.5)),
        ("0:0.3:0.1", (0.0, 0.1, 0.2, 0.3)),
        ("0.5", (0.5,)),
        ("0.2:0.2:1", (0.2,)),
        ("0:4e-13:1e-13", (0.0,)),
    ],
)
def test_a_grid_is_read(text: str, values: tuple[float, ...]) -> None:
    assert parse_grid(text, "--grid") == values


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a,b", "numbers"),
        ("0:1:0", "STEP over 0"),
        ("1:0:0.1", "START ≤ STOP"),
        ("0,2", "from 0 to 1"),
        ("0:1:1e-9", "steps"),
        ("0:1:nan", "STEP over 0"),
        ("nan:1:0.1", "START ≤ STOP"),
        ("inf:inf:1", "steps"),
    ],
)
def test_a_grid_that_makes_no_sense_is_quoted(text: str, problem: str) -> None:
    with pytest.raises(LimitError, match=f"--grid {text}.*{problem}"):
        parse_grid(text, "--grid")


@pytest.mark.parametrize("text", ["0.5", "0.7,0.2", "-1,1", "0,1,1", "x,1"])
def test_bounds_that_make_no_sense_are_quoted(text: str) -> None:
    with pytest.raises(LimitError, match=f"--bounds {text}"):
        parse_bounds(text)


def test_a_grid_beyond_the_bounds_leaves_nothing_and_is_refused() -> None:
    with pytest.raises(LimitError, match="no threshold within --bounds"):
        make_limits("0.8,0.9", "0.1,0.2")


def square(number: int) -> int:
    return number * number


@pytest.mark.parametrize("backend", ["loky", "threading", "sequential"])
@pytest.mark.parametrize("jobs", [1, 2])
def test_results_come_in_order_wherever_the_work_is_done(backend: str, jobs: int) -> None:
    assert list(Spread(jobs, backend).over(square, range(7))) == [0, 1, 4, 9, 16, 25, 36]


def test_a_backend_that_joblib_does_not_know_is_named() -> None:
    with pytest.raises(BackendError, match="--backend nobody"):
        list(Spread(2, "nobody").over(square, range(3)))


def test_limited_curves_keep_rising_thresholds() -> None:
    limited = Limits(bounds=(0.2, 0.8)).of(scattered(4, blocks=9).curve())
    assert (np.diff(limited.thresholds) > 0).all()
    assert (np.diff(limited.tp) <= 0).all()


def test_a_backend_that_joblib_knows_only_by_its_context_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[int] = []

    class Cluster(joblib.parallel.ThreadingBackend):  # type: ignore[misc]  # joblib has no types
        def configure(self, *given: Any, **more: Any) -> Any:
            used.append(more["n_jobs"])
            return super().configure(*given, **more)

    monkeypatch.setitem(
        joblib.parallel.EXTERNAL_BACKENDS, "cluster", lambda: joblib.register_parallel_backend("cluster", Cluster)
    )
    assert list(Spread(2, "cluster").over(square, range(7))) == [0, 1, 4, 9, 16, 25, 36]
    assert used == [2]
    del joblib.parallel.BACKENDS["cluster"]


def test_dask_that_is_missing_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(
        BackendError,
        match=r"--backend dask: joblib can't use it .*pip install dask distributed, and set DASK_SCHEDULER",
    ):
        list(Spread(2, "dask").over(square, range(3)))
