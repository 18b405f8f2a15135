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
from tertium_server.tuning.judged import Judged, judge
from tertium_server.tuning.matching import match
from tertium_server.tuning.readers import Labelled
from tertium_server.tuning.replay import replay
from tertium_server.tuning.tracks import TrackLabels, label_tracks, track_units
from tertium_server.tuning.tune import Tuning
from tertium_server.tuning.units import Place, Units, frame_units, merge

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

    judged: Judged
    """What the server says, and what became of it."""

    observation: Observation
    """What the engine weighed."""

    tracks: TrackLabels
    """Its tracks, with the highest probability of each."""

    @property
    def name(self) -> str:
        """The sequence's."""
        return self.judged.name

    @property
    def labelled(self) -> Labelled:
        """Detections and truth."""
        return self.judged.labelled

    @property
    def decisions(self) -> Decisions:
        """What the server says."""
        return self.judged.decisions


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """The detections by one set of scores."""

    which: Which
    scored: Scored
    boxes: Units
    """Over the blocks that intervals are drawn from."""

    tracks: Units | None
    """The same for tracks; None where the truth does not say which box is whose."""

    frames: Units
    """The same for frames."""

    boxes_by_sequence: Units
    """Boxes again, each sequence a block."""

    def units(self) -> dict[str, Units]:
        """By the name of what is counted."""
        tracks = {} if self.tracks is None else {"track": self.tracks}
        return {"box": self.boxes, **tracks, "frame": self.frames}


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
        """YES and NO of a class's boxes or tracks as the policy has them; of None those of all classes."""
        policy = self.tuning.policy
        judgement = policy.defaults if class_id is None else policy.judgement(self.class_names[class_id])
        pair = (judgement.box if unit == "box" else judgement.track).thresholds
        return float(pair.yes), float(pair.no)

    def chosen_thresholds(self, class_id: int | None, unit: str) -> tuple[float, float] | None:
        """The same for frames too, which no policy holds: as tuning tells them, or None."""
        if unit != "frame":
            return self.thresholds(class_id, unit)
        chosen = self.tuning.summary["thresholds"]
        told = chosen["overall"] if class_id is None else chosen["classes"][self.class_names[class_id]]
        return (float(told[unit]["yes"]), float(told[unit]["no"])) if unit in told else None


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
    tracks = [one.decisions.track_ids for one in seen]
    held = tuning.held_out
    views = {
        Which.RAW: _view(Which.RAW, tuning, *_twice([one.sequence.scores for one in tuning.labelled]), tracks),
        Which.FUSED: _view(
            Which.FUSED,
            tuning,
            [one.decisions.probabilities for one in seen],
            [one.decisions.track_probabilities for one in seen],
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
    judged = judge(labelled, replay(labelled.sequence, policy, workspace=workspace), policy, matching)
    observation = observe(labelled, match_by_score(labelled, matching.iou), policy, workspace)
    decisions = judged.decisions
    tracks = label_tracks(labelled, judged.by_score(), decisions.track_ids, decisions.track_probabilities)
    return Seen(judged, observation, tracks)


def _view(
    which: Which,
    tuning: Tuning,
    boxes: Sequence[Scores],
    tracks: Sequence[Scores],
    track_ids: Sequence[NDArray[np.int64]],
) -> View:
    labelled, matching = tuning.labelled, tuning.options.matching
    scored, places = Scored.of(labelled, boxes, matching), Place.of_all(labelled)
    # Tracks and frames are always judged by score-ordered matches: what is right in them must not hang on a threshold.
    matches = [match(one, scores, matching.iou) for one, scores in zip(labelled, boxes, strict=True)]
    try:
        by_track = merge(map(track_units, labelled, matches, track_ids, tracks, places))
    except UndeterminedError:  # the truth does not say which box is whose; the summary's warnings do
        by_track = None
    return View(
        which,
        scored,
        scored.units(places),
        by_track,
        merge(map(frame_units, labelled, matches, boxes, places)),
        scored.units(Place.of_all(labelled, BlockUnit.SEQUENCE)),
    )
