"""Detections against truth, frame by frame: labels by falling score, and what is dropped for the sake of ignored rows."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .compiling import kernel
from .grouping import Boxes, Truths

TRUE = 1
FALSE = 0
DROPPED = -1
ABSENT = -2

EVALUATE = 0
IGNORE = 1
REGION = 2
ALL_CLASSES = 0xFFFF_FFFF
HALF = 0.5


class Rules(NamedTuple):
    """What makes a pair, and what is dropped."""

    iou: float
    """Least IoU of a pair."""

    min_height: float
    """Free detections this high or less are dropped; 0: none is."""


class Marks(NamedTuple):
    """What is said of each of N detections, filled by the kernels."""

    labels: NDArray[np.int8]
    """(N,) TRUE, FALSE, DROPPED or ABSENT."""

    truth_index: NDArray[np.int64]
    """(N,) row of truth it was paired with, -1 for none."""

    ious: NDArray[np.float64]
    """(N,) IoU with that row, 0 for none."""


@kernel
def intersection(first: NDArray[np.float64], one: int, second: NDArray[np.float64], other: int) -> float:
    """Area that two boxes share, rows of corners (N, 4) and (M, 4)."""
    # Numbers, no rows: a row named in the innermost loop counts a reference, which costs more than the overlap.
    width = min(first[one, 2], second[other, 2]) - max(first[one, 0], second[other, 0])
    if width <= 0.0:
        return 0.0
    height = min(first[one, 3], second[other, 3]) - max(first[one, 1], second[other, 1])
    return width * height if height > 0.0 else 0.0


@kernel
def overlap(detections: Boxes, detection: int, truths: Truths, truth: int) -> float:
    """IoU of a detection and a row of truth."""
    shared = intersection(detections.corners, detection, truths.corners, truth)
    if shared == 0.0:
        return 0.0
    union: float = detections.areas[detection] + truths.areas[truth] - shared
    return shared / union


@kernel
def is_dropped(detections: Boxes, detection: int, truths: Truths, frame: int, rules: Rules) -> bool:
    """Whether a detection that is paired with nothing is left out of all counts."""
    if (
        rules.min_height > 0.0
        and detections.corners[detection, 3] - detections.corners[detection, 1] <= rules.min_height
    ):
        return True
    for place in range(truths.starts[frame], truths.starts[frame + 1]):
        truth = truths.order[place]
        if truths.kinds[truth] == EVALUATE:
            continue
        if truths.class_ids[truth] != ALL_CLASSES and truths.class_ids[truth] != detections.class_ids[detection]:
            continue
        if truths.kinds[truth] == IGNORE:
            if overlap(detections, detection, truths, truth) >= rules.iou:
                return True
        elif intersection(detections.corners, detection, truths.corners, truth) >= HALF * detections.areas[detection]:
            return True
    return False


@kernel
def _best_free(detections: Boxes, detection: int, truths: Truths, frame: int, least: float) -> tuple[int, float]:
    """The free object of the detection's class with the largest IoU, at least ``least``; of equal ones the last, as pycocotools has it."""
    best, largest = -1, least
    for place in range(truths.starts[frame], truths.starts[frame + 1]):
        truth = truths.order[place]
        if (
            truths.kinds[truth] != EVALUATE
            or truths.taken[truth]
            or truths.class_ids[truth] != detections.class_ids[detection]
        ):
            continue
        iou = overlap(detections, detection, truths, truth)
        if iou >= largest:
            best, largest = truth, iou
    return best, largest


@kernel
def match_by_score(detections: Boxes, truths: Truths, rules: Rules, marks: Marks) -> None:
    """Each detection, in the order given, takes the free object of its class with the largest IoU. Those marked ABSENT take none."""
    for frame in range(detections.starts.shape[0] - 1):
        for place in range(detections.starts[frame], detections.starts[frame + 1]):
            detection = detections.order[place]
            if marks.labels[detection] == ABSENT:
                continue
            truth, iou = _best_free(detections, detection, truths, frame, rules.iou)
            if truth >= 0:
                truths.taken[truth] = True
                marks.labels[detection] = TRUE
                marks.truth_index[detection] = truth
                marks.ious[detection] = iou
            elif is_dropped(detections, detection, truths, frame, rules):
                marks.labels[detection] = DROPPED
            else:
                marks.labels[detection] = FALSE
