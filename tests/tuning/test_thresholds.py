import itertools
import math
import pickle
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from tertium_server.tuning.kernels.windows import smallest_in_windows
from tertium_server.tuning.matching import label_changes, match
from tertium_server.tuning.objectives import F1, Budget, Cost, ObjectiveError, Targets, parse_objective, write_objective
from tertium_server.tuning.sweep import Curve, UndeterminedError, accumulate, sweep
from tertium_server.tuning.thresholds import TwoThresholds, cases_of, choose
from tests.tuning.labelled import crowd


def boxes(seed: int) -> Curve:
    """Of boxes: scores with two decimals, more objects than are found."""
    random = np.random.default_rng(seed)
    count = int(random.integers(5, 80))
    labels = random.integers(0, 2, count)
    labels[0] = 1
    scores = np.round(np.where(labels == 1, random.beta(4, 2, count), random.beta(2, 3, count)), 2)
    return sweep(scores, labels, positives=int(labels.sum() + random.integers(0, 6)))


def tracks(seed: int) -> Curve:
    """Of tracks: several true ones find one object."""
    random = np.random.default_rng(seed)
    count = int(random.integers(5, 60))
    true = random.integers(0, 2, count).astype(np.int8)
    true[0] = 1
    scores = np.round(np.where(true == 1, random.beta(4, 2, count), random.beta(2, 3, count)), 2)
    finders = np.flatnonzero(true)[random.random(int(true.sum())) < 0.6]
    nothing = np.zeros(len(finders), np.int8)
    return accumulate(
        np.concatenate([scores, scores[finders]]),
        np.concatenate([true, nothing]),
        np.concatenate([1 - true, nothing]),
        np.concatenate([np.zeros(count, np.int8), nothing + np.int8(1)]),
        positives=len(finders) + 2,
    )


def matched_by_iou(seed: int) -> Curve:
    """Of boxes matched by IoU: neither count is bound to rise as the threshold falls."""
    labelled = crowd(seed, frames=4, decimals=2)
    scores = labelled.sequence.scores
    changes = label_changes(labelled, scores, 0.4, "iou")
    positives = int(match(labelled, scores).objects.sum())
    return accumulate(changes.scores, changes.true, changes.false, changes.true, positives)


CURVES = [(kind, seed) for kind in (boxes, tracks, matched_by_iou) for seed in range(4)]
some_curve = pytest.mark.parametrize(("kind", "seed"), CURVES)


def candidates(curve: Curve) -> list[float]:
    return [*curve.exported.tolist(), curve.nothing]


def pairs(curve: Curve) -> Iterator[TwoThresholds]:
    """All of them, each counted on its own."""
    points = [curve.at(threshold) for threshold in candidates(curve)]
    for no, yes in itertools.combinations_with_replacement(points, 2):
        yield TwoThresholds(yes=yes, no=no, total=points[0].tp + points[0].fp)


def together(pair: TwoThresholds) -> float:
    """F1 after people have seen to MAYBE, written out."""
    tp, fp, found, positives = pair.no.tp, pair.yes.fp, pair.no.found, pair.no.positives
    if tp == 0:
        return 0.0
    precision, recall = tp / (tp + fp), found / positives
    return 2 * precision * recall / (precision + recall) if recall else 0.0


def precise(pair: TwoThresholds, wanted: float) -> bool:
    """YES is right often enough, or never said."""
    return pair.yes.tp + pair.yes.fp == 0 or pair.yes.precision >= wanted


def best_of(
    curve: Curve, allowed: Callable[[TwoThresholds], bool], value: Callable[[TwoThresholds], float]
) -> tuple[float, int]:
    """The largest value of allowed pairs, and the fewest cases for people it takes."""
    found = [(value(pair), pair.reviewed) for pair in pairs(curve) if allowed(pair)]
    best = max(value for value, _ in found)
    return best, min(reviewed for value, reviewed in found if value >= best - 1e-9)


def always(_: TwoThresholds) -> bool:
    return True


