"""Estimates from whole frames: intervals that hold although boxes of one scene are alike."""

from __future__ import annotations

import statistics

import numpy as np
import pytest
from scipy.stats import beta
from scipy.stats import t as student

from tertium_server.quality.truth import FrameTally, TruthTally, estimate, estimate_frames


def jeffreys(right: float, wrong: float) -> tuple[float, float]:
    """The interval of as many simple random samples."""
    return float(beta.ppf(0.025, right + 0.5, wrong + 0.5)), float(beta.ppf(0.975, right + 0.5, wrong + 0.5))


def test_boxes_of_one_scene_are_alike_and_the_interval_knows() -> None:
    rng = np.random.default_rng(2)
    inside = naive = 0
    for _ in range(400):
        boxes = rng.integers(20, 200, 40)
        found = rng.binomial(boxes, rng.beta(8, 2, 40))
        made = estimate(TruthTally(tp=found, fp=np.zeros_like(found), fn=boxes - found)).recall
        assert made.value == pytest.approx(found.sum() / boxes.sum())
        assert made.effective_samples < boxes.sum() / 5
        inside += made.lower <= 0.8 <= made.upper
        lower, upper = jeffreys(float(found.sum()), float((boxes - found).sum()))
        naive += lower <= 0.8 <= upper
    assert 0.92 <= inside / 400 <= 0.99
    assert naive / 400 < 0.6


def test_scenes_that_are_all_alike_are_worth_their_boxes() -> None:
    made = estimate(TruthTally(tp=np.full(50, 8), fp=np.full(50, 2), fn=np.zeros(50, np.int64)))
    assert made.precision.effective_samples == 500
    assert (made.precision.lower, made.precision.upper) == pytest.approx(jeffreys(400, 100))
    assert made.recall.value == 1.0
    assert made.recall.upper == 1.0


@pytest.mark.parametrize("scenes", [1, 2, 4])
def test_a_few_clips_are_a_few_answers_however_many_boxes_they_hold(scenes: int) -> None:
    for right in (800, 1000):  # alike as clips may be, too
        made = estimate(TruthTally(np.full(scenes, right), np.full(scenes, 1000 - right), np.zeros(scenes, np.int64)))
        assert np.isnan(made.precision.value)
        assert made.precision.effective_samples == scenes


def test_few_boxes_are_not_a_number() -> None:
    made = estimate(TruthTally(tp=np.array([10, 5]), fp=np.array([1, 2]), fn=np.array([0, 1])))
    assert np.isnan(made.precision.value)
    assert np.isnan(estimate(TruthTally()).recall.value)


def test_recall_of_frames_is_that_of_all_frames_they_stand_for() -> None:
    rng = np.random.default_rng(4)
    inside, values = 0, []
    for _ in range(300):
        objects, crowded = rng.poisson(3, 4000), rng.random(4000) < 0.2
        # Crowded frames hide more, and are looked at more often.
        found = rng.binomial(objects, np.where(crowded, 0.5, 0.9))
        pi = np.where(crowded, 0.1, 0.03)
        chosen = rng.random(4000) < pi
        tally = FrameTally(1 / pi[chosen], found[chosen].astype(float), (objects - found)[chosen].astype(float))
        made = estimate_frames(tally).recall
        truth = found.sum() / objects.sum()
        values.append(made.value - truth)
        inside += made.lower <= truth <= made.upper
    assert abs(float(np.mean(values))) < 0.01
    assert 0.92 <= inside / 300 <= 0.99


def test_few_frames_say_nothing() -> None:
    some = np.ones(29)
    made = estimate_frames(FrameTally(some, 50 * some, 5 * some))
    assert np.isnan(made.recall.value)
    assert np.isnan(made.precision.value)


def test_the_effective_number_of_boxes_is_that_of_the_spread_between_scenes() -> None:
    right = np.array([9, 5, 7, 8, 10, 4] * 10)  # of ten in each scene
    found = estimate(TruthTally(tp=right, fp=np.zeros_like(right), fn=10 - right)).recall
    shares = (right / 10).tolist()
    share, variance = statistics.mean(shares), statistics.variance(shares) / len(shares)
    few = (student.ppf(0.975, 599) / student.ppf(0.975, 59)) ** 2
    assert found.effective_samples == pytest.approx(share * (1 - share) / variance * few)
