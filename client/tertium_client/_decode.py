"""Messages to values: one Answer for each frame, arrays without an object for each detection."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from enum import IntEnum
from itertools import accumulate, pairwise
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from tertium.v1 import decision_service_pb2, decisions_pb2
from tertium_client._encode import EncodedFrame
from tertium_client._settings import StreamSettings
from tertium_client.errors import ProtocolError
from tertium_client.values import (
    Answer,
    CoastedTracks,
    DecidedBy,
    EventReason,
    EventType,
    FrameDecisions,
    Notice,
    NoticeCode,
    TrackEvent,
    Verdict,
    Why,
)

Response = decision_service_pb2.DecideResponse | decision_service_pb2.DecideBatchResponse
Array = NDArray[Any]
_PATH = re.compile(r"frames\.(\w+)(?:\[(\d+)\])?")
_RESETS = {NoticeCode.RESET_GAP, NoticeCode.RESET_TIME_BACKWARDS}
_FRAME_FIELDS = {"frame_indices": "frame_index", "capture_times": "capture_time", "detection_counts": "boxes"}
"""What a frame calls those fields of a message that have one value for each frame."""
_Named = TypeVar("_Named", bound=IntEnum)


def answers(
    response: Response,
    frames: Sequence[int],
    settings: StreamSettings,
    sent: Sequence[EncodedFrame] = (),
    held: dict[int, tuple[Notice, ...]] | None = None,
) -> list[Answer]:
    """One answer for each of these frames (ascending), in order; then, where there is something that belongs to none of them, one without a frame.

    `sent` are all frames of the message that is answered, those among them whose answers are known already. With `held`, the last of the frames may
    be left undecided, for a policy's decision lag; what was said of them by now is kept there, and handed in again with the next response.

    Raises:
        ProtocolError: a frame is neither decided nor refused, or frames are decided that were not asked for.
    """
    decided = {decisions.frame_index: decisions for decisions in _by_frame(response.decisions, settings)}
    # Most messages bring decisions and nothing else.
    notices = _notices(response.notices, sent) if response.notices else []
    refuses_all = tuple(notice for notice in notices if notice.frame_index is None and notice.refused_frames)
    of_message = {frame.index for frame in sent} if refuses_all and sent else set(frames)
    done: list[tuple[int, FrameDecisions | None, tuple[Notice, ...]]] = []
    waits = False
    for frame in frames:
        decisions = decided.pop(frame, None)
        about = tuple(notice for notice in notices if notice.frame_index == frame) if notices else ()
        about = held.pop(frame, ()) + about if held else about
        if decisions is None and not any(notice.refused_frames for notice in about):
            if refuses_all and frame in of_message:
                about += refuses_all
            elif held is None:
                raise ProtocolError(f"frame {frame} was neither decided nor refused")
            else:
                waits = True
        if not waits:
            done.append((frame, decisions, about))
        elif decisions is not None:
            raise ProtocolError(f"frame {frame} was decided before a frame that comes before it")
        elif about and held is not None:
            held[frame] = about
    told = [notice for *_, about in done for notice in about]
    events = _distribute(response.events, [frame for frame, *_ in done], told) if response.events else {}
    out = [Answer(frame, decisions, tuple(events.pop(frame, ())), about) for frame, decisions, about in done]
    if decided:
        raise ProtocolError(f"decisions came for frames that await none: {sorted(decided)[:5]}")
    loose = tuple(notice for notice in notices if notice not in refuses_all and notice.frame_index not in frames)
    if loose or events:
        out.append(Answer(None, None, tuple(events.pop(None, ())), loose))
    return out


def mentions(response: Response, frames: Collection[int]) -> bool:
    """The response decides or refuses any of these frames."""
    return any(index in frames for index in response.decisions.frame_indices) or any(
        notice.refused_frames and (not notice.HasField("frame_index") or notice.frame_index in frames)
        for notice in response.notices
    )


def _by_frame(decisions: decisions_pb2.Decisions, settings: StreamSettings) -> Iterator[FrameDecisions]:
    """The parallel arrays of a message, cut at the frames."""
    indices, counts = list(decisions.frame_indices), list(decisions.detection_counts)
    if len(indices) != len(counts):
        raise ProtocolError(f"{len(indices)} frames were decided, but {len(counts)} numbers of detections came")
    columns = _columns(decisions, sum(counts), settings)
    coasted = _coasted(decisions, len(indices)) if settings.include_coasted else [None] * len(indices)
    if len(indices) == 1:
        yield FrameDecisions(
            frame_index=indices[0], policy_version=decisions.policy_version, coasted=coasted[0], **columns
        )
        return
    for k, (start, stop) in enumerate(pairwise(accumulate(counts, initial=0))):
        cut = {name: column[start:stop] for name, column in columns.items()}
        yield FrameDecisions(frame_index=indices[k], policy_version=decisions.policy_version, coasted=coasted[k], **cut)


def _columns(decisions: decisions_pb2.Decisions, total: int, settings: StreamSettings) -> dict[str, Array]:
    columns = {
        "track_ids": _array("track_ids", decisions.track_ids, np.int64, total),
        "probabilities": _array("probabilities", decisions.probabilities, np.float32, total),
        "verdicts": _array("verdicts", decisions.verdicts, np.uint8, total),
    }
    if settings.include_boxes:
        columns["boxes"] = _array("boxes", decisions.boxes, np.float32, total, 4)
    if settings.include_tracks:
        columns["track_probabilities"] = _array("track_probabilities", decisions.track_probabilities, np.float32, total)
        columns["track_lower"] = _array("track_lower", decisions.track_lower, np.float32, total)
        columns["track_upper"] = _array("track_upper", decisions.track_upper, np.float32, total)
        columns["track_verdicts"] = _array("track_verdicts", decisions.track_verdicts, np.uint8, total)
    return columns


def _coasted(decisions: decisions_pb2.Decisions, frames: int) -> list[CoastedTracks | None]:
    counts = list(decisions.coasted_counts)
    if len(counts) != frames:
        raise ProtocolError(f"{frames} frames were decided, but {len(counts)} numbers of coasted tracks came")
    total = sum(counts)
    ids = _array("coasted_track_ids", decisions.coasted_track_ids, np.int64, total)
    boxes = _array("coasted_boxes", decisions.coasted_boxes, np.float32, total, 4)
    probabilities = _array("coasted_probabilities", decisions.coasted_probabilities, np.float32, total)
    verdicts = _array("coasted_verdicts", decisions.coasted_verdicts, np.uint8, total)
    return [
        CoastedTracks(ids[start:stop], boxes[start:stop], probabilities[start:stop], verdicts[start:stop])
        for start, stop in pairwise(accumulate(counts, initial=0))
    ]


def _array(name: str, values: Collection[float], kind: type[np.generic], rows: int, width: int = 1) -> Array:
    if len(values) != rows * width:
        raise ProtocolError(f"decisions.{name} has {len(values)} values for {rows} rows of {width}")
    array: Array = np.fromiter(values, dtype=kind, count=len(values))
    array.setflags(write=False)
    return array if width == 1 else array.reshape(rows, width)


def _distribute(
    messages: Iterable[decisions_pb2.TrackEvent], frames: Sequence[int], notices: Iterable[Notice]
) -> dict[int | None, list[TrackEvent]]:
    """Events by the frame that brought them about; None: the end of the stream did.

    That is the event's own frame, or, where that was answered before, the first after it. Tracks that a reset ended did so at their last frame
    before it; what brought it about is the frame that reset the stream. What people decide comes with whatever frame is answered next.
    """
    resets = [notice.frame_index for notice in notices if notice.frame_index is not None and notice.code in _RESETS]
    out: dict[int | None, list[TrackEvent]] = defaultdict(list)
    for message in messages:
        event = _event(message)
        if event.reason is EventReason.STREAM_ENDED:
            frame = None
        elif event.type is EventType.REVIEWED:
            frame = _at(frames, 0)
        elif event.reason is EventReason.RESET:
            frame = _at(resets, bisect_right(resets, event.frame_index))
        else:
            frame = _at(frames, bisect_left(frames, event.frame_index))
        out[frame].append(event)
    return out


def _at(frames: Sequence[int], position: int) -> int | None:
    return frames[position] if position < len(frames) else None


def _event(message: decisions_pb2.TrackEvent) -> TrackEvent:
    why = message.why
    return TrackEvent(
        type=_named(EventType, message.type),
        track_id=message.track_id,
        class_id=message.class_id,
        frame_index=message.frame_index,
        first_frame=message.first_frame,
        from_verdict=_named(Verdict, message.from_verdict),
        to_verdict=_named(Verdict, message.to_verdict),
        reason=_named(EventReason, message.reason),
        retroactive_from=message.retroactive_from if message.HasField("retroactive_from") else None,
        why=Why(
            probability=why.probability,
            lower=why.lower,
            upper=why.upper,
            threshold=why.threshold,
            hits=why.hits,
            misses=why.misses,
            evidence_fast=why.evidence_fast,
            evidence_slow=why.evidence_slow,
            score=why.score,
            policy_version=why.policy_version,
        ),
        decided_by=_named(DecidedBy, message.decided_by) or DecidedBy.MACHINE,
        case_id=message.case_id,
        correction=message.correction,
    )


def _notices(messages: Iterable[decisions_pb2.Notice], sent: Sequence[EncodedFrame]) -> list[Notice]:
    before = dict(
        zip((frame.index for frame in sent), accumulate((frame.count for frame in sent), initial=0), strict=False)
    )
    return [
        Notice(
            code=_named(NoticeCode, message.code),
            frame_index=message.frame_index if message.HasField("frame_index") else None,
            field=_in_frame(message.field, before[message.frame_index])
            if message.frame_index in before
            else message.field,
            message=message.message,
            refused_frames=message.refused_frames,
        )
        for message in messages
    ]


def _in_frame(path: str, before: int) -> str:
    """A path in a message as one in the frame it means, of which the caller knows: `before` detections of other frames precede it."""
    match = _PATH.fullmatch(path)
    if match is None:
        return path
    field, number = match.groups()
    if field in _FRAME_FIELDS:
        return _FRAME_FIELDS[field]
    if number is None:
        return field
    if field == "boxes":
        row, column = divmod(int(number) - 4 * before, 4)
        return f"boxes[{row}, {column}]"
    return f"{field}[{int(number) - before}]"


def _named(kind: type[_Named], number: int) -> _Named:
    """A number of a newer server that this client has no name for is UNSPECIFIED: it must not stop a stream."""
    try:
        return kind(number)
    except ValueError:
        return kind(0)
