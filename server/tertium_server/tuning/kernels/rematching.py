"""Matching by falling IoU, and how it changes as the threshold falls: one frame at a time is matched anew.

All pairs of the detections present are taken by falling IoU, whatever their classes; so a detection that leaves sets its partner free
for others, and labels at one threshold are no prefix of those at the next. Yet a step of the threshold touches only the frames whose
detections it lets in.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .compiling import kernel
from .grouping import Boxes, Truths
from .matching import ABSENT, DROPPED, EVALUATE, FALSE, TRUE, Marks, Rules, is_dropped, overlap


class Pairs(NamedTuple):
    """The P pairs of one frame that overlap enough, by falling IoU. Equal ones: higher score first, then the file's order."""

    ranks: NDArray[np.int64]
    """(P,) places of detections within the frame, by falling score."""

    truths: NDArray[np.int64]
    """(P,) rows of truth."""

    ious: NDArray[np.float64]
    """(P,) their IoU."""


class Changes(NamedTuple):
    """Changes of labels, in no order; arrays may be longer than what is filled."""

    adders: NDArray[np.int64]
    """(S,) the detection at whose score the label changes."""

    detections: NDArray[np.int64]
    """(S,) the detection whose label changes."""

    before: NDArray[np.int8]
    """(S,) its label above that score."""

    after: NDArray[np.int8]
    """(S,) its label from that score down, until the next change."""


@kernel
def _count_pairs(detections: Boxes, truths: Truths, frame: int, rules: Rules) -> int:
    count = 0
    for place in range(detections.starts[frame], detections.starts[frame + 1]):
        for other in range(truths.starts[frame], truths.starts[frame + 1]):
            truth = truths.order[other]
            if (
                truths.kinds[truth] == EVALUATE
                and overlap(detections, detections.order[place], truths, truth) >= rules.iou
            ):
                count += 1
    return count


@kernel
def _pairs(detections: Boxes, truths: Truths, frame: int, rules: Rules) -> Pairs:
    count = _count_pairs(detections, truths, frame, rules)
    ranks, rows, ious = np.empty(count, np.int64), np.empty(count, np.int64), np.empty(count, np.float64)
    start = int(detections.starts[frame])
    filled = 0
    for place in range(start, detections.starts[frame + 1]):
        for other in range(truths.starts[frame], truths.starts[frame + 1]):
            truth = truths.order[other]
            if truths.kinds[truth] != EVALUATE:
                continue
            iou = overlap(detections, detections.order[place], truths, truth)
            if iou >= rules.iou:
                ranks[filled], rows[filled], ious[filled] = place - start, truth, iou
                filled += 1
    order = np.argsort(-ious, kind="mergesort")
    return Pairs(ranks[order], rows[order], ious[order])


@kernel
def _match_present(pairs: Pairs, present: int, partners: NDArray[np.int64], truths: Truths) -> None:
    """Writes the pair (its place in ``pairs``, -1: none) of each of the first ``present`` detections of the frame."""
    partners[:present] = -1
    for pair in range(pairs.ious.shape[0]):
        rank = pairs.ranks[pair]
        if rank < present and partners[rank] < 0 and not truths.taken[pairs.truths[pair]]:
            partners[rank] = pair
            truths.taken[pairs.truths[pair]] = True
    for rank in range(present):
        if partners[rank] >= 0:
            truths.taken[pairs.truths[partners[rank]]] = False


@kernel
def _label_free(detections: Boxes, truths: Truths, frame: int, rules: Rules, free_labels: NDArray[np.int8]) -> None:
    """Writes what each detection of the frame is while it is paired with nothing."""
    start = int(detections.starts[frame])
    for rank in range(detections.starts[frame + 1] - start):
        dropped = is_dropped(detections, detections.order[start + rank], truths, frame, rules)
        free_labels[rank] = DROPPED if dropped else FALSE


@kernel
def _label(detections: Boxes, detection: int, truths: Truths, pairs: Pairs, pair: int, free_label: int) -> int:
    if pair < 0:
        return free_label
    return TRUE if detections.class_ids[detection] == truths.class_ids[pairs.truths[pair]] else FALSE


@kernel
def match_by_iou(detections: Boxes, truths: Truths, rules: Rules, marks: Marks) -> None:
    """All pairs by falling IoU, whatever their classes; one of two classes is false, and takes the object all the same.

    Detections marked ABSENT are not there; within each frame of ``detections.order`` they come last.
    """
    most = np.diff(detections.starts).max()
    partners, free_labels = np.empty(most, np.int64), np.empty(most, np.int8)
    for frame in range(detections.starts.shape[0] - 1):
        start = int(detections.starts[frame])
        present = 0
        for place in range(start, detections.starts[frame + 1]):
            present += marks.labels[detections.order[place]] != ABSENT
        pairs = _pairs(detections, truths, frame, rules)
        _match_present(pairs, present, partners, truths)
        _label_free(detections, truths, frame, rules, free_labels)
        for rank in range(present):
            detection, pair = detections.order[start + rank], partners[rank]
            marks.labels[detection] = _label(detections, detection, truths, pairs, pair, free_labels[rank])
            if pair >= 0:
                marks.truth_index[detection] = pairs.truths[pair]
                marks.ious[detection] = pairs.ious[pair]


@kernel
def _grown(changes: Changes) -> Changes:
    size = changes.adders.shape[0]
    adders, detections = np.empty(2 * size, np.int64), np.empty(2 * size, np.int64)
    before, after = np.empty(2 * size, np.int8), np.empty(2 * size, np.int8)
    adders[:size], detections[:size] = changes.adders, changes.detections
    before[:size], after[:size] = changes.before, changes.after
    return Changes(adders, detections, before, after)


@kernel
def changes_by_iou(detections: Boxes, truths: Truths, rules: Rules, scores: NDArray[np.float64]) -> tuple[Changes, int]:
    """All changes of labels as the threshold falls, and how many there are; each distinct score of a frame matches that frame anew."""
    most = np.diff(detections.starts).max()
    partners, free_labels, labels = np.empty(most, np.int64), np.empty(most, np.int8), np.empty(most, np.int8)
    size = max(16, 2 * scores.shape[0])
    adders, changed, before, after = (
        np.empty(size, np.int64),
        np.empty(size, np.int64),
        np.empty(size, np.int8),
        np.empty(size, np.int8),
    )
    changes = Changes(adders, changed, before, after)
    filled = 0
    for frame in range(detections.starts.shape[0] - 1):
        start = int(detections.starts[frame])
        rows = detections.order[start : detections.starts[frame + 1]]
        pairs = _pairs(detections, truths, frame, rules)
        _label_free(detections, truths, frame, rules, free_labels)
        labels[: rows.shape[0]] = ABSENT
        for rank in range(rows.shape[0]):
            if rank + 1 < rows.shape[0] and scores[rows[rank + 1]] == scores[rows[rank]]:
                continue  # equal scores come in together
            _match_present(pairs, rank + 1, partners, truths)
            for other in range(rank + 1):
                label = _label(detections, rows[other], truths, pairs, partners[other], free_labels[other])
                if label == labels[other]:
                    continue
                if filled == changes.adders.shape[0]:
                    changes = _grown(changes)
                changes.adders[filled], changes.detections[filled] = rows[rank], rows[other]
                changes.before[filled], changes.after[filled] = labels[other], label
                labels[other] = label
                filled += 1
    return changes, filled
