"""Taking up a stream where it was left: what a checkpoint has to fit, and which frames of a message were answered before."""

from __future__ import annotations

import numpy as np

from tertium_server.engine import EngineParameters, FrameColumns, SnapshotError, StreamEngine
from tertium_server.errors import CheckpointRefusedError, InvalidRequestError
from tertium_server.rpc.checkpoint import StreamState
from tertium_server.rpc.opening import Opening

_END_OF_INDICES = 2**62

Indices = np.ndarray[tuple[int], np.dtype[np.int64]]


def check_resumed(opening: Opening, state: StreamState) -> None:
    """Checks that a checkpoint is of the stream that is opened.

    Raises:
        InvalidRequestError: It is of another epoch.
        CheckpointRefusedError: It was taken with another Open.
    """
    if opening.epoch and opening.epoch != state.epoch:
        raise InvalidRequestError.of(
            "open.epoch",
            f"the checkpoint is of epoch {state.epoch}, not {opening.epoch}; start a new epoch without a checkpoint",
        )
    if opening.settings_digest != state.settings_digest:
        raise CheckpointRefusedError(
            "it was taken with another Open: class_names, frame size, nominal_fps, client_tracks and score_scale have to stay the same"
        )


def make_engine(opening: Opening, parameters: EngineParameters, state: StreamState | None) -> StreamEngine:
    """A new engine, or one that goes on where a checkpoint was taken.

    Raises:
        CheckpointRefusedError: The checkpoint does not fit this version of the engine.
    """
    if state is None:
        return StreamEngine(parameters, opening.settings)
    try:
        return StreamEngine.restore(parameters, opening.settings, state.snapshot)
    except SnapshotError as error:
        raise CheckpointRefusedError(f"{error}; start anew without a checkpoint") from error


def first_after(indices: Indices, last: int) -> tuple[int, bool]:
    """The place of the first frame after the one with index ``last``, and whether the frames get as far as that one at all.

    Whatever follows it lies after it, even a frame with a smaller index: that one comes late, but it is no repetition.
    """
    reached = np.flatnonzero((indices >= last) & (indices < _END_OF_INDICES))
    if not len(reached):
        return len(indices), False
    place = int(reached[0])
    return place + int(indices[place] == last), True


def can_be_cut(frames: FrameColumns) -> bool:
    """Whether the arrays fit together, so that a part of the frames has its own part of each."""
    count, detections = len(frames.indices), len(frames.boxes)
    return (
        len(frames.counts) == count
        and len(frames.times) in (0, count)
        and int(frames.counts.sum(dtype=np.int64)) == detections
        and all(len(column) in (0, detections) for column in (frames.scores, frames.class_ids, frames.track_ids))
    )


def cut(frames: FrameColumns, first: int, last: int, first_detection: int, last_detection: int) -> FrameColumns:
    """The frames of a range of places, with their detections."""
    return FrameColumns(
        frames.indices[first:last],
        frames.times[first:last],
        frames.counts[first:last],
        frames.boxes[first_detection:last_detection],
        frames.scores[first_detection:last_detection],
        frames.class_ids[first_detection:last_detection],
        frames.track_ids[first_detection:last_detection],
    )
