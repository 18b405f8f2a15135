import numpy as np
import pytest
from scipy import stats

from tertium_server.tuning.choosing import Choice, choose_thresholds
from tertium_server.tuning.objectives import F1, Budget, Targets
from tertium_server.tuning.promise import LEVELS, Aim, counts_by_level, lower_bounds, promise
from tertium_server.tuning.sweep import Curve
from tertium_server.tuning.thresholds import choose
from tertium_server.tuning.units import Unit, Units
from tests.tuning.scattered import scattered

SEEDS = range(1000, 1200)
WORLD = scattered(1, blocks=20_000).curve()
"""What fresh data are like: so many scenes that nothing is left to chance."""


def tuned(targets: Targets, blocks: int = 40) -> list[Choice]:
    return [choose_thresholds(scattered(seed, blocks), targets) for seed in SEEDS]


def is_precise(choice: Choice, wanted: float) -> bool:
    fresh = WORLD.at(choice.thresholds.yes.threshold)
    return fresh.tp + fresh.fp == 0 or fresh.precision >= wanted


def test_a_promise_is_broken_no_more_often_than_it_says() -> None:
    targets = Targets(precision=0.9, recall=0.85, confidence=0.9)
    choices = tuned(targets)
    given = [choice for choice in choices if all(one.is_given for one in choice.promises)]
    broken = sum(
        not (is_precise(choice, 0.9) and WORLD.at(choice.thresholds.no.threshold).recall >= 0.85) for choice in given
    )
    assert len(given) > 150
    assert broken <= 0.1 * len(choices)


@pytest.mark.parametrize("targets", [Targets(precision=0.9, confidence=0.9), Targets(precision=0.95, confidence=0.8)])
def test_precision_alone_is_broken_no_more_often_than_it_says(targets: Targets) -> None:
    choices = tuned(targets)
    confidence, wanted = targets.confidence or 0.0, targets.precision or 0.0
    assert sum(not is_precise(choice, wanted) for choice in choices) <= (1 - confidence) * len(choices)


@pytest.mark.parametrize("targets", [Targets(recall=0.85, confidence=0.9), Targets(kept=0.95, confidence=0.9)])
def test_what_is_kept_is_broken_no_more_often_than_it_says(targets: Targets) -> None:
    choices = [choice for choice in tuned(targets) if choice.promises[0].is_given]
    assert len(choices) > 150
    kept = [WORLD.at(choice.thresholds.no.threshold) for choice in choices]
    shares = [point.recall if targets.recall else point.tp / WORLD.tp[0] for point in kept]
    assert sum(share < (targets.recall or targets.kept or 1.0) for share in shares) <= 0.1 * len(SEEDS)


def test_without_a_promise_targets_are_broken_half_the_time() -> None:
    # What the promise is for.
    naive = [choose(scattered(seed, 40).curve(), Targets(precision=0.9)) for seed in SEEDS]
    broken = sum(WORLD.at(one.yes.threshold).precision < 0.9 for one in naive)
    assert 0.35 * len(naive) < broken < 0.75 * len(naive)


def test_a_promise_costs_a_few_points_of_recall() -> None:
    oracle = max(WORLD.recall[WORLD.precision >= 0.9])
    reached = [WORLD.at(one.thresholds.yes.threshold).recall for one in tuned(Targets(precision=0.9, confidence=0.9))]
    assert oracle - 0.15 < np.mean(reached) < oracle


def test_more_data_cost_less() -> None:
    targets = Targets(precision=0.9, confidence=0.9)
    few, many = (
        np.mean(
            [
                WORLD.at(choose_thresholds(scattered(seed, blocks), targets).thresholds.yes.threshold).recall
                for seed in range(30)
            ]
        )
        for blocks in (20, 400)
    )
    assert many > few + 0.05


def test_nothing_is_risked_where_nothing_can_be_promised() -> None:
    units = scattered(3, blocks=6, objects=2)
    choice = choose_thresholds(units, Targets(precision=0.99, recall=0.99, confidence=0.95))
    curve = units.curve()
    assert [one.is_given for one in choice.promises] == [False, False]
    assert (choice.thresholds.yes.tp, choice.thresholds.yes.fp) == (0, 0)
    assert choice.thresholds.no.tp + choice.thresholds.no.fp == len(units.scores)
    precision, recall = choice.thresholds.warnings[-2:]
    assert "a precision of 0.99 can't be promised with confidence 0.975" in precision
    assert f"from {curve.positives} objects in " in precision
    assert "sequences, by box: nothing is YES; what can be is " in precision
    assert "nothing that was seen is NO" in recall


@pytest.mark.parametrize("aim", Aim)
def test_what_can_be_promised_instead_is_kept_too(aim: Aim) -> None:
    broken = 0
    for seed in SEEDS:
        units = scattered(seed, blocks=12, objects=4)
        curve = units.curve()
        made = promise(units, curve, aim, 0.999, 0.9)
        assert not made.is_given
        fresh = WORLD.at(float(curve.exported[made.first]))
        share = {Aim.PRECISION: fresh.precision, Aim.RECALL: fresh.recall, Aim.KEPT: fresh.tp / WORLD.tp[0]}[aim]
        broken += share < made.most
    assert broken <= 0.1 * len(SEEDS)


