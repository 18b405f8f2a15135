"""Figures of a set of scores against the truth: what summaries, guards and reports are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .curve import Curve
from .fit.logistic import Floats, log_loss
from .matching import Label, LabelChanges, Rule, changes_of, label_changes, match
from .readers import Labelled
from .units import Place, Units, box_units, merge

BINS = 15
"""Bins of equal numbers of boxes, over which calibration errors are averaged."""


@dataclass(frozen=True, slots=True)
class Matching:
    """How detections are paired with truth; printed with every number that follows from it."""

    rule: Rule = Rule.SCORE
    iou: float = 0.5

    def as_json(self) -> dict[str, Any]:
        """For summaries."""
        return {"rule": str(self.rule), "iou": self.iou}


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Sequences with a score for each detection, matched by falling score: anew for each set of scores, as a benchmark would."""

    labelled: tuple[Labelled, ...]
    scores: tuple[NDArray[np.floating], ...]
    changes: tuple[LabelChanges, ...]
    labels: tuple[NDArray[np.int8], ...]
    """(N,) of each sequence, all detections accepted."""

    @classmethod
    def of(cls, labelled: Sequence[Labelled], scores: Sequence[NDArray[np.floating]], matching: Matching) -> Scored:
        """Matches them."""
        labels, changes = [], []
        for one, values in zip(labelled, scores, strict=True):
            found = match(one, values, matching.iou, matching.rule)
            labels.append(found.labels)
            changes.append(
                changes_of(found, values)
                if matching.rule is Rule.SCORE
                else label_changes(one, values, matching.iou, matching.rule)
            )
        return cls(tuple(labelled), tuple(scores), tuple(changes), tuple(labels))

    def only(self, places: Sequence[int]) -> Scored:
        """Some of the sequences, by their places."""
        return Scored(
            tuple(self.labelled[place] for place in places),
            tuple(self.scores[place] for place in places),
            tuple(self.changes[place] for place in places),
            tuple(self.labels[place] for place in places),
        )

    def units(self, places: Sequence[Place] | None = None) -> Units:
        """Boxes, all sequences together; in one block each, or in the blocks of these places."""
        where: Sequence[Place | None] = places or [None] * len(self.labelled)
        return merge(
            box_units(one, changes, place)
            for one, changes, place in zip(self.labelled, self.changes, where, strict=True)
        )

    def counted(self, index: int, class_id: int | None) -> NDArray[np.bool_]:
        """(N,) which detections of a sequence count, of one class or all: those that are true or false, not dropped."""
        chosen = np.asarray(self.labels[index] >= Label.FALSE)
        return chosen if class_id is None else chosen & (self.labelled[index].sequence.class_ids == class_id)

    def judged(self, class_id: int | None) -> tuple[Floats, Floats]:
        """Scores and labels (1 or 0) of the detections that count, of one class or all."""
        scores, labels = [], []
        for index, (values, found) in enumerate(zip(self.scores, self.labels, strict=True)):
            chosen = self.counted(index, class_id)
            scores.append(values[chosen])
            labels.append(found[chosen] == Label.TRUE)
        return np.concatenate(scores).astype(np.float64), np.concatenate(labels).astype(np.float64)


def describe(scored: Scored, *, probabilities: bool) -> dict[str, Any]:
    """Figures over all classes and by class. ``probabilities``: the scores claim to be such, so their losses and errors are given."""
    units = scored.units()
    names = scored.labelled[0].sequence.class_names
    return {
        "overall": _describe(units.curve(), *scored.judged(None), probabilities=probabilities),
        "classes": {
            name: _describe(units.of_class(class_id).curve(), *scored.judged(class_id), probabilities=probabilities)
            for class_id, name in names.items()
        },
    }


def _describe(curve: Curve, scores: Floats, labels: Floats, *, probabilities: bool) -> dict[str, Any]:
    described: dict[str, Any] = {
        "objects": curve.positives,
        "detections": len(labels),
        "true_detections": int(labels.sum()),
    }
    if curve.obstacle:
        described |= {"best_f1": None, "threshold": None, "undetermined": curve.obstacle}
    else:
        best, recommended = curve.best(), curve.recommended()
        described |= {
            "best_f1": best.f1,
            "threshold": best.threshold,
            "precision": best.precision,
            "recall": best.recall,
            "true_positives": best.tp,
            "false_positives": best.fp,
            "misses": best.fn,
            "average_precision": curve.average_precision,
            "recommended_threshold": recommended.threshold,
            "recommended_f1": recommended.f1,
        }
    if probabilities and len(labels):
        described |= {"log_loss": log_loss(scores, labels), "calibration_error": reliability(scores, labels).error}
    return described


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """What probabilities said beside what came true: R bins of equal numbers of detections, by rising probability."""

    counts: NDArray[np.int64]
    """(R,) detections in each."""

    said: Floats
    """(R,) mean probability."""

    came_true: Floats
    """(R,) share that is true."""

    @property
    def error(self) -> float:
        """Expected calibration error: the mean distance of what was said from what came true."""
        return float(np.sum(self.counts * np.abs(self.said - self.came_true)) / self.counts.sum())


def reliability(probabilities: Floats, labels: Floats) -> Reliability:
    """Bins of detections with these probabilities and labels (1 or 0), of which there is one or more."""
    order = np.argsort(probabilities, kind="stable")
    parts = np.array_split(order, min(BINS, len(order)))
    return Reliability(
        np.array([len(part) for part in parts]),
        np.array([probabilities[part].mean() for part in parts]),
        np.array([labels[part].mean() for part in parts]),
    )
