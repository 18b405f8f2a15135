"""Answers: decision columns and events as the bytes of a DecideResponse."""

from __future__ import annotations

from typing import Any

from tertium.v1 import decisions_pb2, stream_pb2
from tertium_server.engine import DecisionColumns
from tertium_server.rpc.track_ids import TrackIds
from tertium_server.rpc.twin import TwinDecisions, twin_class

_ABSENT = -1

# Any: classes made at run time; TwinDecisions says what is in the part that matters.
_RESPONSE: Any = twin_class("DecideResponse")
_BATCH_RESPONSE: Any = twin_class("DecideBatchResponse")
_EVENT: Any = twin_class("TrackEvent")
_WHY: Any = twin_class("Why")


class Answerer:
    """Writes the answers of one stream: which arrays it wants, whose tracks they are, which policy judged."""

    __slots__ = ("_boxes", "_coasted", "_ids", "_tracks", "_version", "detections")

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
        self._boxes = include_boxes
        self._tracks = include_tracks
        self._coasted = include_coasted
        self.detections = detections
        """Detections taken in this epoch: no more tracks can have been started."""

    def write_decisions(self, target: TwinDecisions, decisions: DecisionColumns) -> None:
        """Writes all arrays of decisions that the caller wants."""
        ordinals = decisions.track_ids
        self.detections = bound = self.detections + len(ordinals)
        target.frame_indices = decisions.frame_indices.tobytes()
        target.detection_counts = decisions.counts.tobytes()
        target.track_ids = self._ids.to_wire(ordinals, bound).tobytes()
        target.probabilities = decisions.probabilities.tobytes()
        target.verdicts = decisions.verdicts.tobytes()
        target.policy_version = self._version
        if self._boxes:
            target.boxes = decisions.boxes.tobytes()
        if self._tracks:
            target.track_probabilities = decisions.track_probabilities.tobytes()
            target.track_lower = decisions.track_lower.tobytes()
            target.track_upper = decisions.track_upper.tobytes()
            target.track_verdicts = decisions.track_verdicts.tobytes()
        if self._coasted:
            target.coasted_counts = decisions.coasted_counts.tobytes()
            target.coasted_track_ids = self._ids.to_wire(decisions.coasted_track_ids, bound).tobytes()
            target.coasted_boxes = decisions.coasted_boxes.tobytes()
            target.coasted_probabilities = decisions.coasted_probabilities.tobytes()
            target.coasted_verdicts = decisions.coasted_verdicts.tobytes()

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
    """One response on its way: a twin that parts are added to. Made for Decide or for DecideBatch."""

    __slots__ = ("_message",)

    def __init__(self, *, batch: bool = False) -> None:
        self._message = _BATCH_RESPONSE() if batch else _RESPONSE()

    def add(self, answerer: Answerer, decisions: DecisionColumns) -> None:
        """Adds decisions and events."""
        if decisions.frames:
            answerer.write_decisions(self._message.decisions, decisions)
        if len(decisions.events):
            answerer.write_events(self._message, decisions)

    def add_opened(self, opened: stream_pb2.Opened) -> None:
        """Says what the stream was opened with."""
        self._message.opened.MergeFromString(opened.SerializeToString())

    def add_notice(self, notice: decisions_pb2.Notice) -> None:
        """Adds a notice."""
        self._message.notices.add().MergeFromString(notice.SerializeToString())

    def add_checkpoint(self, state: bytes, last_frame: int | None) -> None:
        """Adds the stream's state after all of this."""
        self._message.checkpoint.state = state
        if last_frame is not None:
            self._message.checkpoint.last_frame = last_frame

    def to_bytes(self) -> bytes:
        """The response on the wire."""
        data: bytes = self._message.SerializeToString()
        return data
