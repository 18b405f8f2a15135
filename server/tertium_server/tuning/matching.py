"""Detections against truth: which are true, which false, which are dropped. All counts of tuning come from here.

Two rules, to be named beside every number:

- ``score``, COCO's: class by class, by falling score, each detection takes the free object with the largest IoU.
- ``iou``, Labelbox's: all pairs by falling IoU, whatever their classes; a pair of two classes is a false detection and a missed object.

Ignored truth is dealt with in the benchmarks' way: objects to find come first; a detection left free is dropped, neither true nor false,
where it overlaps an ignored row (IoU at the threshold or above), has half of its area or more in an ignored region, or is not higher than
the truth's least height. Ignored rows are never missed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum

import numpy as np
from numpy.typing import NDArray

from .kernels import matching as by_score
from .kernels import rematching as by_iou
from .kernels.grouping import Boxes, Truths, group_by_frame, sort_by_score
from .kernels.matching import Marks, Rules
from .readers import Kind, Labelled, Sequence, Truth

Scores = NDArray[np.floating]

_JUST_UNDER_ONE = 1.0 - 1e-10
"""The largest IoU that is asked for, as in pycocotools: rounding must not part a box from itself."""


class Rule(StrEnum):
    """How detections and objects are paired."""

    SCORE = "score"
    """By falling score, class by class (COCO)."""

    IOU = "iou"
    """By falling IoU, whatever the class (Labelbox)."""


class Label(IntEnum):
    """What a detection turned out to be."""

    TRUE = by_score.TRUE
    """Paired with an object of its class."""

    FALSE = by_score.FALSE
    """Paired with nothing, or with an object of another class."""

    DROPPED = by_score.DROPPED
    """Left out of all counts: it shows something that is not judged."""

    ABSENT = by_score.ABSENT
    """Under the least score asked for: it took no part."""


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """What N detections of a sequence turned out to be, in the order of its file."""

    rule: Rule
    """How they were paired."""

    iou: float
    """The least IoU of a pair."""

    labels: NDArray[np.int8]
    """(N,) numbers of Label."""

    truth_index: NDArray[np.int64]
    """(N,) the row of Truth each is paired with, of whatever class; -1 for none."""

    ious: NDArray[np.float64]
    """(N,) IoU with that row, 0 for none."""

    objects: NDArray[np.int64]
    """(largest class id + 1,) number of objects to find, by class id."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelChanges:
    """How labels change as the threshold falls: S changes, in no order. Summed up to a threshold, they are the counts there."""

    scores: Scores
    """(S,) the threshold from which (downwards, itself included) the change holds."""

    detections: NDArray[np.int64]
    """(S,) places of the detections that change."""

    true: NDArray[np.int8]
    """(S,) change of the number of true detections: -1, 0 or 1."""

    false: NDArray[np.int8]
    """(S,) change of the number of false ones."""


def match(
    labelled: Labelled, scores: Scores, iou: float = 0.5, rule: Rule | str = Rule.SCORE, least: float = -np.inf
) -> Matches:
    """Labels of all detections of score ``least`` or more; the others are ABSENT.

    ``scores`` (N,) may be anything that orders the detections: higher first, equal ones in the order of the file. With ``Rule.SCORE``
    detections of lower scores change nothing for those of higher; with ``Rule.IOU`` they may.
    """
    sequence, rule = labelled.sequence, Rule(rule)
    rules = _rules(labelled, iou)
    _check(sequence, scores)
    truths, detections = _truths(labelled.truth), _detections(sequence, scores)
    labels = np.where(scores >= least, Label.FALSE, Label.ABSENT).astype(np.int8)
    marks = Marks(labels, np.full(len(sequence), -1, np.int64), np.zeros(len(sequence)))
    if len(sequence):
        kernel = by_score.match_by_score if rule is Rule.SCORE else by_iou.match_by_iou
        kernel(detections, truths, rules, marks)
    return Matches(rule, iou, marks.labels, marks.truth_index, marks.ious, count_objects(labelled.truth))


