"""Notices: what a stream is told of frames that were refused, and of resets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tertium.v1 import decisions_pb2
from tertium_server.engine import DecisionColumns, FrameColumns, FrameStatus, Reset
from tertium_server.engine.admission import LARGEST_COORDINATE
from tertium_server.metrics import Rejection

_CORNERS = 4
_Notice = decisions_pb2.Notice

MISMATCH_FIELDS = {
    "counts": "detection_counts",
    "times": "capture_times",
    "boxes": "boxes",
    "scores": "scores",
    "class_ids": "class_ids",
    "track_ids": "track_ids",
}
"""Fields of Frames by the engine's names for columns."""


@dataclass(frozen=True, slots=True)
class _Refusal:
    """How a status of the engine is told to the caller, and counted."""

    code: decisions_pb2.Notice.Code
    field: str
    """The array at fault; an index is added."""
    message: str
    rejection: Rejection


_REFUSALS = {
    FrameStatus.DUPLICATE: _Refusal(
        _Notice.CODE_DUPLICATE,
        "frame_indices",
        "this frame was answered before; nothing was counted again",
        Rejection.DUPLICATE,
    ),
    FrameStatus.LATE: _Refusal(
        _Notice.CODE_LATE,
        "frame_indices",
        "a later frame was answered before; send frames in the order of their indices",
        Rejection.LATE,
    ),
    FrameStatus.INDEX: _Refusal(
        _Notice.CODE_INVALID, "frame_indices", "frame indices lie between 0 and 2^62", Rejection.INVALID
    ),
    FrameStatus.TIME: _Refusal(
        _Notice.CODE_INVALID,
        "capture_times",
        "capture times lie within ±2^62 nanoseconds; without any, open the stream with nominal_fps",
        Rejection.INVALID,
    ),
    FrameStatus.BOX_NOT_FINITE: _Refusal(
        _Notice.CODE_INVALID, "boxes", "box corners have to be finite: no NaN, no infinity", Rejection.INVALID
    ),
    FrameStatus.BOX_RANGE: _Refusal(
        _Notice.CODE_INVALID, "boxes", "box corners lie within ±1,000,000 pixels", Rejection.INVALID
    ),
    FrameStatus.BOX_SIZE: _Refusal(
        _Notice.CODE_INVALID,
        "boxes",
        "a box needs x1 < x2 and y1 < y2: corners, not a corner and a size",
        Rejection.INVALID,
    ),
    FrameStatus.SCORE: _Refusal(
        _Notice.CODE_INVALID,
        "scores",
        "scores lie between 0 and 1; for log-odds, open the stream with SCORE_SCALE_LOGIT",
        Rejection.INVALID,
    ),
    FrameStatus.CLASS: _Refusal(
        _Notice.CODE_INVALID, "class_ids", "this class id was not named in Open.class_names", Rejection.INVALID
    ),
    FrameStatus.TRACK_ID: _Refusal(
        _Notice.CODE_INVALID,
        "track_ids",
        "track ids lie between 0 and 2^63 - 1, none twice in a frame (but 0)",
        Rejection.INVALID,
    ),
    FrameStatus.LIMIT: _Refusal(
        _Notice.CODE_LIMIT,
        "detection_counts",
        "more detections than Opened.max_detections_per_frame; raise the detector's lowest score",
        Rejection.OVERLOAD,
    ),
}

_PER_FRAME = {"frame_indices", "capture_times", "detection_counts"}


@dataclass(frozen=True, slots=True)
class Told:
    """A notice, and what it counts as."""

    notice: decisions_pb2.Notice
    rejection: Rejection
    first_place: int
    """Place of the first frame it is about, in the message or the part of it that was run."""
    last_place: int
    """Place of the last one."""


