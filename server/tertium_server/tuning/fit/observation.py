"""What the engine sees of a labelled sequence: features of each detection, and what each turned out to be."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tertium_server.engine import DecisionColumns, FrameColumns, StreamEngine, Workspace
from tertium_server.policy import Policy, compile_parameters
from tertium_server.tuning.decisions import ReplayError
from tertium_server.tuning.frames import frames_of
from tertium_server.tuning.matching import Matches, match
from tertium_server.tuning.readers import Labelled
from tertium_server.tuning.replay import stream_settings

from .logistic import Floats
from .readouts import BOX_NAMES

_REAL_SHARE = 0.5
"""A track is of a real object where this share of its judged boxes, or more, is right."""


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """N detections of a sequence, in the order of its file, run through the engine with a policy."""

    labelled: Labelled
    matches: Matches
    """Detections against truth, by falling score of the detector."""

    box_features: Floats
    """(N, 13) what the box read-out weighs."""

    track_features: Floats
    """(N, 8) what the track read-out weighs."""

    probabilities: NDArray[np.float32]
    """(N,) of the boxes, as the engine gave them."""

    track_probabilities: NDArray[np.float32]
    """(N,) of the tracks, as the engine gave them."""

    track_ids: NDArray[np.int64]
    """(N,) tracks, from 1."""

    real: Floats
    """(N,) 1 where the detection's track is of a real object, 0 where it is clutter."""

    def measurements(self) -> Floats:
        """(N,) the scores on the calibrated log-odds scale."""
        return np.asarray(
            self.box_features[:, BOX_NAMES.index("score")] + self.box_features[:, BOX_NAMES.index("score_high")]
        )

    def of_class(self, class_id: int) -> NDArray[np.bool_]:
        """(N,) the detections of a class that are judged: neither dropped nor of another class."""
        return np.asarray((self.labelled.sequence.class_ids == class_id) & (self.matches.labels >= 0))


def match_by_score(labelled: Labelled, iou: float) -> Matches:
    """The sequence's detections against its truth, by falling score of the detector."""
    return match(labelled, labelled.sequence.scores, iou=iou)


def observe(labelled: Labelled, matches: Matches, policy: Policy, workspace: Workspace) -> Observation:
    """Runs a sequence through the engine.

    Raises:
        ReplayError: the engine refused a frame.
    """
    sequence = labelled.sequence
    settings = replace(stream_settings(sequence, client_tracks=False), include_features=True, include_coasted=False)
    engine = StreamEngine(compile_parameters(policy, settings), settings)
    order = sequence.by_frame()
    frames = frames_of(sequence, order.order, order.counts, client_tracks=False)
    columns = engine.advance(
        FrameColumns.of(frames.indices, frames.times, frames.counts, frames.boxes, frames.scores, frames.class_ids),
        workspace,
    )
    if columns.error or columns.status.any():
        raise ReplayError(sequence.name, f"the engine refused a frame ({columns.error or int(columns.status.max())})")
    back = np.empty(len(sequence), np.int64)
    back[order.order] = np.arange(len(sequence))
    parts = [_copied(columns), _copied(engine.flush(workspace))]  # the second: what a policy's lag has held back
    box_features, track_features, probabilities, track_probabilities, track_ids = (
        np.concatenate(pair)[back] for pair in zip(*parts, strict=True)
    )
    return Observation(
        labelled,
        matches,
        box_features,
        track_features,
        probabilities,
        track_probabilities,
        track_ids,
        _real(track_ids, matches.labels),
    )


def _copied(columns: DecisionColumns) -> tuple[NDArray[Any], ...]:
    """What is kept of decisions, out of the workspace, which is used again."""
    kept = (
        columns.box_features,
        columns.track_features,
        columns.probabilities,
        columns.track_probabilities,
        columns.track_ids,
    )
    return tuple(each.copy() for each in kept)


def _real(track_ids: NDArray[np.int64], labels: NDArray[np.int8]) -> Floats:
    """For each detection whether its track is of a real object; tracks of dropped detections only count as clutter nobody weighs."""
    size = int(track_ids.max(initial=0)) + 1
    judged = np.bincount(track_ids, weights=labels >= 0, minlength=size)
    right = np.bincount(track_ids, weights=labels == 1, minlength=size)
    is_real = right >= _REAL_SHARE * np.maximum(judged, 1)
    return is_real[track_ids].astype(np.float64)