def label_changes(labelled: Labelled, scores: Scores, iou: float = 0.5, rule: Rule | str = Rule.SCORE) -> LabelChanges:
    """Everything that happens to labels while the threshold falls from above all scores to below them, exactly, by either rule."""
    if Rule(rule) is Rule.SCORE or len(scores) == 0:
        return changes_of(match(labelled, scores, iou), scores)
    _check(labelled.sequence, scores)
    detections, truths = _detections(labelled.sequence, scores), _truths(labelled.truth)
    changes, filled = by_iou.changes_by_iou(detections, truths, _rules(labelled, iou), scores.astype(np.float64))
    before, after = changes.before[:filled], changes.after[:filled]
    return LabelChanges(
        scores[changes.adders[:filled]],
        changes.detections[:filled].copy(),
        (after == Label.TRUE).astype(np.int8) - (before == Label.TRUE),
        (after == Label.FALSE).astype(np.int8) - (before == Label.FALSE),
    )


def changes_of(matches: Matches, scores: Scores) -> LabelChanges:
    """The same from matches by score: each detection that is counted comes in once, at its own score, and stays as it is.

    Raises:
        ValueError: the matches were not made by score, so that labels change as others come in.
    """
    if matches.rule is not Rule.SCORE:
        raise ValueError("labels matched by IoU change with the threshold: use label_changes")
    counted = np.flatnonzero(matches.labels >= Label.FALSE)
    true = (matches.labels[counted] == Label.TRUE).astype(np.int8)
    return LabelChanges(scores[counted], counted, true, np.int8(1) - true)


def count_objects(truth: Truth) -> NDArray[np.int64]:
    """Objects to find, by class id."""
    size = max(truth.class_names, default=-1) + 1
    return np.bincount(truth.class_ids[truth.kinds == Kind.EVALUATE], minlength=size).astype(np.int64)


def _check(sequence: Sequence, scores: Scores) -> None:
    if scores.shape != (len(sequence),):
        raise ValueError(f"{sequence.name}: {scores.shape} scores for {len(sequence)} detections")
    if np.isnan(scores).any():
        raise ValueError(f"{sequence.name}: the score of row {sequence.rows[np.isnan(scores)][0]} is not a number")


def _rules(labelled: Labelled, iou: float) -> Rules:
    if not 0.0 < iou <= 1.0:
        raise ValueError(f"an IoU of {iou:g} makes no pairs: give one over 0 and up to 1")
    return Rules(min(iou, _JUST_UNDER_ONE), labelled.truth.min_height)


# Kernels are compiled for each kind of array they meet: what goes in is always a fresh, writable array of one type.


def _detections(sequence: Sequence, scores: Scores) -> Boxes:
    """In order of frames, and by falling score within each. The file's own numbers, not the float32 of the wire."""
    left_top, size = sequence.xywh[:, :2], sequence.xywh[:, 2:]
    order, starts = group_by_frame(sequence.frames - sequence.first_frame, sequence.length)
    sort_by_score(order, starts, scores.astype(np.float64))
    corners, class_ids = np.hstack([left_top, left_top + size]), sequence.class_ids.astype(np.int64)
    return Boxes(corners, size[:, 0] * size[:, 1], class_ids, order, starts)


def _truths(truth: Truth) -> Truths:
    corners, class_ids, kinds = (
        truth.boxes.astype(np.float64),
        truth.class_ids.astype(np.int64),
        truth.kinds.astype(np.uint8),
    )
    size = corners[:, 2:] - corners[:, :2]
    order, starts = group_by_frame(truth.frames - truth.first_frame, truth.length)
    return Truths(corners, size[:, 0] * size[:, 1], class_ids, kinds, order, starts, np.zeros(len(truth), np.bool_))
