"""Which recorded frames a server took: the rules of `tertium_server.engine.admission`, over whole recordings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tertium.recording import Opening

from .checks import FURTHEST
from .sequence import NANOSECONDS
from .tertium_parts import UNTRACKED, Message, Recording

LARGEST = 1 << 62
"""Frame indices lie under this, and capture times (nanoseconds) under it either way."""

MOST_DETECTIONS = 1000
"""Of a frame, where the recording does not say what its server took."""


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """The F frames that were taken, with N detections in all."""

    indices: NDArray[np.int64]
    times: NDArray[np.int64]
    """(F,) nanoseconds since the first."""
    timed: bool
    """Whether they came with times of their own."""
    place: NDArray[np.int64]
    """(N,) the frame each detection is in, from 0."""
    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    class_ids: NDArray[np.int64]
    track_ids: NDArray[np.int64]
    records: NDArray[np.int64]
    """(N,) the record of its file each comes from, from 1."""
    warnings: tuple[str, ...]


def admit(recording: Recording) -> Frames:
    """The frames of a recording that a server took, and in words how many it did not."""
    messages, opening = recording.messages, recording.opening
    owner = np.repeat(np.arange(len(messages)), [len(message.indices) for message in messages])
    indices = _int64([message.indices for message in messages])
    times = _int64([_times(message, opening) for message in messages])
    counts = _int64([message.counts for message in messages])
    place = np.repeat(np.arange(len(counts)), counts)
    boxes = np.concatenate([np.empty((0, 4), np.float32), *(message.boxes for message in messages)])
    scores = np.concatenate([np.empty(0, np.float32), *(message.scores for message in messages)])
    class_ids = _int64([message.class_ids for message in messages])
    track_ids = _int64([message.track_ids for message in messages])
    valid = (indices >= 0) & (indices < LARGEST) & (times > -LARGEST) & (times < LARGEST)
    valid &= counts <= (opening.max_detections or MOST_DETECTIONS)
    valid &= np.array([message.fits for message in messages], np.bool_)[owner]
    valid[place[~_sound(boxes, scores, class_ids, opening)]] = False
    valid[place[_doubled(track_ids, place)]] = False
    fresh = _fresh(indices, valid)
    taken = valid & fresh
    kept = taken[place]
    return Frames(
        indices=indices[taken],
        times=times[taken] - times[taken][:1].sum(),
        timed=any(len(message.times) for message in messages),
        place=(np.cumsum(taken) - 1)[place[kept]],
        boxes=boxes[kept],
        scores=scores[kept],
        class_ids=class_ids[kept],
        track_ids=track_ids[kept],
        records=np.array([message.place.row or 0 for message in messages], np.int64)[owner[place[kept]]],
        warnings=_warnings(messages, owner, indices, valid, fresh),
    )


def _int64(arrays: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate([np.empty(0, np.int64), *arrays])


def _times(message: Message, opening: Opening) -> NDArray[np.int64]:
    """Capture times in nanoseconds: the frames' own, or their indices times the nominal interval, as the engine rounds it."""
    if len(message.times) or not len(message.indices):
        return message.times
    if opening.nominal_fps <= 0:
        return np.full(len(message.indices), LARGEST)
    nanoseconds = message.indices * (1.0 / opening.nominal_fps) * NANOSECONDS
    return np.where(nanoseconds < LARGEST, np.floor(nanoseconds + 0.5), LARGEST).astype(np.int64)


def _sound(
    boxes: NDArray[np.float32], scores: NDArray[np.float32], class_ids: NDArray[np.int64], opening: Opening
) -> NDArray[np.bool_]:
    """(N,) detections with a box, a score and a class that can be."""
    with np.errstate(invalid="ignore"):  # comparisons with NaN are false, as they should be
        sound = (boxes[:, 0] < boxes[:, 2]) & (boxes[:, 1] < boxes[:, 3])
        sound &= np.isfinite(scores) if opening.logits else (scores >= 0) & (scores <= 1)
        sound &= (np.abs(boxes) <= FURTHEST).all(axis=1)
    sound &= np.isin(class_ids, list(opening.class_names))
    return sound


def _doubled(track_ids: NDArray[np.int64], place: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(N,) detections whose track is negative, or there already in their frame."""
    bad = track_ids < 0
    tracked = np.flatnonzero(track_ids > UNTRACKED)
    order = tracked[np.lexsort((tracked, track_ids[tracked], place[tracked]))]
    again = (np.diff(place[order]) == 0) & (np.diff(track_ids[order]) == 0)
    bad[order[1:][again]] = True
    return bad


def _fresh(indices: NDArray[np.int64], valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(F,) frames whose index is larger than those of all valid frames before."""
    highest = np.maximum.accumulate(np.where(valid, indices, -1)) if len(indices) else indices
    before = np.concatenate([[-1], highest])[: len(indices)]
    fresh: NDArray[np.bool_] = indices > before
    return fresh


def _warnings(
    messages: tuple[Message, ...],
    owner: NDArray[np.int64],
    indices: NDArray[np.int64],
    valid: NDArray[np.bool_],
    fresh: NDArray[np.bool_],
) -> tuple[str, ...]:
    warnings: list[str] = []
    for left_out, reason in (
        (~valid, "that no server takes (a box, score, class, track or time that can't be)"),
        (valid & ~fresh, "that were sent again or came late"),
    ):
        if left_out.any():
            first = int(np.argmax(left_out))
            where = f"{messages[int(owner[first])].place}, frame {indices[first]}"
            warnings.append(f"{where}: the first of {np.count_nonzero(left_out)} frames {reason}; they are left out")
    return tuple(warnings)
