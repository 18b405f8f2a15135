"""The three views of the same detections that a report compares: by the raw score, fused, and fused on held-out folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tertium_server.engine import Workspace
from tertium_server.policy import Policy
from tertium_server.tuning.blocks import BlockUnit
from tertium_server.tuning.curve import UndeterminedError
from tertium_server.tuning.decisions import Decisions
from tertium_server.tuning.figures import Matching, Scored
from tertium_server.tuning.fit.observation import Observation, match_by_score, observe
from tertium_server.tuning.matching import Matches, Rule, match
from tertium_server.tuning.readers import Labelled
from tertium_server.tuning.replay import replay
from tertium_server.tuning.tracks import TrackLabels, label_tracks, track_units
from tertium_server.tuning.tune import Tuning
from tertium_server.tuning.units import Place, Units, merge

Scores = NDArray[np.floating[Any]]


class Which(StrEnum):
    """Whose numbers."""

    RAW = "raw"
    """The detector's scores."""

    FUSED = "fused"
    """What the policy says of the data it was fitted on."""

    HELD_OUT = "held_out"
    """What each fold's policy says of the fold."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """One sequence as the policy sees it."""

    labelled: Labelled
    decisions: Decisions
    observation: Observation
    matches: Matches
    """By falling fused probability, all accepted."""

    tracks: TrackLabels

    @property
    def name(self) -> str:
        """The sequence's."""
        return self.labelled.name


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """The detections by one set of scores."""

    which: Which
    scored: Scored
    boxes: Units
    """Over the blocks that intervals are drawn from."""

    tracks: Units | None
    """The same for tracks; None where the truth does not say which box is whose."""

    boxes_by_sequence: Units
    """Boxes again, each sequence a block."""

    def units(self) -> dict[str, Units]:
        """By the name of what is counted."""
        return {"box": self.boxes} | ({} if self.tracks is None else {"track": self.tracks})


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """All that a report is made from."""

    tuning: Tuning
    seen: tuple[Seen, ...]
    views: dict[Which, View]
    calibrated: Scored
    """Held out, by the calibrated score alone."""

    @property
    def class_names(self) -> dict[int, str]:
        """Names by id, the same in all sequences."""
        return dict(self.tuning.labelled[0].sequence.class_names)

    @property
    def matching(self) -> Matching:
        """The rule of every figure."""
        return self.tuning.options.matching

    def thresholds(self, class_id: int | None, unit: str) -> tuple[float, float]:
        """YES and NO of a class as the policy has them; of None those of all classes together."""
        policy = self.tuning.policy
        judgement = policy.defaults if class_id is None else policy.judgement(self.class_names[class_id])
        thresholds = (judgement.box if unit == "box" else judgement.track).thresholds
        return float(thresholds.yes), float(thresholds.no)


def scopes(views: Views) -> list[int | None]:
    """What figures are given for: all classes (None), where there are several, and each by its id."""
    names = views.class_names
    return [*names] if len(names) == 1 else [None, *names]


def scope(class_id: int | None) -> str:
    """The key of a scope in the page's data: names would do, but people may call a class anything."""
    return "all" if class_id is None else str(class_id)


def look(tuning: Tuning) -> Views:
    """Replays the sequences with the finished policy and matches them by each set of scores.

    Raises:
        ReplayError: the engine refused a frame.
    """
    workspace, matching = Workspace(), tuning.options.matching
    seen = tuple(_see(one, tuning.policy, matching, workspace) for one in tuning.labelled)
    tracks = [one.observation.track_ids for one in seen]
    held = tuning.held_out
    views = {
        Which.RAW: _view(Which.RAW, tuning, *_twice([one.sequence.scores for one in tuning.labelled]), tracks),
        Which.FUSED: _view(
            Which.FUSED,
            tuning,
            [one.observation.probabilities for one in seen],
            [one.observation.track_probabilities for one in seen],
            tracks,
        ),
        Which.HELD_OUT: _view(
            Which.HELD_OUT,
            tuning,
            [one.probabilities for one in held],
            [one.track_probabilities for one in held],
            [one.track_ids for one in held],
        ),
    }
    calibrated = Scored.of(tuning.labelled, [one.calibrated for one in held], matching)
    return Views(tuning, seen, views, calibrated)


def _twice(scores: list[Scores]) -> tuple[list[Scores], list[Scores]]:
    """The raw score is that of the box, and the highest of a track is that of the track."""
    return scores, scores


def _see(labelled: Labelled, policy: Policy, matching: Matching, workspace: Workspace) -> Seen:
    observation = observe(labelled, match_by_score(labelled, matching.iou), policy, workspace)
    decisions = replay(labelled.sequence, policy, workspace=workspace)
    matches = match(labelled, observation.probabilities, matching.iou, matching.rule)
    # Tracks are always judged by score-ordered matches: which of their boxes are right must not hang on a threshold.
    by_score = matches if matching.rule is Rule.SCORE else match(labelled, observation.probabilities, matching.iou)
    tracks = label_tracks(labelled, by_score, observation.track_ids, observation.track_probabilities)
    return Seen(labelled, decisions, observation, matches, tracks)


def _view(
    which: Which,
    tuning: Tuning,
    boxes: Sequence[Scores],
    tracks: Sequence[Scores],
    track_ids: Sequence[NDArray[np.int64]],
) -> View:
    labelled, matching = tuning.labelled, tuning.options.matching
    scored = Scored.of(labelled, boxes, matching)
    places = Place.of_all(labelled)
    try:
        by_track = merge(
            track_units(one, match(one, scores, matching.iou), ids, values, place)
            for one, scores, ids, values, place in zip(labelled, boxes, track_ids, tracks, places, strict=True)
        )
    except UndeterminedError:  # the truth does not say which box is whose; the summary's warnings do
        by_track = None
    by_sequence = Place.of_all(labelled, BlockUnit.SEQUENCE)
    return View(which, scored, scored.units(places), by_track, scored.units(by_sequence))
