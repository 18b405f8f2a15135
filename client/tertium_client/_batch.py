"""Frames in, decisions and the next state out, for callers that can hold no stream."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Unpack

from google.protobuf.message import DecodeError

from tertium.v1 import decision_service_pb2, stream_pb2
from tertium_client import _decode
from tertium_client._encode import EncodedFrame, Frame, FrameEncoder, frames_message, same_form
from tertium_client._settings import StreamOptions, StreamSettings
from tertium_client._wire import delimited, flag
from tertium_client.errors import InvalidFrameError, InvalidSettingsError, ProtocolError
from tertium_client.values import Answer

_OPEN, _FRAMES, _END_OF_STREAM = 1, 2, 3  # fields of DecideBatchRequest


@dataclass(frozen=True, slots=True)
class BatchState:
    """A stream between two calls of decide_batch. A value: the same state and frames give the same answer, as often as they are sent."""

    settings: StreamSettings
    """What the stream is called and what its numbers mean."""
    epoch: int = 0
    """Which run of the stream this is; 0: not decided yet."""
    checkpoint: bytes = b""
    """The server's state after the last frame."""
    last_frame: int | None = None
    """The last frame sent."""

    @classmethod
    def start(cls, stream_id: str, **options: Unpack[StreamOptions]) -> BatchState:
        """The state of a stream of which no frame was sent; its settings are those of open()."""
        settings = StreamSettings(stream_id=stream_id, **options)
        return cls(settings, settings.epoch)

    def to_bytes(self) -> bytes:
        """The state for storing between two calls, in other processes too."""
        return self.message().SerializeToString()

    @classmethod
    def from_bytes(cls, data: bytes) -> BatchState:
        """The state that was stored.

        Raises:
            InvalidSettingsError: these bytes are no state.
        """
        try:
            message = stream_pb2.Open.FromString(data)
        except DecodeError as error:
            raise InvalidSettingsError("state", f"no state of a batch: {error}") from error
        last = message.last_answered_frame if message.HasField("last_answered_frame") else None
        return cls(StreamSettings.of_message(message), message.epoch, message.checkpoint, last)

    def message(self) -> stream_pb2.Open:
        """The state as part of a request."""
        return self.settings.message(epoch=self.epoch, checkpoint=self.checkpoint, last_answered=self.last_frame)


@dataclass(frozen=True, slots=True, eq=False)
class BatchResult:
    """What came of a call of decide_batch."""

    answers: tuple[Answer, ...]
    """One for each frame, in order; then, where there is something that belongs to no frame, one without a frame."""
    state: BatchState | None
    """The state to give to the next call; None after the end of the stream."""


@dataclass(frozen=True, slots=True, eq=False)
class BatchCall:
    """One call: the request, and how its response is read."""

    state: BatchState
    frames: Sequence[EncodedFrame]
    end_of_stream: bool

    @classmethod
    def of(cls, state: BatchState, frames: Iterable[Frame], *, end_of_stream: bool) -> BatchCall:
        """Checks and encodes the frames.

        Raises:
            InvalidFrameError: a frame does not fit the stream, or the frames do not fit together.
        """
        encoder = FrameEncoder(state.settings)
        encoded: list[EncodedFrame] = []
        last = -1 if state.last_frame is None else state.last_frame
        for frame in frames:
            index = last + 1 if frame.frame_index is None else frame.frame_index
            if index <= last:
                raise InvalidFrameError(
                    "frame_index", f"{index} does not come after {last}: indices of a stream have to grow"
                )
            encoded.append(encoder.encode(frame, index=index, most_detections=0))
            last = index
        if not same_form(encoded):
            raise InvalidFrameError(
                "frames",
                "some have scores, class_ids or track_ids and some have not: give them with all frames of a batch or none",
            )
        return cls(state, encoded, end_of_stream)

    def request(self) -> bytes:
        """The bytes of the DecideBatchRequest."""
        parts = [
            delimited(_OPEN, self.state.to_bytes()),
            delimited(_FRAMES, frames_message(self.frames) if self.frames else b""),
        ]
        if self.end_of_stream:
            parts.append(flag(_END_OF_STREAM))
        return b"".join(parts)

    def result(self, response: decision_service_pb2.DecideBatchResponse) -> BatchResult:
        """The answers and the next state.

        Raises:
            ProtocolError: the response breaks the contract.
        """
        answers = _decode.answers(response, [frame.index for frame in self.frames], self.state.settings, self.frames)
        if self.end_of_stream:
            return BatchResult(tuple(answers), None)
        if not response.checkpoint.state:
            raise ProtocolError("the response to a batch has no checkpoint")
        last = self.frames[-1].index if self.frames else self.state.last_frame
        return BatchResult(
            tuple(answers), BatchState(self.state.settings, response.opened.epoch, response.checkpoint.state, last)
        )
