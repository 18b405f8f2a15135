import math
from dataclasses import replace

import numpy as np
import pytest

from tertium_server.tuning.curve import Curve
from tertium_server.tuning.intervals import Interval, curve_draws, draw
from tertium_server.tuning.matching import label_changes
from tertium_server.tuning.units import BlockCounts, Place, Units, box_units
from tests.tuning.figures import curve_intervals, difference_intervals, figure_intervals
from tests.tuning.labelled import crowd
from tests.tuning.scattered import scattered

FIGURES = ("precision", "recall", "f1")


def resampled(units: Units, weights: list[int]) -> Units:
    """The same with each block copied as often as it is drawn, the plain way."""
    places = [np.flatnonzero(units.blocks == block) for block, times in enumerate(weights) for _ in range(times)]
    rows = np.concatenate(places)
    columns = {name: getattr(units, name)[rows] for name in ("scores", "true", "false", "found", "class_ids", "blocks")}
    return replace(units, **columns, positives=units.positives * np.array(weights)[:, None])


def curves(units: Units, seed: int, draws: int) -> list[Curve]:
    return [resampled(units, weights).curve() for weights in draw(len(units.positives), seed, draws).tolist()]


def middle(values: list[float]) -> list[float]:
    low, high = np.quantile(values, [0.025, 0.975])
    return [float(low), float(high)]


def test_figures_are_those_of_blocks_copied_as_often_as_they_are_drawn() -> None:
    units = scattered(0, blocks=9)
    intervals = figure_intervals(units.counts_by_block(0.5), seed=4, draws=80)
    points = [curve.at(0.5) for curve in curves(units, 4, 80)]
    for name in FIGURES:
        interval = intervals[name]
        assert [interval.low, interval.high] == pytest.approx(middle([getattr(point, name) for point in points]))


def test_what_is_read_off_a_curve_is_read_off_each_resample() -> None:
    units = scattered(1, blocks=9)
    intervals = curve_intervals(units, seed=4, draws=30)
    swept = curves(units, 4, 30)
    expected = {
        "best_f1": [curve.best().f1 for curve in swept],
        "best_threshold": [curve.best().threshold for curve in swept],
        "recommended_threshold": [curve.recommended().threshold for curve in swept],
        "average_precision": [curve.average_precision for curve in swept],
    }
    for name, values in expected.items():
        interval = intervals[name]
        assert [interval.low, interval.high] == pytest.approx(middle(values))


@pytest.mark.parametrize("seed", range(6))
def test_each_resample_gives_what_its_own_curve_gives_to_the_last_bit(seed: int) -> None:
    # Changes by falling IoU go both ways: a box that comes in re-pairs others. Scores are few, so that many are equal.
    labelled = crowd(seed, frames=6, objects=2 if seed % 2 else 5, decimals=1)
    rule = "iou" if seed % 3 else "score"
    units = box_units(
        labelled, label_changes(labelled, labelled.sequence.scores, 0.5, rule), Place.of_all([labelled])[0]
    )
    given = curve_draws(units, seed, 40, recommended=False)
    for index, curve in enumerate(curves(units, seed, 40)):
        area = curve.average_precision
        assert given["average_precision"][index] == pytest.approx(area, rel=1e-12, nan_ok=True)
        if curve.obstacle:
            assert math.isnan(given["best_f1"][index])
            assert math.isnan(given["best_threshold"][index])
        else:
            assert (given["best_f1"][index], given["best_threshold"][index]) == (
                curve.best().f1,
                curve.best().threshold,
            )


def test_the_same_seed_gives_the_same_and_another_another() -> None:
    units = scattered(2, blocks=12)
    counts = units.counts_by_block(0.5)
    assert figure_intervals(counts, seed=1) == figure_intervals(counts, seed=1)
    assert figure_intervals(counts, seed=1) != figure_intervals(counts, seed=2)
    assert curve_intervals(units, seed=1, draws=10) == curve_intervals(units, seed=1, draws=10)


def test_as_many_blocks_are_drawn_as_there_are() -> None:
    drawn = draw(7, seed=0, draws=500)
    assert drawn.shape == (500, 7)
    assert (drawn.sum(axis=1) == 7).all()
    assert drawn.mean(axis=0) == pytest.approx(np.ones(7), abs=0.2)


def test_intervals_hold_what_is_so_about_as_often_as_they_say() -> None:
    world = scattered(1, blocks=20_000).curve().at(0.5)
    held = dict.fromkeys(FIGURES, 0)
    for seed in range(1000, 1200):
        intervals = figure_intervals(scattered(seed, blocks=60).counts_by_block(0.5), seed=0, draws=400)
        for name in FIGURES:
            interval = intervals[name]
            held[name] += interval.low <= getattr(world, name) <= interval.high
    assert all(0.88 * 200 <= count <= 0.99 * 200 for count in held.values())


def test_the_difference_of_a_thing_and_itself_is_nothing() -> None:
    counts = scattered(3, blocks=20).counts_by_block(0.5)
    for interval in difference_intervals(counts, counts, seed=0).values():
        assert (interval.low, interval.high) == (0.0, 0.0)


def test_what_both_have_in_common_cancels_out_of_their_difference() -> None:
    # One is right once more in each scene; scenes differ much more than that.
    units = scattered(4, blocks=30, unlike=1.5)
    worse = units.counts_by_block(0.5)
    better = BlockCounts(worse.tp + 1, worse.fp, worse.found + 1, worse.positives + 1)
    alone = figure_intervals(worse, seed=0)["recall"]
    difference = difference_intervals(better, worse, seed=0)["recall"]
    assert difference.low > 0
    assert difference.high - difference.low < 0.5 * (alone.high - alone.low)


def test_one_block_says_nothing_of_others() -> None:
    units = scattered(0, blocks=1)
    for interval in (
        figure_intervals(units.counts_by_block(0.5), seed=0)["f1"],
        curve_intervals(units, 0, 5)["best_f1"],
    ):
        assert math.isnan(interval.low)
        assert math.isnan(interval.high)


def test_resamples_without_anything_to_measure_are_left_out() -> None:
    # Objects in one of three blocks: a third of the resamples has none.
    nothing = np.zeros(3, np.int64)
    counts = BlockCounts(np.array([3, 0, 0]), nothing, np.array([3, 0, 0]), np.array([4, 0, 0]))
    assert figure_intervals(counts, seed=0)["recall"] == Interval(0.75, 0.75)
    empty = figure_intervals(BlockCounts(nothing, nothing, nothing, nothing), seed=0)
    assert all(math.isnan(empty[name].low) for name in FIGURES)
