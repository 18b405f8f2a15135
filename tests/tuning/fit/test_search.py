"""The search walks downhill, stays within its bounds, and knows when to stop."""

from typing import Any

from tertium_server.policy import default_policy
from tertium_server.tuning.fit.search import KNOBS, search, value_at, with_value

START: dict[str, Any] = default_policy().model_dump(mode="json")["defaults"]


def test_every_knob_exists_and_starts_within_its_bounds() -> None:
    for knob in KNOBS:
        value = value_at(START, knob.path)
        assert knob.low <= value <= knob.high, knob.path
        assert knob.neighbours(value), knob.path


def test_a_value_is_changed_in_a_copy() -> None:
    path = ("evidence", "miss", "value")
    changed = with_value(START, path, -1.25)
    assert value_at(changed, path) == -1.25
    assert value_at(START, path) != -1.25
    assert changed["box"] is START["box"]


def test_the_search_finds_a_better_place_and_counts_its_trials() -> None:
    wanted = -6.0
    trials: list[dict[str, Any]] = []

    def loss(tree: dict[str, Any]) -> float:
        trials.append(tree)
        return 1.0 + abs(value_at(tree, ("evidence", "miss", "value")) - wanted)

    told: list[None] = []
    best, least = search(START, loss, sweeps=9, told=lambda: told.append(None))
    assert abs(value_at(best, ("evidence", "miss", "value")) - wanted) < 0.51
    assert least == loss(best)
    assert len(told) == len(trials) - 1
    for tree in trials:
        assert all(knob.low <= value_at(tree, knob.path) <= knob.high for knob in KNOBS)


def test_where_nothing_helps_the_start_stays() -> None:
    best, least = search(START, lambda _: 0.5, sweeps=5)
    assert best is START
    assert least == 0.5
