"""Tracks against truth by TrackEval, and other trackers' tracks, in the rivals' environment.

    track_scorer.py run TRACKER THRESHOLD[,THRESHOLD…] RECORDING.npz …   one rival at each threshold
    track_scorer.py score RECORDING.npz:TRACKS.npz …                      tracks that somebody else made

Both print figures over all recordings together (HOTA, DetA, AssA, IDF1, MOTA, IDSW) as JSON; run prints a list of them, one for each threshold.

A recording holds det_frames (N,), det_boxes (N, 4), det_scores (N,), true_frames (M,), true_boxes (M, 4), true_ids (M,), kinds (M,) of truth (0 to be
found, 1 to be ignored, 2 a region to be ignored), first_frame, length, fps, least_height; tracks hold frames (K,), boxes (K, 4), ids (K,).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

Recording = dict[str, Any]
"""Arrays by name."""

_MATCH = 0.5
_REGION_SHARE = 0.5


def _sort(package: Any, threshold: float, fps: float) -> Any:  # noqa: ANN401 - a package that is not there for the checkers
    return package.SORTTracker(frame_rate=fps, track_activation_threshold=threshold)


def _byte_track(package: Any, threshold: float, fps: float) -> Any:  # noqa: ANN401
    # New tracks want a little more than old ones, as its authors have it.
    return package.ByteTrackTracker(
        frame_rate=fps, high_conf_det_threshold=threshold, track_activation_threshold=min(threshold + 0.1, 1.0)
    )


def _oc_sort(package: Any, threshold: float, fps: float) -> Any:  # noqa: ANN401
    return package.OCSORTTracker(frame_rate=fps, high_conf_det_threshold=threshold)


def _c_biou(package: Any, threshold: float, fps: float) -> Any:  # noqa: ANN401
    return package.CBIoUTracker(
        frame_rate=fps, high_conf_det_threshold=threshold, track_activation_threshold=min(threshold + 0.1, 1.0)
    )


TRACKERS: dict[str, Callable[[Any, float, float], Any]] = {
    "ByteTrack": _byte_track,
    "C-BIoU": _c_biou,
    "OC-SORT": _oc_sort,
    "SORT": _sort,
}
# SORT knows no low scores: its authors hand it what the detector is confident of, and nothing else.
_CONFIDENT_ONLY = {"SORT"}


def run(name: str, threshold: float, recording: Recording) -> Recording:
    """The tracks of a rival: frames (K,), boxes (K, 4), ids (K,)."""
    supervision = import_module("supervision")
    tracker = TRACKERS[name](import_module("trackers"), threshold, float(recording["fps"]))
    least = threshold if name in _CONFIDENT_ONLY else 0.0
    frames, boxes, ids = [np.zeros(0, np.int64)], [np.zeros((0, 4))], [np.zeros(0, np.int64)]
    order = np.argsort(recording["det_frames"], kind="stable")
    order = order[recording["det_scores"][order] >= least]
    numbers = recording["det_frames"][order]
    for frame in range(int(recording["first_frame"]), int(recording["first_frame"]) + int(recording["length"])):
        mine = order[np.searchsorted(numbers, frame) : np.searchsorted(numbers, frame, side="right")]
        detections = supervision.Detections(
            xyxy=recording["det_boxes"][mine].astype(np.float32),
            confidence=recording["det_scores"][mine].astype(np.float32),
            class_id=np.zeros(len(mine), int),
        )
        tracked = tracker.update(detections)
        if tracked.tracker_id is None:
            continue
        sure = tracked.tracker_id >= 0  # -1: seen, and not yet a track
        frames.append(np.full(int(sure.sum()), frame))
        boxes.append(tracked.xyxy[sure])
        ids.append(tracked.tracker_id[sure])
    return {"frames": np.concatenate(frames), "boxes": np.concatenate(boxes), "ids": np.concatenate(ids)}


def score(pairs: Sequence[tuple[Recording, Recording]]) -> dict[str, float]:
    """Figures over recordings and their tracks, put together as TrackEval does."""
    metrics = import_module("trackeval").metrics
    found: dict[str, Any] = {}
    for metric in (metrics.HOTA(), metrics.CLEAR({"PRINT_CONFIG": False}), metrics.Identity({"PRINT_CONFIG": False})):
        parts = {str(place): metric.eval_sequence(_data(*pair)) for place, pair in enumerate(pairs)}
        found |= metric.combine_sequences(parts)
    return {name: float(np.mean(found[name])) for name in ("HOTA", "DetA", "AssA", "IDF1", "MOTA", "IDSW")}


def _data(recording: Recording, tracks: Recording) -> dict[str, Any]:
    """What TrackEval's metrics ask for, without what is to be ignored."""
    begun, length = int(recording["first_frame"]), int(recording["length"])
    counted = recording["kinds"] == 0
    true_ids = np.unique(recording["true_ids"][counted])
    rows = []
    for frame in range(begun, begun + length):
        mine = tracks["frames"] == frame
        there = recording["true_frames"] == frame
        objects, boxes = there & counted, tracks["boxes"][mine]
        similarity = overlaps(recording["true_boxes"][objects], boxes)
        keep = _kept(boxes, similarity, recording, there & ~counted)
        rows.append((recording["true_ids"][objects], tracks["ids"][mine][keep], similarity[:, keep]))
    track_ids = np.unique(np.concatenate([ids for _, ids, _ in rows]))
    return {
        "num_timesteps": length,
        "num_gt_ids": len(true_ids),
        "num_tracker_ids": len(track_ids),
        "num_gt_dets": sum(len(ids) for ids, _, _ in rows),
        "num_tracker_dets": sum(len(ids) for _, ids, _ in rows),
        "gt_ids": [np.searchsorted(true_ids, ids) for ids, _, _ in rows],
        "tracker_ids": [np.searchsorted(track_ids, ids) for _, ids, _ in rows],
        "similarity_scores": [similarity for *_, similarity in rows],
    }