def test_of_pairs_that_are_equally_good_and_leave_people_as_much_the_highest_is_chosen() -> None:
    # Right, wrong, right from the top: a threshold under the first misses one object, one under the last takes one mistake.
    curve = sweep(np.array([0.9, 0.7, 0.5]), np.array([1, 0, 1]), positives=2)
    chosen = choose(curve, Cost(fp=1.0, fn=1.0, review=100.0))
    assert (chosen.yes.threshold, chosen.no.threshold) == pytest.approx((0.8, 0.8))
    assert (chosen.no.fn, chosen.yes.fp, chosen.reviewed) == (1, 0, 0)


@some_curve
@pytest.mark.parametrize(
    "prices", [(1.0, 1.0, 0.2), (5.0, 20.0, 1.0), (1.0, 1.0, 3.0), (0.0, 1.0, 0.5), (3.0, 0.7, 0.0)]
)
def test_the_cheapest_pair_is_found(
    kind: Callable[[int], Curve], seed: int, prices: tuple[float, float, float]
) -> None:
    curve = kind(seed)
    fp, fn, review = prices

    def cost(pair: TwoThresholds) -> float:
        return -(fp * pair.yes.fp + fn * pair.no.fn + review * pair.reviewed)

    chosen = choose(curve, Cost(fp=fp, fn=fn, review=review))
    value, reviewed = best_of(curve, always, cost)
    assert cost(chosen) == pytest.approx(value)
    assert chosen.reviewed == reviewed


@some_curve
@pytest.mark.parametrize("share", [0.0, 0.05, 0.2, 1.0])
def test_the_best_pair_within_a_budget_is_found(kind: Callable[[int], Curve], seed: int, share: float) -> None:
    curve = kind(seed)
    chosen = choose(curve, Budget(share=share))
    value, reviewed = best_of(curve, lambda pair: pair.reviewed <= share * pair.total + 1e-9, together)
    assert together(chosen) == pytest.approx(value, abs=1e-12)
    assert chosen.reviewed == reviewed
    assert chosen.together.f1 == pytest.approx(together(chosen))


@some_curve
@pytest.mark.parametrize(
    ("precision", "recall"), [(0.9, 0.6), (0.7, 0.9), (0.95, 0.8), (0.3, 0.3), (0.5, None), (None, 0.7), (1.0, 1.0)]
)
def test_targets_are_kept_with_the_fewest_cases(
    kind: Callable[[int], Curve], seed: int, precision: float | None, recall: float | None
) -> None:
    curve = kind(seed)
    chosen = choose(curve, Targets(precision=precision, recall=recall))
    reachable = recall is None or curve.recall.max() >= recall
    # Nothing can do more for recall than keeping all that was seen.
    wanted = (recall or 0.0) if reachable else -1.0
    lowest = curve.exported[0]
    found = [
        (pair.reviewed, -together(pair))
        for pair in pairs(curve)
        if precise(pair, precision or 0.0) and pair.no.recall >= wanted and (reachable or pair.no.threshold == lowest)
    ]
    reviewed, minus_f1 = min(found)
    assert precise(chosen, precision or 0.0)
    assert chosen.no.recall >= wanted
    assert chosen.reviewed == reviewed
    assert together(chosen) == pytest.approx(-minus_f1, abs=1e-9)
    assert any("recall" in warning for warning in chosen.warnings) == (not reachable)
    if precision is not None:
        assert any("precision" in warning for warning in chosen.warnings) == (curve.precision.max() < precision)


@some_curve
def test_kept_speaks_of_right_detections_only(kind: Callable[[int], Curve], seed: int) -> None:
    curve = kind(seed)
    chosen = choose(curve, Targets(precision=0.9, kept=0.95))
    seen = curve.tp.max()
    fewest = min(pair.reviewed for pair in pairs(curve) if precise(pair, 0.9) and pair.no.tp >= 0.95 * seen)
    assert chosen.no.tp >= 0.95 * seen
    assert chosen.reviewed == fewest


