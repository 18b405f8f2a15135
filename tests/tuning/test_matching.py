import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from tertium_server.tuning.kernels import matching as kernels
from tertium_server.tuning.matching import Label, Rule, changes_of, count_objects, label_changes, match
from tertium_server.tuning.readers import ALL_CLASSES, Kind, Labelled
from tests.tuning.labelled import crowd, sequence, truth

SEEDS = range(6)
CASES = list(itertools.product(SEEDS, (0.3, 0.5, 0.75), ("score", "iou")))


def iou_of(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    shared = max(width, 0.0) * max(height, 0.0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    return float(shared / (sum(areas) - shared))


def inside(box: NDArray[np.float64], region: NDArray[np.float64]) -> float:
    width = min(box[2], region[2]) - max(box[0], region[0])
    height = min(box[3], region[3]) - max(box[1], region[1])
    return float(max(width, 0.0) * max(height, 0.0) / ((box[2] - box[0]) * (box[3] - box[1])))


def expected(labelled: Labelled, scores: NDArray[np.float64], iou: float, rule: str, least: float) -> list[int]:
    """Labels as the rules have them, the slow way: dictionaries of pairs, one frame after the other."""
    detections, objects = labelled.sequence, labelled.truth
    boxes = np.hstack([detections.xywh[:, :2], detections.xywh[:, :2] + detections.xywh[:, 2:]])
    labels = [Label.ABSENT] * len(detections)
    for frame in range(1, detections.length + 1):
        present = [index for index in np.flatnonzero(detections.frames == frame).tolist() if scores[index] >= least]
        present.sort(key=lambda index: -scores[index])
        rows = np.flatnonzero(objects.frames == frame).tolist()
        wanted = [row for row in rows if objects.kinds[row] == Kind.EVALUATE]
        overlaps = {(index, row): iou_of(boxes[index], objects.boxes[row]) for index in present for row in wanted}
        by_score = rule == "score"
        partners = _by_score(present, wanted, overlaps, labelled, iou) if by_score else _by_iou(overlaps, iou)
        for index in present:
            if index in partners:
                same = objects.class_ids[partners[index]] == detections.class_ids[index]
                labels[index] = Label.TRUE if same else Label.FALSE
            else:
                ignored = [row for row in rows if objects.kinds[row] != Kind.EVALUATE]
                labels[index] = Label.DROPPED if _is_dropped(labelled, boxes, index, ignored, iou) else Label.FALSE
    return [int(label) for label in labels]


def _by_score(
    present: list[int], wanted: list[int], overlaps: dict[tuple[int, int], float], labelled: Labelled, iou: float
) -> dict[int, int]:
    partners: dict[int, int] = {}
    for index in present:
        free = [
            (overlaps[index, row], row)
            for row in wanted
            if row not in partners.values()
            and labelled.truth.class_ids[row] == labelled.sequence.class_ids[index]
            and overlaps[index, row] >= iou
        ]
        if free:
            partners[index] = max(free)[1]
    return partners


def _by_iou(overlaps: dict[tuple[int, int], float], iou: float) -> dict[int, int]:
    partners: dict[int, int] = {}
    for (index, row), _ in sorted(overlaps.items(), key=lambda item: -item[1]):
        if overlaps[index, row] >= iou and index not in partners and row not in partners.values():
            partners[index] = row
    return partners


def _is_dropped(labelled: Labelled, boxes: NDArray[np.float64], index: int, ignored: list[int], iou: float) -> bool:
    box, objects = boxes[index], labelled.truth
    if 0 < objects.min_height >= box[3] - box[1]:
        return True
    for row in ignored:
        if objects.class_ids[row] not in (ALL_CLASSES, labelled.sequence.class_ids[index]):
            continue
        if objects.kinds[row] == Kind.IGNORE and iou_of(box, objects.boxes[row]) >= iou:
            return True
        if objects.kinds[row] == Kind.REGION and inside(box, objects.boxes[row]) >= 0.5:
            return True
    return False


@pytest.mark.parametrize(("seed", "iou", "rule"), CASES)
def test_labels_are_those_of_the_rule_at_any_threshold(seed: int, iou: float, rule: str) -> None:
    labelled = crowd(seed, ignored=True)
    scores = labelled.sequence.scores
    for least in (-np.inf, 0.35, 0.7, 2.0):
        matches = match(labelled, scores, iou, rule, least)
        assert matches.labels.tolist() == expected(labelled, scores, iou, rule, least)


@pytest.mark.parametrize(("seed", "iou", "rule"), CASES)
def test_changes_of_labels_add_up_to_a_match_at_every_distinct_score(seed: int, iou: float, rule: str) -> None:
    labelled = crowd(seed, ignored=True, decimals=2)
    scores = labelled.sequence.scores
    changes = label_changes(labelled, scores, iou, rule)
    classes = labelled.sequence.class_ids
    for threshold in np.unique(scores):
        labels = match(labelled, scores, iou, rule, threshold).labels
        so_far = changes.scores >= threshold
        for class_id in range(2):
            ours = so_far & (classes[changes.detections] == class_id)
            assert changes.true[ours].sum() == np.count_nonzero((labels == Label.TRUE) & (classes == class_id))
            assert changes.false[ours].sum() == np.count_nonzero((labels == Label.FALSE) & (classes == class_id))


@pytest.mark.parametrize("seed", SEEDS)
def test_one_more_detection_by_iou_never_lowers_how_many_are_counted(seed: int) -> None:
    # What choosing two thresholds by a budget relies on.
    labelled = crowd(seed, frames=40, ignored=True, decimals=3)
    changes = label_changes(labelled, labelled.sequence.scores, 0.4, "iou")
    for threshold in np.unique(changes.scores):
        at = changes.scores == threshold
        assert changes.true[at].sum() + changes.false[at].sum() >= 0


def test_labels_by_iou_do_depend_on_lower_scores() -> None:
    # The second detection fits the object better: it takes it from the first.
    boxes = [(0, 0, 10, 8), (0, 0, 10, 10)]
    labelled = Labelled(sequence(boxes, [0.9, 0.5]), truth([(0, 0, 10, 10)]))
    scores = labelled.sequence.scores
    assert match(labelled, scores, rule="iou", least=0.9).labels.tolist() == [Label.TRUE, Label.ABSENT]
    assert match(labelled, scores, rule="iou").labels.tolist() == [Label.FALSE, Label.TRUE]
    assert match(labelled, scores, rule="score").labels.tolist() == [Label.TRUE, Label.FALSE]
    changes = label_changes(labelled, scores, rule="iou")
    assert sorted(zip(changes.scores, changes.detections, changes.true, changes.false, strict=True)) == [
        (0.5, 0, -1, 1),
        (0.5, 1, 1, 0),
        (0.9, 0, 1, 0),
    ]


def test_a_pair_of_two_classes_is_false_and_takes_the_object_by_iou_alone() -> None:
    labelled = Labelled(
        sequence([(0, 0, 10, 10), (0, 0, 10, 9)], [0.9, 0.8], classes=[1, 0]), truth([(0, 0, 10, 10)], classes=[0])
    )
    by_iou = match(labelled, labelled.sequence.scores, rule=Rule.IOU)
    assert by_iou.labels.tolist() == [Label.FALSE, Label.FALSE]
    assert by_iou.truth_index.tolist() == [0, -1]
    by_score = match(labelled, labelled.sequence.scores, rule=Rule.SCORE)
    assert by_score.labels.tolist() == [Label.FALSE, Label.TRUE]
    assert by_score.truth_index.tolist() == [-1, 0]
    assert by_score.ious[1] == pytest.approx(0.9)


def test_of_equal_scores_the_earlier_in_the_file_comes_first() -> None:
    boxes = [(0, 0, 10, 10), (0, 0, 10, 9)]
    for places in ([0, 1], [1, 0]):
        labelled = Labelled(sequence(np.array(boxes)[places], [0.5, 0.5]), truth([(0, 0, 10, 10)]))
        assert match(labelled, labelled.sequence.scores).labels.tolist() == [Label.TRUE, Label.FALSE]


def test_an_object_to_find_comes_before_an_ignored_one_that_fits_better() -> None:
    labelled = Labelled(
        sequence([(0, 0, 10, 10)], [0.5]), truth([(0, 0, 10, 10), (0, 0, 10, 7)], kinds=[Kind.IGNORE, Kind.EVALUATE])
    )
    assert match(labelled, labelled.sequence.scores).labels.tolist() == [Label.TRUE]


def test_objects_to_find_are_counted_by_class_without_ignored_ones() -> None:
    rows = truth(
        np.tile([0, 0, 10, 10], (5, 1)),
        classes=[0, 1, 1, 1, ALL_CLASSES],
        kinds=[Kind.EVALUATE, Kind.EVALUATE, Kind.EVALUATE, Kind.IGNORE, Kind.REGION],
    )
    assert count_objects(rows).tolist() == [1, 2, 0]
    assert match(Labelled(sequence([], []), rows), np.empty(0)).objects.tolist() == [1, 2, 0]


def test_many_detections_in_a_frame_are_matched_by_falling_score_too() -> None:
    # Beyond a few dozen another way of sorting is used.
    labelled = crowd(3, frames=1, objects=400, decimals=1)
    assert len(labelled.sequence) > 200
    for rule in Rule:
        labels = match(labelled, labelled.sequence.scores, rule=rule).labels
        assert labels.tolist() == expected(labelled, labelled.sequence.scores, 0.5, rule, -np.inf)


def test_neither_detections_nor_truth_are_needed() -> None:
    nothing, box = np.empty(0), [(0, 0, 10, 10)]
    for rule in Rule:
        assert match(Labelled(sequence([], []), truth(box)), nothing, rule=rule).labels.tolist() == []
        assert len(label_changes(Labelled(sequence([], []), truth([])), nothing, rule=rule).scores) == 0
        alone = Labelled(sequence(box, [0.5]), truth([]))
        assert match(alone, alone.sequence.scores, rule=rule).labels.tolist() == [Label.FALSE]
        assert label_changes(alone, alone.sequence.scores, rule=rule).false.tolist() == [1]


def test_read_only_and_narrow_arrays_give_the_same() -> None:
    labelled = crowd(1)
    scores = np.round(labelled.sequence.scores, 1).astype(np.float32)
    before = match(labelled, scores).labels
    for array in (scores, labelled.sequence.frames, labelled.sequence.xywh, labelled.truth.boxes, labelled.truth.kinds):
        array.flags.writeable = False
    assert np.array_equal(match(labelled, scores).labels, before)


def test_scores_that_are_no_numbers_are_refused() -> None:
    labelled = Labelled(sequence([(0, 0, 1, 1), (0, 0, 1, 1)], [0.5, 0.5]), truth([]))
    for function in (match, label_changes):
        with pytest.raises(ValueError, match="scene: the score of row 2 is not a number"):
            function(labelled, np.array([0.5, np.nan]), rule="iou")
        with pytest.raises(ValueError, match=r"scene: .* scores for 2 detections"):
            function(labelled, np.array([0.5]), rule="iou")


@pytest.mark.parametrize("iou", [0.0, -1.0, 1.1, np.nan])
def test_an_iou_that_makes_no_sense_is_refused(iou: float) -> None:
    labelled = Labelled(sequence([], []), truth([]))
    with pytest.raises(ValueError, match="makes no pairs"):
        match(labelled, np.empty(0), iou)


def test_an_iou_of_one_pairs_a_box_with_itself() -> None:
    box = [(0.1, 0.2, 30.7, 40.9)]
    labelled = Labelled(sequence(box, [0.5]), truth(box))
    assert match(labelled, labelled.sequence.scores, 1.0).labels.tolist() == [Label.TRUE]


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(ValueError, match="guess"):
        match(Labelled(sequence([], []), truth([])), np.empty(0), rule="guess")


def test_changes_by_iou_are_not_made_from_labels() -> None:
    labelled = crowd(0)
    with pytest.raises(ValueError, match="label_changes"):
        changes_of(match(labelled, labelled.sequence.scores, rule="iou"), labelled.sequence.scores)


def test_kernels_call_things_by_the_numbers_of_the_readers() -> None:
    assert tuple(Kind) == (kernels.EVALUATE, kernels.IGNORE, kernels.REGION)
    assert kernels.ALL_CLASSES == ALL_CLASSES