def _kept(boxes: Any, similarity: Any, recording: Recording, ignored: Any) -> Any:  # noqa: ANN401 - arrays
    """(K,) which boxes count: those that find an object, and those that show nothing that is to be ignored."""
    keep = np.ones(len(boxes), bool)
    if not len(boxes):
        return keep
    pairs = linear_sum_assignment(-np.where(similarity >= _MATCH, similarity, 0.0))
    finds = np.zeros(len(boxes), bool)
    finds[[column for row, column in zip(*pairs, strict=True) if similarity[row, column] >= _MATCH]] = True
    whole = recording["kinds"][ignored] == 1
    others = recording["true_boxes"][ignored]
    keep &= ~(overlaps(others[whole], boxes) >= _MATCH).any(axis=0)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    keep &= ~(intersections(others[~whole], boxes) >= _REGION_SHARE * areas).any(axis=0)
    keep &= boxes[:, 3] - boxes[:, 1] > float(recording["least_height"])
    return keep | finds


def intersections(one: Any, other: Any) -> Any:  # noqa: ANN401 - arrays
    """(A, B) shared areas of boxes (A, 4) and (B, 4)."""
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    return np.prod(np.maximum(high - low, 0.0), axis=2)


def overlaps(one: Any, other: Any) -> Any:  # noqa: ANN401 - arrays
    """(A, B) IoUs."""
    shared = intersections(one, other)
    areas = [(boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) for boxes in (one, other)]
    return shared / (areas[0][:, None] + areas[1][None, :] - shared)


def load(path: str) -> Recording:
    """All arrays of a file, read once."""
    with np.load(path) as file:
        return dict(file)


def main() -> None:
    """Runs or scores."""
    what, *rest = sys.argv[1:]
    if what == "run":
        name, thresholds, *paths = rest
        recordings = [load(path) for path in paths]
        figures = [
            score([(one, run(name, threshold, one)) for one in recordings])
            for threshold in map(float, thresholds.split(","))
        ]
        print(json.dumps(figures))
    else:
        print(json.dumps(score([(load(one), load(tracks)) for one, tracks in (pair.split(":") for pair in rest)])))


if __name__ == "__main__":
    main()