@some_curve
@pytest.mark.parametrize("share", [None, 0.0, 0.3])
def test_f1_takes_the_recommended_threshold_and_the_best_band_around_it(
    kind: Callable[[int], Curve], seed: int, share: float | None
) -> None:
    curve = kind(seed)
    single = curve.recommended().threshold
    limit = 0.05 if share is None else share
    chosen = choose(curve, F1(share=share))
    assert chosen.no.threshold <= single <= chosen.yes.threshold
    value, reviewed = best_of(
        curve,
        lambda pair: pair.no.threshold <= single <= pair.yes.threshold and pair.reviewed <= limit * pair.total + 1e-9,
        together,
    )
    assert together(chosen) == pytest.approx(value, abs=1e-12)
    assert chosen.reviewed == reviewed


@some_curve
def test_f1_with_targets_reaches_from_the_recommended_threshold_to_them(
    kind: Callable[[int], Curve], seed: int
) -> None:
    curve = kind(seed)
    single = curve.recommended().threshold
    chosen = choose(curve, F1(precision=0.9, recall=0.8))
    yes = [pair.yes for pair in pairs(curve) if pair.yes.threshold >= single and precise(pair, 0.9)]
    no = [point for point in map(curve.at, candidates(curve)) if point.threshold <= single and point.recall >= 0.8]
    assert chosen.yes == min(yes, key=lambda point: point.threshold)
    assert chosen.no == max(no, key=lambda point: point.threshold, default=curve.point(0))


def test_cases_an_hour_are_counted_over_the_recordings() -> None:
    curve = boxes(3)
    assert choose(curve, Budget(cases_per_hour=8), hours=0.5) == choose(curve, Budget(share=4 / curve.accepted[0]))
    with pytest.raises(ValueError, match="hours"):
        choose(curve, Budget(cases_per_hour=8))


def test_a_share_is_of_all_cases_even_those_without_a_score() -> None:
    curve = boxes(3)
    total = 10 * int(curve.accepted[0])
    chosen = choose(curve, Budget(share=0.02), total=total)
    assert chosen.reviewed <= 0.02 * total
    assert chosen.share == chosen.reviewed / total
    assert choose(curve, Budget(share=0.2)).reviewed == chosen.reviewed


def test_a_share_that_is_a_whole_number_of_cases_is_that_number() -> None:
    assert 0.29 * 100 < 29
    assert cases_of(Budget(share=0.29), 100, None) == 29
    assert cases_of(Budget(share=0.299), 100, None) == 29


def test_where_nothing_is_sure_nothing_is_yes() -> None:
    curve = sweep(np.array([0.9, 0.8, 0.7]), np.array([0, 1, 0]), positives=1)
    chosen = choose(curve, Targets(precision=0.9, recall=1.0))
    assert (chosen.yes.tp, chosen.yes.fp) == (0, 0)
    assert chosen.yes.threshold == 1.0
    assert chosen.no.threshold == pytest.approx(0.75)
    assert chosen.reviewed == 2
    assert "no threshold reaches a precision of 0.9 (the best is 0.500): nothing is YES" in chosen.warnings


def test_scores_of_one_cannot_be_kept_from_yes() -> None:
    curve = sweep(np.array([1.0, 0.8], np.float32), np.array([0, 1]), positives=1)
    chosen = choose(curve, Targets(precision=0.9, recall=1.0))
    assert chosen.yes.threshold > 1.0
    assert "scores of 1 can't be kept from YES by a threshold that is a probability" in chosen.warnings


def test_with_all_scores_tied_all_are_treated_alike() -> None:
    curve = sweep(np.full(10, 0.4), np.array([1, 1, 1, 1, 1, 1, 1, 0, 0, 0]), positives=8)
    assert choose(curve, Budget(share=0.05)).reviewed == 0
    assert choose(curve, Budget(share=1.0)).reviewed == 10
    assert choose(curve, Cost(fp=1, fn=1, review=10)).reviewed == 0


@pytest.mark.parametrize("objective", ["f1", "targets:precision=.9", "cost:fp=1,fn=1,review=1", "budget:share=.1"])
@pytest.mark.parametrize(("labels", "positives"), [([], 0), ([], 4), ([0, 0], 0), ([0, 0], 4), ([-1, -1], 4)])
def test_where_data_cannot_tell_no_objective_pretends_they_can(
    objective: str, labels: list[int], positives: int
) -> None:
    curve = sweep(np.linspace(0.2, 0.8, len(labels)), np.array(labels, np.int8), positives)
    with pytest.raises(UndeterminedError, match="cannot be determined"):
        choose(curve, parse_objective(objective))


