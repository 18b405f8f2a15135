"""Recordings of what a client sends: see docs/recording.md for the files."""

from __future__ import annotations

import os
import struct
from pathlib import Path

from tertium.recording import FrameArrays, Opening, Recorder, StreamRecorder
from tertium.v1 import stream_pb2
from tertium_client._encode import EncodedFrame
from tertium_client._settings import StreamSettings
from tertium_client.errors import InvalidSettingsError

Record = str | os.PathLike[str] | Recorder
"""Where to record: a folder, or a recorder that is the caller's own."""


class ClientRecording:
    """Where a client records to, if it does."""

    def __init__(self, record: Record | None) -> None:
        self._owned: Recorder | None = None
        if record is None or isinstance(record, Recorder):
            self.recorder = record
            return
        try:
            self.recorder = self._owned = Recorder(Path(record))
        except OSError as error:
            raise InvalidSettingsError(
                "record", f"{os.fspath(record)} can't be written to: {error.strerror}"
            ) from error

    def close(self) -> None:
        """Writes what is pending. A recorder of the caller's own stays open."""
        if self._owned is not None:
            self._owned.close()


def begin_recording(recorder: Recorder, settings: StreamSettings, opened: stream_pb2.Opened) -> StreamRecorder:
    """The recording of a stream that the server has opened."""
    width, height = settings.frame_size
    return recorder.open(
        Opening(
            stream_id=settings.stream_id,
            epoch=opened.epoch,
            class_names=dict(settings.class_names),
            group=settings.group or "default",
            frame_width=width,
            frame_height=height,
            nominal_fps=settings.nominal_fps,
            client_tracks=settings.client_tracks,
            logits=settings.logits,
            max_detections=opened.max_detections_per_frame,
            recorded_by="client",
        )
    )


def recorded(frame: EncodedFrame) -> FrameArrays:
    """A frame as recordings hold it: the bytes of its arrays are those of the wire."""
    return FrameArrays(
        indices=struct.pack("<q", frame.index),
        times=b"" if frame.time is None else struct.pack("<q", frame.time),
        counts=struct.pack("<I", frame.count),
        boxes=frame.boxes,
        scores=frame.scores or b"",
        class_ids=frame.class_ids or b"",
        track_ids=frame.track_ids or b"",
    )
