"""Labelled sequences with decisions on them: what each decision turned out to be, by verdict and by probability.

Verdicts are what people get, so figures of a policy are counted by verdict: ``levels`` are their numbers (NO 1, MAYBE 2, YES 3), and counts at
level 3 are those of YES, at level 2 those of YES and MAYBE together. Where several detections claim one object, the surest verdict comes first,
then the highest probability: a box that was turned down takes nothing from one that was accepted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tertium_server.engine import Verdict
from tertium_server.policy import Policy, Situation, effective_judgement

from .decisions import Decisions
from .figures import Matching, Scored
from .matching import Matches, Rule, changes_of, label_changes, match
from .readers import Labelled
from .tracks import TrackLabels, label_tracks, track_units
from .units import Place, Unit, Units, box_units, frame_units, merge

YES, MAYBE = float(Verdict.YES), float(Verdict.MAYBE)
"""Levels from which counts are those of YES, and of YES and MAYBE together."""


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """One sequence: N decisions beside the truth."""

    labelled: Labelled
    decisions: Decisions

    matching: Matching
    """How boxes are paired with truth."""

    matches: Matches
    """All detections against the truth, by falling verdict and probability."""

    levels: NDArray[np.float32]
    """(N,) verdicts on the boxes, as numbers."""

    track_levels: NDArray[np.float32]
    """(N,) what the thresholds of the policy make of the tracks' probabilities: the highest of a track is what it was announced as."""

    @property
    def name(self) -> str:
        """The sequence's."""
        return self.labelled.name

    def of(self, verdict: Verdict) -> NDArray[np.bool_]:
        """(N,) boxes with this verdict."""
        return np.asarray(self.decisions.verdicts == verdict)

    def tracks(self) -> TrackLabels:
        """Its tracks, with the highest level of each as score."""
        return label_tracks(self.labelled, self.by_score(), self.decisions.track_ids, self.track_levels)

    def by_score(self) -> Matches:
        """The matches that tracks are judged by: score-ordered, so that they hang on no threshold."""
        if self.matching.rule is Rule.SCORE:
            return self.matches
        return match(self.labelled, self.decisions.probabilities, self.matching.iou)


def judge(labelled: Labelled, decisions: Decisions, policy: Policy, matching: Matching) -> Judged:
    """What decisions turned out to be. The policy says from which probability on a track is YES, or MAYBE."""
    order = np.lexsort((decisions.probabilities, decisions.verdicts))
    pairs = np.stack([decisions.verdicts[order].astype(np.float64), decisions.probabilities[order].astype(np.float64)])
    rises = (np.diff(pairs, axis=1) != 0.0).any(axis=0) if len(order) else np.empty(0, np.bool_)
    ranks = np.empty(len(order))
    ranks[order] = np.concatenate((np.zeros(min(len(order), 1)), np.cumsum(rises)))
    matches = match(labelled, ranks, matching.iou, Rule.SCORE if matching.rule is Rule.SCORE else Rule.IOU)
    return Judged(
        labelled, decisions, matching, matches,
        decisions.verdicts.astype(np.float32), track_levels(decisions, policy),
    )  # fmt: skip


def track_levels(decisions: Decisions, policy: Policy) -> NDArray[np.float32]:
    """(N,) numbers of verdicts by the thresholds for tracks of each detection's class; without hysteresis, which only delays a fall."""
    sequence = decisions.sequence
    levels = np.full(len(sequence), float(Verdict.NO), np.float32)
    for class_id, name in sequence.class_names.items():
        thresholds = effective_judgement(policy, Situation(class_name=name)).track.thresholds
        chosen = sequence.class_ids == class_id
        said = decisions.track_probabilities[chosen].astype(np.float64)
        levels[chosen] = np.where(said >= thresholds.yes, YES, np.where(said >= thresholds.no, MAYBE, 1.0))
    return levels


def units_by_verdict(judged: Sequence[Judged], places: Sequence[Place], unit: Unit) -> Units:
    """Boxes, tracks or frames of all sequences, scored by level.

    Raises:
        UndeterminedError: tracks are asked for, and the truth does not say which box is whose.
    """
    parts = []
    for one, place in zip(judged, places, strict=True):
        if unit is Unit.TRACK:
            parts.append(track_units(one.labelled, one.by_score(), one.decisions.track_ids, one.track_levels, place))
        elif unit is Unit.FRAME:
            parts.append(frame_units(one.labelled, one.by_score(), one.levels, place))
        elif one.matching.rule is Rule.SCORE:
            parts.append(box_units(one.labelled, changes_of(one.matches, one.levels), place))
        else:
            changes = label_changes(one.labelled, one.levels, one.matching.iou, one.matching.rule)
            parts.append(box_units(one.labelled, changes, place))
    return merge(parts)


def units_by_probability(judged: Sequence[Judged], places: Sequence[Place], unit: Unit) -> Units:
    """The same, scored by probability: what curves are made of.

    Raises:
        UndeterminedError: tracks are asked for, and the truth does not say which box is whose.
    """
    if unit is Unit.BOX:
        return scored_by_probability(judged).units(places)
    parts = []
    for one, place in zip(judged, places, strict=True):
        matches = match(one.labelled, one.decisions.probabilities, one.matching.iou)
        if unit is Unit.TRACK:
            scores = one.decisions.track_probabilities
            parts.append(track_units(one.labelled, matches, one.decisions.track_ids, scores, place))
        else:
            parts.append(frame_units(one.labelled, matches, one.decisions.probabilities, place))
    return merge(parts)


def scored_by_probability(judged: Sequence[Judged]) -> Scored:
    """Boxes by what was said of them."""
    return Scored.of(
        [one.labelled for one in judged], [one.decisions.probabilities for one in judged], judged[0].matching
    )