def tell_mismatch(column: str, frames: int) -> Told:
    """The notice for a message whose arrays do not fit together."""
    field = f"frames.{MISMATCH_FIELDS[column]}"
    notice = _Notice(
        code=_Notice.CODE_INVALID,
        field=field,
        message=f"{field} has a length that does not fit the other arrays; none of the message's frames was taken",
        refused_frames=frames,
    )
    return Told(notice, Rejection.INVALID, 0, frames - 1)


def tell_too_many_frames(frames: int, limit: int) -> Told:
    """The notice for a message of more frames than one may carry."""
    notice = _Notice(
        code=_Notice.CODE_LIMIT,
        field="frames.frame_indices",
        message=f"{frames} frames in one message are more than Opened.max_frames_per_message ({limit}); send them in several",
        refused_frames=frames,
    )
    return Told(notice, Rejection.OVERLOAD, 0, frames - 1)


def tell_unexpected_evidence() -> decisions_pb2.Notice:
    """The notice for pictures that nobody asked for."""
    message = "nobody asked for this evidence, or it came too late"
    return _Notice(code=_Notice.CODE_UNEXPECTED, field="evidence.request_id", message=message)


def tell_draining() -> decisions_pb2.Notice:
    """The notice that goes with a stream's last checkpoint."""
    message = "this server is about to stop; open the stream again with this checkpoint"
    return _Notice(code=_Notice.CODE_DRAINING, message=message)


def tell_frames(
    decisions: DecisionColumns, frames: FrameColumns, first_frame: int, first_detection: int
) -> Iterator[Told]:
    """The notices for frames refused and resets, in order.

    ``frames`` may be the rest of a message: ``first_frame`` and ``first_detection`` say how much of it went before.
    """
    status, resets, culprits = decisions.status, decisions.resets, decisions.culprit
    for place in np.flatnonzero((status != 0) | (resets != 0)).tolist():
        index = int(frames.indices[place]) & (2**64 - 1)
        if status[place]:
            refusal = _REFUSALS[FrameStatus(int(status[place]))]
            field = _path(refusal, frames, place, first_frame, int(culprits[place]), first_detection)
            notice = _Notice(
                code=refusal.code, frame_index=index, field=field, message=refusal.message, refused_frames=1
            )
            yield Told(notice, refusal.rejection, place, place)
        else:
            yield Told(_reset(Reset(int(resets[place])), index), Rejection.GAP, place, place)


def _reset(reset: Reset, index: int) -> decisions_pb2.Notice:
    if reset is Reset.TIME_BACKWARDS:
        code, message = (
            _Notice.CODE_RESET_TIME_BACKWARDS,
            "its capture time lies before that of the frame before: all tracks were ended",
        )
    else:
        code, message = _Notice.CODE_RESET_GAP, "too long after the frame before: all tracks were ended"
    return _Notice(code=code, frame_index=index, field="frames.capture_times", message=message)


def _path(
    refusal: _Refusal, frames: FrameColumns, place: int, first_frame: int, culprit: int, first_detection: int
) -> str:
    """Path of the element at fault, as it stands in the message."""
    if refusal.field in _PER_FRAME:
        element = place + first_frame
        if refusal.field == "capture_times" and not len(frames.times):
            return "frames.capture_times"
    elif refusal.field == "class_ids" and not len(frames.class_ids):
        return "frames.class_ids"
    elif refusal.field == "boxes":
        element = _CORNERS * (culprit + first_detection) + _corner_at_fault(frames.boxes[culprit])
    else:
        element = culprit + first_detection
    return f"frames.{refusal.field}[{element}]"


def _corner_at_fault(box: np.ndarray[tuple[int], np.dtype[np.float32]]) -> int:
    """Which of x1, y1, x2, y2: the first that is not finite or too large; else the far corner that is not beyond the near one."""
    wrong = np.flatnonzero(~(np.abs(box) <= LARGEST_COORDINATE))
    if len(wrong):
        return int(wrong[0])
    return 2 if not box[0] < box[2] else 3
