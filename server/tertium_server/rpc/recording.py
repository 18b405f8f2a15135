"""Recording what cameras send: beside the path of frames, where the server is told to (docs/recording.md)."""

from __future__ import annotations

from tertium.recording import FrameArrays, Opening, Recorder, StreamRecorder
from tertium_server.engine import FrameColumns, StreamSettings


def begin_recording(recorder: Recorder, stream_id: str, epoch: int, settings: StreamSettings) -> StreamRecorder:
    """The recording of a stream that has been opened."""
    return recorder.open(
        Opening(
            stream_id=stream_id,
            epoch=epoch,
            class_names=dict(settings.class_names),
            group=settings.group,
            frame_width=settings.frame_width,
            frame_height=settings.frame_height,
            nominal_fps=settings.nominal_fps,
            client_tracks=settings.client_tracks,
            logits=settings.logits,
            max_detections=settings.max_detections,
            recorded_by="server",
        )
    )


def record(recording: StreamRecorder, frames: FrameColumns) -> None:
    """Hands the frames of a message over to be written. The columns lie in the message's own memory, which nobody changes."""
    recording.write(
        FrameArrays(
            frames.indices,
            frames.times,
            frames.counts,
            frames.boxes,
            frames.scores,
            frames.class_ids,
            frames.track_ids,
        )
    )
