"""Reviewed tracks in the recordings of their streams.

A case is found by its stream, epoch, and the boxes its evidence holds: the camera's own numbers, to a hundredth of a pixel. Which track of a replay
it is follows from where these boxes lie now, so it is found whatever policy judged then, and whatever tracks the replay makes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tertium_server.tuning.readers import Labelled, Truth
from tertium_server.tuning.readers import Sequence as Recorded

from .cases import ReviewedTrack

LEAST_SHARE = 0.5
"""A case is in a recording where this share, or more, of its boxes is; and it is the track that holds so many of those."""

HUNDREDTHS = 100.0
"""Parts of a pixel that evidence keeps of boxes (see `review.footage`)."""


@dataclass(frozen=True, slots=True, eq=False)
class Footage:
    """A recorded run of a stream, and the reviewed tracks that are in it."""

    labelled: Labelled
    """The detections; there is no truth about boxes."""

    cases: tuple[int, ...]
    """Places of the tracks, among all that are reviewed."""

    detections: tuple[NDArray[np.int64], ...]
    """For each of them the places of its detections."""


def find_tracks(
    recorded: Iterable[tuple[str, int, Recorded]], tracks: Sequence[ReviewedTrack]
) -> tuple[list[Footage], list[int]]:
    """Runs (stream, epoch, recording) that hold reviewed tracks, and the places of the tracks that are in none."""
    by_run: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
    for place, track in enumerate(tracks):
        by_run[track.stream_id, track.epoch].append(place)
    found: list[Footage] = []
    missing = set(range(len(tracks)))
    for stream, epoch, sequence in recorded:
        places = by_run.get((stream, epoch), [])
        where = detections_of(sequence, [tracks[place] for place in places])
        kept = [(place, rows) for place, rows in zip(places, where, strict=True) if len(rows)]
        missing.difference_update(place for place, _ in kept)
        if kept:
            found.append(Footage(_unlabelled(sequence), tuple(one for one, _ in kept), tuple(rows for _, rows in kept)))
    return found, sorted(missing)


def track_at(track_ids: NDArray[np.int64], rows: NDArray[np.int64]) -> int | None:
    """The track that holds most of these detections, and enough of them; None: none does."""
    ids, counts = np.unique(track_ids[rows], return_counts=True)
    best = int(np.argmax(counts))
    return int(ids[best]) if counts[best] >= LEAST_SHARE * len(rows) else None


def detections_of(sequence: Recorded, tracks: Sequence[ReviewedTrack]) -> list[NDArray[np.int64]]:
    """For each track the detections that its evidence holds; none where too few of them are there."""
    frames = sequence.frame_indices()[sequence.frames - sequence.first_frame]
    wanted = np.unique(np.concatenate([np.zeros(0, np.int64), *(track.frames for track in tracks)]))
    rows = np.flatnonzero(np.isin(frames, wanted))
    by_box = dict(zip(_keys(frames[rows], sequence.boxes[rows]), rows.tolist(), strict=True))
    found: list[NDArray[np.int64]] = []
    for track in tracks:
        places = [by_box[key] for key in _keys(track.frames, track.boxes) if key in by_box]
        is_there = len(places) > 0 and len(places) >= LEAST_SHARE * len(track.frames)
        found.append(np.array(places if is_there else [], np.int64))
    return found


def _keys(frames: NDArray[np.int64], boxes: NDArray[np.float32]) -> list[tuple[int, ...]]:
    """Frames (F,) and boxes (F, 4), by what evidence keeps of them: whole hundredths."""
    hundredths = np.rint(boxes.astype(np.float64) * HUNDREDTHS).astype(np.int64)
    return list(map(tuple, np.column_stack([frames, hundredths]).tolist()))


def _unlabelled(sequence: Recorded) -> Labelled:
    nothing = np.zeros(0, np.int64)
    truth = Truth(
        name=sequence.name,
        first_frame=sequence.first_frame,
        length=sequence.length,
        class_names=dict(sequence.class_names),
        frames=nothing,
        boxes=np.zeros((0, 4)),
        class_ids=nothing.astype(np.uint32),
        track_ids=nothing,
        kinds=nothing.astype(np.uint8),
        rows=nothing,
        source=sequence.source,
    )
    return Labelled(sequence, truth)
