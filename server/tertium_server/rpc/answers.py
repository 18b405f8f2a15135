"""Answers: decision columns and events as the bytes of a DecideResponse.

Decisions and events are written by kernels (rpc/codec), straight from the engine's buffers. All else is rare and goes through the twin. Since a
message's fields may be serialized apart and put behind one another, both give one message; tests hold that it is, byte for byte, what protobuf
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

# Any: classes made at run time.
_RESPONSE: Any = twin_class("DecideResponse")
_BATCH_RESPONSE: Any = twin_class("DecideBatchResponse")


class Answerer:
    """Writes the answers of one stream: which arrays it wants, whose tracks they are, which policy judged."""

    __slots__ = ("ids", "letterhead", "version")

    def __init__(
        self,
        ids: TrackIds,
        policy_version: str,
        detections: int,
        most_frames: int,
        most_work: int,
        *,
        include_boxes: bool,
        include_tracks: bool,
        include_coasted: bool,
    ) -> None:
        self.ids = ids
        """Makes ids for the wire."""
        self.version = policy_version
        """The policy that judges."""
        self.letterhead = Letterhead(
            ids,
            policy_version,
            detections,
            most_frames,
            most_work,
            include_boxes=include_boxes,
            include_tracks=include_tracks,
            include_coasted=include_coasted,
        )
        """The same for the kernels."""

    def stamp(self, policy_version: str) -> None:
        """Names the policy that judges from now on."""
        self.version = policy_version
        self.letterhead.stamp(policy_version)

    def wire_id(self, track: int) -> int:
        """The id on the wire of one of the engine's tracks."""
        return int(self.ids.to_wire(np.array([track], np.int64), self.letterhead.detections)[0])

    def track(self, wire_id: int) -> int | None:
        """The engine's id of a track; None: it is of another stream or epoch."""
        return self.ids.to_ordinal(wire_id, self.letterhead.detections)

    def write(self, desk: Desk, decisions: DecisionColumns) -> bytes:
        """Decisions, with all arrays that the caller wants, and events. Arrays without elements are left out, as protobuf does."""
        self.letterhead.detections += decisions.detections
        if self.letterhead.detections <= self.ids.most_plain:
            return desk.write_answer(self.letterhead)
        ordinals = np.concatenate([decisions.track_ids, decisions.coasted_track_ids, decisions.events["track_id"]])
        with self.letterhead.ready(self.ids.to_wire(ordinals, self.letterhead.detections)):
            return desk.write_answer(self.letterhead)


class Answer:
    """One response on its way: parts are added to it. Made for Decide or for DecideBatch."""

    __slots__ = ("_decided", "_kind", "_opened", "_rest")

    def __init__(self, *, batch: bool = False) -> None:
        self._kind = _BATCH_RESPONSE if batch else _RESPONSE
        self._opened = b""
        self._decided = b""
        self._rest: Any = None  # most answers hold decisions alone

    def add(self, answerer: Answerer, desk: Desk, decisions: DecisionColumns) -> None:
        """Adds decisions and events."""
        self._decided = _joined(self._decided, answerer.write(desk, decisions))

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
            return self._opened + self._decided
        rest: bytes = self._rest.SerializeToString()
        return self._opened + self._decided + rest

    def _others(self) -> Any:  # noqa: ANN401 - a twin
        if self._rest is None:
            self._rest = self._kind()
        return self._rest


def _joined(before: bytes, more: bytes) -> bytes:
    """Decisions and events, and others behind them, in one piece: a batch whose policy has a decision lag is judged in two parts.

    Behind one another they would be the same to protobuf's own classes, but not to the twin, which has an array for bytes and keeps the last.
    """
    if not before or not more:
        return before or more
    return decision_service_pb2.DecideResponse.FromString(before + more).SerializeToString()