def test_two_optima_are_told_of() -> None:
    random = np.random.default_rng(0)
    true = np.concatenate([random.normal(0.8, 0.03, 300), random.normal(0.3, 0.03, 300)])
    false = np.concatenate([random.normal(0.45, 0.04, 590), random.normal(0.1, 0.03, 300)])
    curve = sweep(np.concatenate([true, false]), np.repeat([1, 0], [600, 890]), positives=600)
    [warning] = choose(curve, F1()).warnings
    assert "two thresholds are nearly as good" in warning


@given(some.data())
def test_the_smallest_in_each_window_is_found(data: some.DataObject) -> None:
    values = np.array(data.draw(some.lists(some.integers(0, 5), min_size=1, max_size=30)), np.int64)
    ends = data.draw(some.lists(some.tuples(*2 * [some.integers(0, len(values) - 1)]), max_size=20))
    starts = np.array(sorted(min(pair) for pair in ends), np.int64)
    stops = np.array(sorted(max(pair) + 1 for pair in ends), np.int64)
    expected = [start + int(np.argmin(values[start:stop])) for start, stop in zip(starts, stops, strict=True)]
    assert smallest_in_windows(values, starts, stops).tolist() == expected


@pytest.mark.parametrize(
    ("text", "objective"),
    [
        ("f1", F1()),
        ("f1:share=.1", F1(share=0.1)),
        ("f1:precision=.95,recall=.9", F1(precision=0.95, recall=0.9)),
        ("targets:precision=.95,recall=.95", Targets(precision=0.95, recall=0.95)),
        (" targets: precision = .95 , kept=1, confidence=.9 ", Targets(precision=0.95, kept=1.0, confidence=0.9)),
        ("cost:fp=5,fn=20,review=0", Cost(fp=5, fn=20, review=0)),
        ("budget:share=.05", Budget(share=0.05)),
        ("budget:cases_per_hour=40", Budget(cases_per_hour=40)),
    ],
)
def test_an_objective_is_read_and_written(text: str, objective: F1 | Targets | Cost | Budget) -> None:
    assert parse_objective(text) == objective
    assert parse_objective(write_objective(objective)) == objective


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "there is no ''; choose one of f1, targets, cost, budget"),
        ("F2", "there is no 'F2'"),
        ("targets", "name a target: precision, recall or kept"),
        ("targets:", "name a target"),
        ("targets:confidence=.9", "name a target"),
        ("targets:precisoin=.9", "targets takes no 'precisoin'; it takes precision, recall, kept, confidence"),
        ("targets:precision=high", "precision is 'high', which is no number"),
        ("targets:precision", "precision is '', which is no number"),
        ("targets:precision=95", "precision is 95; it has to be over 0 and 1 at most"),
        ("targets:precision=nan", "precision is nan; it has to be over 0 and 1 at most"),
        ("targets:precision=.9,confidence=1", "confidence is 1; it has to be 0.5 or more and under 1"),
        ("targets:precision=.9,precision=.8", "precision is there twice"),
        ("targets:recall=.9,kept=.8", "choose one"),
        ("cost:fp=1,review=2", "fn is missing; it takes fp, fn and review"),
        ("cost:fp=-1,fn=1,review=1", "fp is -1; it has to be 0 or more"),
        ("cost:fp=inf,fn=1,review=1", "fp is inf; it has to be 0 or more"),
        ("budget", "name one of share and cases_per_hour"),
        ("budget:share=.1,cases_per_hour=3", "name one of share and cases_per_hour"),
        ("f1:share=.1,recall=.9", "not from both"),
    ],
)
def test_what_is_wrong_with_an_objective_is_named(text: str, problem: str) -> None:
    with pytest.raises(ObjectiveError) as caught:
        parse_objective(text)
    assert problem in caught.value.problem
    assert repr(text) in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # noqa: S301  # our own bytes


def test_shares_of_nothing_are_no_numbers() -> None:
    curve = boxes(0)
    assert math.isnan(TwoThresholds(yes=curve.point(0), no=curve.point(0), total=0).share)