@pytest.mark.parametrize("targets", [Targets(precision=0.999, confidence=0.9), Targets(recall=0.999, confidence=0.9)])
def test_what_one_target_would_have_decided_people_see_where_it_cannot_be_promised(targets: Targets) -> None:
    units = scattered(5, blocks=10)
    choice = choose_thresholds(units, targets).thresholds
    naive = choose(units.curve(), Targets(precision=targets.precision, recall=targets.recall))
    if targets.precision:
        assert choice.yes.tp + choice.yes.fp == 0
        assert choice.no == naive.yes
    else:
        assert choice.yes == naive.yes
        assert choice.no.tp + choice.no.fp == choice.total


def test_one_threshold_may_keep_both_promises() -> None:
    choice = choose_thresholds(scattered(2, blocks=200), Targets(precision=0.6, recall=0.6, confidence=0.9))
    assert all(one.is_given for one in choice.promises)
    assert choice.thresholds.reviewed == 0
    assert choice.thresholds.yes.precision > 0.6
    assert choice.thresholds.yes.recall > 0.6


def test_objectives_without_confidence_are_chosen_exactly() -> None:
    units = scattered(4, blocks=10)
    for objective in (F1(), Targets(precision=0.9), Budget(share=0.1)):
        choice = choose_thresholds(units, objective)
        assert choice.promises == ()
        assert choice.thresholds == choose(units.curve(), objective)


def test_a_share_of_frames_is_a_share_of_all_frames() -> None:
    units = scattered(4, blocks=10)
    frames = Units(
        unit=Unit.FRAME,
        scores=units.scores,
        true=units.true,
        false=units.false,
        found=units.found,
        class_ids=units.class_ids,
        blocks=units.blocks,
        positives=units.positives,
        negatives=np.full((10, 1), 500),
    )
    assert choose_thresholds(frames, Budget(share=0.1)).thresholds.total == 5000 + units.positives.sum()


def counted(units: Units, threshold: float) -> list[list[int]]:
    accepted = units.scores >= threshold
    return [
        [int(changes[accepted & (units.blocks == block)].sum()) for block in range(len(units.positives))]
        for changes in (units.true, units.false, units.found)
    ]


def test_counts_by_block_and_level_are_those_of_each_threshold() -> None:
    units = scattered(0, blocks=7)
    curve = units.curve()
    for places in (np.arange(0, len(curve), 9), np.arange(len(curve) - 1, -1, -13)):
        counts = counts_by_level(units, curve, places)
        for level, place in enumerate(places):
            expected = counted(units, curve.thresholds[place])
            assert [counts.true[level].tolist(), counts.false[level].tolist(), counts.found[level].tolist()] == expected


def test_places_that_are_promised_follow_each_other_from_the_first() -> None:
    units = scattered(8, blocks=60)
    curve = units.curve()
    made = promise(units, curve, Aim.PRECISION, 0.85, 0.9)
    assert made.is_given
    assert made.first == made.kept_at[-1]
    assert curve.accepted[made.first] >= 0.2 * curve.positives
    assert len(made.kept_at) <= LEVELS
    assert all(curve.precision[place] > 0.85 for place in made.kept_at)


def test_with_independent_cases_the_bound_is_that_of_clopper_and_pearson() -> None:
    # One case a block: the design has no effect, and so many blocks say as much as they are.
    right = np.array([[1] * 950 + [0] * 50])
    [bound] = lower_bounds(right, np.ones_like(right), 0.95)
    assert bound == pytest.approx(stats.binomtest(950, 1000, alternative="greater").proportion_ci(0.95).low, abs=2e-4)


def test_cases_that_come_in_blocks_are_worth_less() -> None:
    judged = np.full((1, 20), 50)
    even = lower_bounds(np.full((1, 20), 45), judged, 0.9)[0]
    uneven = lower_bounds(np.array([[50] * 18 + [0] * 2]), judged, 0.9)[0]
    assert even > 0.86
    assert uneven < 0.8


@pytest.mark.parametrize(
    ("right", "judged"), [([0, 0], [0, 0]), ([5], [5]), ([5, 0], [5, 0]), ([0, 0], [5, 5])]
)  # nothing, one block, one that counts, none right
def test_what_says_nothing_bounds_nothing(right: list[int], judged: list[int]) -> None:
    assert lower_bounds(np.array([right]), np.array([judged]), 0.9).tolist() == [0.0]


def test_certain_detections_are_bound_by_their_number() -> None:
    bounds = [lower_bounds(np.full((1, 30), each), np.full((1, 30), each), 0.9)[0] for each in (1, 2, 10)]
    assert bounds == sorted(bounds)
    # All of n right: the bound is at most the n-th root of 1 - confidence.
    for bound, cases in zip(bounds, (30, 60, 300), strict=True):
        assert 0.9 * 0.1 ** (1 / cases) < bound <= 0.1 ** (1 / cases)


def test_the_same_units_give_the_same_promise() -> None:
    targets = Targets(precision=0.9, recall=0.8, confidence=0.9)
    assert choose_thresholds(scattered(6, 30), targets) == choose_thresholds(scattered(6, 30), targets)


def test_the_world_is_large_enough_to_judge_by() -> None:
    other: Curve = scattered(2, blocks=20_000).curve()
    for threshold in (0.3, 0.5, 0.8):
        assert WORLD.at(threshold).precision == pytest.approx(other.at(threshold).precision, abs=0.01)
        assert WORLD.at(threshold).recall == pytest.approx(other.at(threshold).recall, abs=0.01)
