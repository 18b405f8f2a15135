import contextlib
import io
import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from tertium_server.tuning.matching import Label, label_changes, match
from tertium_server.tuning.readers import Labelled
from tertium_server.tuning.sweep import Curve, UndeterminedError, accumulate, export, sweep
from tests.tuning.labelled import crowd


def drawn(seed: int, count: int = 400, decimals: int = 3) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    """Scores, many of them equal, and labels with some that are dropped."""
    random = np.random.default_rng(seed)
    labels = random.choice(np.array([1, 0, -1], np.int8), count, p=[0.5, 0.4, 0.1])
    scores = np.where(labels == 1, random.beta(4, 2, count), random.beta(2, 3, count))
    return np.round(scores, decimals).astype(np.float64), labels.astype(np.int8)


def counts_at(scores: NDArray[np.float64], labels: NDArray[np.int8], threshold: float) -> tuple[int, int]:
    accepted = scores >= threshold
    return int(np.sum(labels[accepted] == 1)), int(np.sum(labels[accepted] == 0))


def with_pycocotools(
    labelled: Labelled, class_id: int, iou: float
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Scores of a class, whether pycocotools matches each, and whether it ignores it."""
    truth, detections = labelled.truth, labelled.sequence
    images = [{"id": frame, "width": 200, "height": 200} for frame in range(1, detections.length + 1)]
    boxes = np.hstack([truth.boxes[:, :2], truth.boxes[:, 2:] - truth.boxes[:, :2]])
    annotations = [
        {
            "id": row + 1,  # 0 stands for "no match" in its results
            "image_id": int(truth.frames[row]),
            "category_id": int(truth.class_ids[row]),
            "bbox": boxes[row].tolist(),
            "area": float(boxes[row, 2] * boxes[row, 3]),
            "iscrowd": int(truth.kinds[row] > 0),
        }
        for row in range(len(truth))
    ]
    dataset: Any = {"images": images, "annotations": annotations, "categories": [{"id": 0}, {"id": 1}]}
    results: Any = [
        {
            "image_id": int(detections.frames[row]),
            "category_id": int(detections.class_ids[row]),
            "bbox": detections.xywh[row].tolist(),
            "score": float(detections.scores[row]),
        }
        for row in range(len(detections))
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        objects = COCO()
        objects.dataset = dataset
        objects.createIndex()
        evaluation = COCOeval(objects, objects.loadRes(results), "bbox")
        evaluation.params.catIds = [class_id]
        evaluation.params.iouThrs = np.array([iou])
        evaluation.params.areaRng = [[0, 1e10]]
        evaluation.params.areaRngLbl = ["all"]
        evaluation.params.maxDets = [10_000]
        evaluation.evaluate()
    of_images: list[Any] = evaluation.evalImgs  # None where an image has neither
    images_seen = [image for image in of_images if image is not None]
    return (
        np.concatenate([image["dtScores"] for image in images_seen]),
        np.concatenate([image["dtMatches"][0] > 0 for image in images_seen]),
        np.concatenate([image["dtIgnore"][0] > 0 for image in images_seen]),
    )


@pytest.mark.parametrize("iou", [0.3, 0.5, 0.75])
@pytest.mark.parametrize("seed", range(8))
def test_counts_are_those_of_pycocotools_at_every_distinct_score(seed: int, iou: float) -> None:
    labelled = crowd(seed, frames=30, decimals=2)
    matches = match(labelled, labelled.sequence.scores, iou)
    for class_id in (0, 1):
        ours = labelled.sequence.class_ids == class_id
        curve = sweep(labelled.sequence.scores[ours], matches.labels[ours], int(matches.objects[class_id]))
        scores, matched, ignored = with_pycocotools(labelled, class_id, iou)
        assert not ignored.any()
        assert np.array_equal(curve.thresholds, np.unique(scores))
        for index, threshold in enumerate(curve.thresholds):
            accepted = scores >= threshold
            assert curve.tp[index] == np.sum(matched[accepted])
            assert curve.fp[index] == np.sum(~matched[accepted])


@pytest.mark.parametrize("seed", range(4))
def test_a_region_is_dealt_with_as_pycocotools_deals_with_a_crowd(seed: int) -> None:
    labelled = crowd(seed, frames=30, decimals=2)
    truth = labelled.truth
    truth.kinds[np.random.default_rng(seed).random(len(truth)) < 0.3] = 2  # Kind.REGION
    matches = match(labelled, labelled.sequence.scores, 0.5)
    for class_id in (0, 1):
        ours = labelled.sequence.class_ids == class_id
        curve = sweep(labelled.sequence.scores[ours], matches.labels[ours], int(matches.objects[class_id]))
        scores, matched, ignored = with_pycocotools(labelled, class_id, 0.5)
        assert ignored.any()
        assert np.array_equal(curve.thresholds, np.unique(scores[~ignored]))
        for index, threshold in enumerate(curve.thresholds):
            accepted = (scores >= threshold) & ~ignored
            assert curve.tp[index] == np.sum(matched[accepted])
            assert curve.fp[index] == np.sum(~matched[accepted])


@pytest.mark.parametrize("seed", range(6))
def test_a_curve_by_iou_counts_as_a_match_at_each_threshold_does(seed: int) -> None:
    labelled = crowd(seed, frames=25, decimals=2, ignored=True)
    scores = labelled.sequence.scores
    changes = label_changes(labelled, scores, 0.4, "iou")
    positives = int(match(labelled, scores).objects.sum())
    curve = accumulate(changes.scores, changes.true, changes.false, changes.true, positives)
    assert set(curve.thresholds) <= set(scores)
    for threshold in np.unique(scores):
        labels = match(labelled, scores, 0.4, "iou", threshold).labels
        point = curve.at(threshold)
        assert (point.tp, point.fp) == (np.sum(labels == Label.TRUE), np.sum(labels == Label.FALSE))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("decimals", [1, 3, 15])
def test_every_distinct_score_is_counted_exactly(seed: int, decimals: int) -> None:
    scores, labels = drawn(seed, decimals=decimals)
    curve = sweep(scores, labels, positives=300, negatives=250)
    assert np.array_equal(curve.thresholds, np.unique(scores[labels >= 0]))
    for index, threshold in enumerate(curve.thresholds):
        tp, fp = counts_at(scores, labels, threshold)
        assert (curve.tp[index], curve.fp[index], curve.fn[index]) == (tp, fp, 300 - tp)
        assert curve.precision[index] == tp / (tp + fp)
        assert curve.recall[index] == tp / 300
        assert curve.f1[index] == 2 * tp / (tp + fp + 300)
        point = curve.at(threshold)
        assert (point.precision, point.recall, point.f1) == (
            curve.precision[index],
            curve.recall[index],
            curve.f1[index],
        )
        assert (point.fn, point.tn) == (300 - tp, 250 - fp)


@pytest.mark.parametrize("seed", range(5))
def test_an_exported_threshold_counts_the_same_in_either_precision(seed: int) -> None:
    scores, labels = drawn(seed, decimals=2)
    curve = sweep(scores.astype(np.float32), labels, positives=300)
    for index, threshold in enumerate(curve.exported):
        expected = (curve.tp[index], curve.fp[index])
        assert counts_at(scores, labels, threshold) == expected
        assert counts_at(scores.astype(np.float32).astype(np.float64), labels, threshold) == expected
        assert counts_at(scores, labels, float(np.float32(threshold))) == expected
        assert (curve.at(threshold).tp, curve.at(threshold).fp) == expected
        assert curve.point(index) == curve.at(threshold)


def test_thresholds_are_midpoints_and_the_lowest_is_just_under_its_score() -> None:
    exported = export(np.array([0.25, 0.5, 1.0]))
    assert exported.tolist() == [float(np.nextafter(np.float32(0.25), np.float32(0))), 0.375, 0.75]
    assert export(np.array([0.0, 1.0])).tolist() == [0.0, 0.5]
    assert export(np.array([-1.0]))[0] < -1.0
    assert export(np.empty(0)).tolist() == []


def test_between_neighbours_of_float32_the_upper_is_exported() -> None:
    # Half-way between them rounds to the one with an even last digit, which may be the lower.
    lower = np.nextafter(np.float32(0.5), np.float32(1))
    for _ in range(4):
        upper = np.nextafter(lower, np.float32(1))
        exported = np.float32(export(np.array([lower, upper], np.float64))[1])
        assert lower < exported <= upper
        lower = upper


@pytest.mark.parametrize("seed", range(20))
def test_the_best_is_the_best_of_all_and_of_equal_ones_the_highest(seed: int) -> None:
    scores, labels = drawn(seed, count=30, decimals=1)
    positives = int(np.sum(labels == 1)) + 3
    curve = sweep(scores, labels, positives)
    f1 = {}
    for threshold in np.unique(scores[labels >= 0]):
        tp, fp = counts_at(scores, labels, threshold)
        f1[threshold] = 2 * tp / (tp + fp + positives)
    best = curve.best()
    assert best.f1 == max(f1.values())
    index = int(np.searchsorted(curve.thresholds, max(threshold for threshold in f1 if f1[threshold] == best.f1)))
    assert best.threshold == curve.exported[index]


def test_equal_f1_falls_to_the_higher_threshold() -> None:
    # 1 of 1 right with 3 to find, then 3 of 9: F1 0.5 both times.
    scores = np.array([0.9] + 8 * [0.5])
    labels = np.array([1, 1, 1, 0, 0, 0, 0, 0, 0])
    curve = sweep(scores, labels, positives=3)
    assert curve.f1.tolist() == [0.5, 0.5]
    assert curve.best().threshold == 0.7


@pytest.mark.parametrize("seed", range(5))
def test_average_precision_is_the_area_under_the_envelope(seed: int) -> None:
    scores, labels = drawn(seed, count=60, decimals=1)
    positives = int(np.sum(labels == 1)) + 5
    points = [counts_at(scores, labels, threshold) for threshold in np.unique(scores)[::-1]]
    area, reached = 0.0, 0.0
    for place, (tp, _) in enumerate(points):
        best_from_here = max(later_tp / max(later_tp + fp, 1) for later_tp, fp in points[place:])
        area += (tp / positives - reached) * best_from_here
        reached = tp / positives
    assert sweep(scores, labels, positives).average_precision == pytest.approx(area, abs=1e-12)


def test_above_all_scores_nothing_is_accepted() -> None:
    curve = sweep(np.array([0.2, 0.6]), np.array([0, 1]), positives=4)
    for point in (curve.at(0.61), curve.point(len(curve))):
        assert (point.tp, point.fp, point.fn) == (0, 0, 4)
        assert math.isnan(point.precision)
        assert (point.recall, point.f1) == (0.0, 0.0)
    assert curve.nothing == 1.0
    certain = sweep(np.array([1.0], np.float32), np.array([1]), positives=1)
    assert certain.nothing > 1.0
    assert certain.at(certain.nothing).tp == 0


def test_tracks_may_find_an_object_together() -> None:
    # Two tracks of one object, one of nothing; a second object that nobody finds.
    scores = np.array([0.9, 0.8, 0.7, 0.9])
    true, false = np.array([1, 1, 0, 0], np.int8), np.array([0, 0, 1, 0], np.int8)
    found = np.array([0, 0, 0, 1], np.int8)
    point = accumulate(scores, true, false, found, positives=2, negatives=4).at(0.0)
    assert (point.tp, point.fp, point.found, point.fn, point.tn) == (2, 1, 1, 1, 3)
    assert point.precision == 2 / 3
    assert point.recall == 1 / 2
    assert point.f1 == pytest.approx(2 * (2 / 3) * (1 / 2) / (2 / 3 + 1 / 2))


@pytest.mark.parametrize(
    ("scores", "labels", "positives", "reason"),
    [
        ([0.5, 0.6], [0, 0], 0, "no object to find"),
        ([], [], 0, "no object to find"),
        ([], [], 5, "no detection"),
        ([0.5], [-1], 5, "no detection"),
        ([0.5, 0.6], [0, 0], 5, "no detection is right"),
    ],
)
def test_where_data_cannot_tell_they_say_so(
    scores: list[float], labels: list[int], positives: int, reason: str
) -> None:
    curve = sweep(np.array(scores), np.array(labels, np.int8), positives)
    for choice in (curve.best, curve.recommended, curve.rivals):
        with pytest.raises(
            UndeterminedError, match=f"cannot be determined: there is no|cannot be determined: {reason}"
        ) as caught:
            choice()
        assert reason in caught.value.reason
    assert curve.at(0.1).fn == positives


def test_no_objects_give_a_curve_without_recall() -> None:
    curve = sweep(np.array([0.5, 0.6]), np.array([0, 0]), positives=0)
    assert curve.fp.tolist() == [2, 1]
    assert np.isnan(curve.recall).all()
    assert math.isnan(curve.average_precision)


def test_with_all_scores_tied_all_or_nothing_is_the_choice() -> None:
    curve = sweep(np.full(5, 0.3), np.array([1, 1, 0, 1, 0]), positives=4)
    assert len(curve) == 1
    for point in (curve.best(), curve.recommended()):
        assert (point.tp, point.fp, point.fn) == (3, 2, 1)
        assert 0.2999999 < point.threshold < 0.3
    assert curve.rivals() == ()


def test_scores_under_a_quarter_are_swept_like_any_other() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 500)
    scores = np.where(labels == 1, random.uniform(0.08, 0.2, 500), random.uniform(0.01, 0.12, 500))
    best = sweep(scores, labels, positives=int(labels.sum())).best()
    assert 0.08 < best.threshold < 0.13
    assert best.f1 > 0.8


def test_frames_without_detections_count() -> None:
    # 10 objects of which 9 have no detection: the plugin that drops such frames would report F1 1.
    assert sweep(np.array([0.9]), np.array([1]), positives=10).best().f1 == pytest.approx(2 / 11)


def bimodal(seed: int) -> Curve:
    """A near camera with high scores and a far one with low: false detections lie between."""
    random = np.random.default_rng(seed)
    true = np.concatenate([random.normal(0.8, 0.03, 300), random.normal(0.3, 0.03, 300)])
    false = np.concatenate([random.normal(0.45, 0.04, 590), random.normal(0.1, 0.03, 300)])
    scores = np.clip(np.concatenate([true, false]), 0, 1)
    return sweep(scores, np.repeat([1, 0], [600, 890]), positives=600)


def test_two_optima_are_both_shown() -> None:
    curve = bimodal(0)
    best, [rival] = curve.best(), curve.rivals()
    low, high = sorted((best.threshold, rival.threshold))
    assert low < 0.25
    assert 0.5 < high < 0.75
    assert best.f1 - 0.01 <= rival.f1 <= best.f1
    valley = curve.f1[(curve.thresholds > low) & (curve.thresholds < high)].min()
    assert valley < rival.f1 - 0.02


def test_one_optimum_has_no_rival() -> None:
    random = np.random.default_rng(2)
    labels = random.integers(0, 2, 5000)
    scores = np.where(labels == 1, random.beta(6, 2, 5000), random.beta(2, 6, 5000))
    assert sweep(scores, labels, positives=int(labels.sum())).rivals() == ()


def smoothed_by_sums(curve: Curve, at: float, width: float) -> float:
    """The mean of F1 over a window, by a fine grid."""
    grid = np.linspace(max(at - width / 2, curve.thresholds[0]), min(at + width / 2, curve.thresholds[-1]), 20_001)
    return float(np.mean(curve.f1[np.minimum(np.searchsorted(curve.thresholds, grid), len(curve) - 1)]))


def test_smoothing_is_the_mean_over_a_window() -> None:
    curve = bimodal(1)
    smoothed, width = curve.smoothed(0.1), 0.1 * (curve.thresholds[-1] - curve.thresholds[0])
    for index in range(0, len(curve), 97):
        assert smoothed[index] == pytest.approx(smoothed_by_sums(curve, curve.exported[index], width), abs=2e-4)


def test_a_recommendation_is_the_top_of_the_smoothed_curve_with_exact_counts() -> None:
    for seed in range(5):
        scores, labels = drawn(seed, count=200)
        curve = sweep(scores, labels, positives=120)
        point = curve.recommended()
        smoothed = curve.smoothed()
        index = int(np.searchsorted(curve.exported, point.threshold))
        assert smoothed[index] == pytest.approx(smoothed.max())
        assert (point.tp, point.fp) == counts_at(scores, labels, point.threshold)


def test_a_recommendation_does_better_on_fresh_data_than_the_very_best() -> None:
    def f1_of_fresh(threshold: float) -> float:
        fresh = np.random.default_rng(999)
        labels = fresh.random(100_000) < 0.5
        scores = np.where(labels, fresh.beta(4, 2, 100_000), fresh.beta(2, 4, 100_000))
        accepted = scores >= threshold
        return float(2 * np.sum(accepted & labels) / (np.sum(accepted) + np.sum(labels)))

    exact, smooth = [], []
    for seed in range(60):
        random = np.random.default_rng(seed)
        labels = random.random(150) < 0.5
        scores = np.where(labels, random.beta(4, 2, 150), random.beta(2, 4, 150))
        curve = sweep(scores, labels.astype(np.int8), positives=int(labels.sum()))
        exact.append(f1_of_fresh(curve.best().threshold))
        smooth.append(f1_of_fresh(curve.recommended().threshold))
    assert np.mean(smooth) > np.mean(exact)


def test_scores_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="not a number"):
        sweep(np.array([0.5, np.nan]), np.array([1, 0]), positives=1)


def test_a_curve_does_not_depend_on_the_order_of_its_units() -> None:
    scores, labels = drawn(5)
    order = np.random.default_rng(0).permutation(len(scores))
    first, second = sweep(scores, labels, 300), sweep(scores[order], labels[order], 300)
    for name in ("thresholds", "exported", "tp", "fp", "found"):
        assert np.array_equal(getattr(first, name), getattr(second, name))
