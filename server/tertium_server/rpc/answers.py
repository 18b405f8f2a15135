"""Answers: decision columns and events as the bytes of a DecideResponse.

Decisions are written by kernels (rpc/codec), array by array, straight from the engine's buffers. All else is rare and goes through the twin. Since
a message's fields may be serialized apart and put behind one another, both give one message; tests hold that it is, byte for byte, what protobuf
itself would write.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tertium.v1 import decision_service_pb2, decisions_pb2, stream_pb2
from tertium_server.engine import DecisionColumns
from tertium_server.rpc.codec.letterhead import Letterhead
from tertium_server.rpc.desk import Desk
from tertium_server.rpc.track_ids import TrackIds
from tertium_server.rpc.twin import twin_class

_ABSENT = -1

# Any: classes made at run time.
_RESPONSE: Any = twin_class("DecideResponse")
_BATCH_RESPONSE: Any = twin_class("DecideBatchResponse")
_EVENT: Any = twin_class("TrackEvent")
_WHY: Any = twin_class("Why")


class Answerer:
    """Writes the answers of one stream: which arrays it wants, whose tracks they are, which policy judged."""

    __slots__ = ("_ids", "_version", "letterhead")

    def __init__(
        self,
        ids: TrackIds,
        policy_version: str,
        detections: int,
        most_frames: int,
        *,
        include_boxes: bool,
        include_tracks: bool,
        include_coasted: bool,
    ) -> None:
        self._ids = ids
        self._version = policy_version
        self.letterhead = Letterhead(
            ids,
            policy_version,
            detections,
            most_frames,
            include_boxes=include_boxes,
            include_tracks=include_tracks,
            include_coasted=include_coasted,
        )
        """The same for the kernels."""

    def stamp(self, policy_version: str) -> None:
        """Names the policy that judges from now on."""
        self._version = policy_version
        self.letterhead.stamp(policy_version)

    def wire_id(self, track: int) -> int:
        """The id on the wire of one of the engine's tracks."""
        return int(self._ids.to_wire(np.array([track], np.int64), self.letterhead.detections)[0])

    def track(self, wire_id: int) -> int | None:
        """The engine's id of a track; None: it is of another stream or epoch."""
        return self._ids.to_ordinal(wire_id, self.letterhead.detections)

    def write_decisions(self, desk: Desk, decisions: DecisionColumns) -> bytes:
        """The field ``decisions`` of a response, with all arrays that the caller wants. Arrays without elements are left out, as protobuf does."""
        self.letterhead.detections += decisions.detections
        if self.letterhead.detections <= self._ids.most_plain:
            return desk.write_decisions(self.letterhead)
        ordinals = np.concatenate([decisions.track_ids, decisions.coasted_track_ids])
        with self.letterhead.ready(self._ids.to_wire(ordinals, self.letterhead.detections)):
            return desk.write_decisions(self.letterhead)

    def write_events(self, response: Any, decisions: DecisionColumns) -> None:  # noqa: ANN401 - a twin
        """Adds the track events, in order."""
        events = decisions.events
        ids = self._ids.to_wire(events["track_id"], self.letterhead.detections).tolist()
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
        self.add_events(answerer, decisions)

    def add_events(self, answerer: Answerer, decisions: DecisionColumns) -> None:
        """Adds events alone."""
        if decisions.event_count:
            answerer.write_events(self._others(), decisions)

    def add_opened(self, opened: stream_pb2.Opened) -> None:
        """Says what the stream was opened with."""
        self._opened = decision_service_pb2.DecideResponse(opened=opened).SerializeToString()

    def add_notice(self, notice: decisions_pb2.Notice) -> None:
        """Adds a notice."""
        self._others().notices.add().MergeFromString(notice.SerializeToString())

    def add_waiting(self, frames: int) -> None:
        """Says how many frames are not decided yet. DecideBatch leaves none undecided."""
        if frames and self._kind is _RESPONSE:
            self._others().frames_waiting = frames

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
