"""Answers: decision columns and events as the bytes of a DecideResponse.

Decisions are written by hand, array by array, straight from the engine's buffers: a header and a slice for each. All else is rare and goes
through the twin. Since a message's fields may be serialized apart and put behind one another, both give one message; tests hold that it is, byte for
byte, what protobuf itself would write.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from tertium.v1 import decision_service_pb2, decisions_pb2, stream_pb2
from tertium_server.engine import DecisionColumns
from tertium_server.rpc.desk import Desk
from tertium_server.rpc.track_ids import TrackIds
from tertium_server.rpc.twin import twin_class

_ABSENT = -1
_LENGTH_DELIMITED = 2
_CONTINUED = 0x80  # in a varint: more bytes follow
_Decisions = decisions_pb2.Decisions
_FRAME_INDICES = _Decisions.FRAME_INDICES_FIELD_NUMBER
_DETECTION_COUNTS = _Decisions.DETECTION_COUNTS_FIELD_NUMBER
_TRACK_IDS = _Decisions.TRACK_IDS_FIELD_NUMBER
_PROBABILITIES = _Decisions.PROBABILITIES_FIELD_NUMBER
_VERDICTS = _Decisions.VERDICTS_FIELD_NUMBER
_BOXES = _Decisions.BOXES_FIELD_NUMBER
_TRACK_PROBABILITIES = _Decisions.TRACK_PROBABILITIES_FIELD_NUMBER
_TRACK_LOWER = _Decisions.TRACK_LOWER_FIELD_NUMBER
_TRACK_UPPER = _Decisions.TRACK_UPPER_FIELD_NUMBER
_TRACK_VERDICTS = _Decisions.TRACK_VERDICTS_FIELD_NUMBER
_COASTED_COUNTS = _Decisions.COASTED_COUNTS_FIELD_NUMBER
_COASTED_TRACK_IDS = _Decisions.COASTED_TRACK_IDS_FIELD_NUMBER
_COASTED_BOXES = _Decisions.COASTED_BOXES_FIELD_NUMBER
_COASTED_PROBABILITIES = _Decisions.COASTED_PROBABILITIES_FIELD_NUMBER
_COASTED_VERDICTS = _Decisions.COASTED_VERDICTS_FIELD_NUMBER
_DECISIONS = decision_service_pb2.DecideResponse.DECISIONS_FIELD_NUMBER

# Any: classes made at run time.
_RESPONSE: Any = twin_class("DecideResponse")
_BATCH_RESPONSE: Any = twin_class("DecideBatchResponse")
_EVENT: Any = twin_class("TrackEvent")
_WHY: Any = twin_class("Why")


def _varint(number: int) -> bytes:
    out = bytearray()
    while number >= _CONTINUED:
        out.append(number & (_CONTINUED - 1) | _CONTINUED)
        number >>= 7
    out.append(number)
    return bytes(out)


@lru_cache(4096)
def _header(number: int, length: int) -> bytes:
    """What goes before a field of bytes. Lengths repeat from frame to frame."""
    return _varint(number << 3 | _LENGTH_DELIMITED) + _varint(length)


class Answerer:
    """Writes the answers of one stream: which arrays it wants, whose tracks they are, which policy judged."""

    __slots__ = ("_boxes", "_coasted", "_ids", "_tracks", "_version", "_version_field", "detections")

    def __init__(
        self,
        ids: TrackIds,
        policy_version: str,
        detections: int,
        *,
        include_boxes: bool,
        include_tracks: bool,
        include_coasted: bool,
    ) -> None:
        self._ids = ids
        self._version = policy_version
        self._version_field = decisions_pb2.Decisions(policy_version=policy_version).SerializeToString()
        self._boxes = include_boxes
        self._tracks = include_tracks
        self._coasted = include_coasted
        self.detections = detections
        """Detections taken in this epoch: no more tracks can have been started."""

    def write_decisions(self, desk: Desk, decisions: DecisionColumns) -> bytes:
        """The field ``decisions`` of a response, with all arrays that the caller wants. Arrays without elements are left out, as protobuf does."""
        frames, detections = decisions.frames, decisions.detections
        self.detections += detections
        source = desk.output_bytes()
        parts: list[Any] = [_header(_FRAME_INDICES, 8 * frames), source.frame_indices[: 8 * frames]]
        parts += (_header(_DETECTION_COUNTS, 4 * frames), source.counts[: 4 * frames])
        if detections:
            ids = self._ids.to_wire(desk.workspace.outputs.track_ids[:detections], self.detections)
            parts += (_header(_TRACK_IDS, 8 * detections), ids)
            parts += (_header(_PROBABILITIES, 4 * detections), source.values[: 4 * detections])
            parts += (_header(_VERDICTS, detections), source.verdicts[:detections])
        parts.append(self._version_field)
        if detections and self._boxes:
            parts += (_header(_BOXES, 16 * detections), source.boxes[: 16 * detections])
        if detections and self._tracks:
            for number, row in ((_TRACK_PROBABILITIES, 1), (_TRACK_LOWER, 2), (_TRACK_UPPER, 3)):
                start = row * source.values_row
                parts += (_header(number, 4 * detections), source.values[start : start + 4 * detections])
            start = source.verdicts_row
            parts += (_header(_TRACK_VERDICTS, detections), source.verdicts[start : start + detections])
        if self._coasted:
            self._write_coasted(parts, desk, frames, decisions.coasted)
        body = b"".join(parts)
        return _header(_DECISIONS, len(body)) + body

    def _write_coasted(self, parts: list[Any], desk: Desk, frames: int, coasted: int) -> None:
        source = desk.output_bytes()
        parts += (_header(_COASTED_COUNTS, 4 * frames), source.coasted_counts[: 4 * frames])
        if coasted:
            ids = self._ids.to_wire(desk.workspace.outputs.coasted_track_ids[:coasted], self.detections)
            parts += (_header(_COASTED_TRACK_IDS, 8 * coasted), ids)
            parts += (_header(_COASTED_BOXES, 16 * coasted), source.coasted_boxes[: 16 * coasted])
            parts += (_header(_COASTED_PROBABILITIES, 4 * coasted), source.coasted_values[: 4 * coasted])
            parts += (_header(_COASTED_VERDICTS, coasted), source.coasted_verdicts[:coasted])

    def write_events(self, response: Any, decisions: DecisionColumns) -> None:  # noqa: ANN401 - a twin
        """Adds the track events, in order."""
        events = decisions.events
        ids = self._ids.to_wire(events["track_id"], self.detections).tolist()
        response.events.extend(self._event(event, track_id) for event, track_id in zip(events, ids, strict=True))

    def _event(self, event: Any, track_id: int) -> Any:  # noqa: ANN401 - a record in, a twin out
        message = _EVENT(
            type=int(event["type"]),
            track_id=track_id,
            class_id=int(event["class_id"]),
            frame_index=int(event["frame_index"]),
            first_frame=int(event["first_frame"]),
            from_verdict=int(event["from_verdict"]),
            to_verdict=int(event["to_verdict"]),
            reason=int(event["reason"]),
            why=_WHY(
                probability=event["probability"],
                lower=event["lower"],
                upper=event["upper"],
                threshold=event["threshold"],
                hits=int(event["hits"]),
                misses=int(event["misses"]),
                evidence_fast=event["evidence_fast"],
                evidence_slow=event["evidence_slow"],
                score=event["score"],
                policy_version=self._version,
            ),
        )
        if event["retroactive_from"] != _ABSENT:
            message.retroactive_from = int(event["retroactive_from"])
        return message


class Answer:
    """One response on its way: parts are added to it. Made for Decide or for DecideBatch."""

    __slots__ = ("_decisions", "_kind", "_opened", "_rest")

    def __init__(self, *, batch: bool = False) -> None:
        self._kind = _BATCH_RESPONSE if batch else _RESPONSE
        self._opened = b""
        self._decisions = b""
        self._rest: Any = None  # most answers hold decisions alone

    def add(self, answerer: Answerer, desk: Desk, decisions: DecisionColumns) -> None:
        """Adds decisions and events."""
        if decisions.frames:
            self._decisions += answerer.write_decisions(desk, decisions)
        if len(decisions.events):
            answerer.write_events(self._others(), decisions)

    def add_opened(self, opened: stream_pb2.Opened) -> None:
        """Says what the stream was opened with."""
        self._opened = decision_service_pb2.DecideResponse(opened=opened).SerializeToString()

    def add_notice(self, notice: decisions_pb2.Notice) -> None:
        """Adds a notice."""
        self._others().notices.add().MergeFromString(notice.SerializeToString())

    def add_checkpoint(self, state: bytes, last_frame: int | None) -> None:
        """Adds the stream's state after all of this."""
        checkpoint = self._others().checkpoint
        checkpoint.state = state
        if last_frame is not None:
            checkpoint.last_frame = last_frame

    def to_bytes(self) -> bytes:
        """The response on the wire, its fields in order."""
        if self._rest is None:
            return self._opened + self._decisions
        rest: bytes = self._rest.SerializeToString()
        return self._opened + self._decisions + rest

    def _others(self) -> Any:  # noqa: ANN401 - a twin
        if self._rest is None:
            self._rest = self._kind()
        return self._rest
