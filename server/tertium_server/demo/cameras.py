"""The cameras of the demo: recordings that ship with the project."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

from tertium_server.tuning.frames import Frames, frames_of
from tertium_server.tuning.readers import Options, Sequence, read_detections


@dataclass(frozen=True, slots=True, eq=False)
class Camera:
    """One camera."""

    name: str
    """What people call it."""

    group: str
    """What metrics call it."""

    class_name: str
    """What it looks for."""

    sequence: Sequence
    """What its detector saw."""

    def frames(self) -> Frames:
        """The recording in order."""
        order = self.sequence.by_frame()
        return frames_of(self.sequence, order.order, order.counts, client_tracks=False)


_CAMERAS = (
    ("Entrance", "entrance", "person", "one-by-one-person-detection"),
    ("Car park", "car-park", "car", "car-detection"),
)


def load_cameras(most_frames: int | None = None) -> tuple[Camera, ...]:
    """The cameras, their recordings cut to so many frames if wanted."""
    with resources.as_file(resources.files("tertium_server.demo") / "recordings") as folder:
        return tuple(
            Camera(name, group, class_name, _first(_read(folder / recording, class_name), most_frames))
            for name, group, class_name, recording in _CAMERAS
        )


def _read(folder: Path, class_name: str) -> Sequence:
    [sequence] = read_detections(folder, "mot", Options(class_name=class_name))
    return sequence


def _first(sequence: Sequence, most_frames: int | None) -> Sequence:
    if most_frames is None or most_frames >= sequence.length:
        return sequence
    kept = sequence.frames < sequence.first_frame + most_frames
    return replace(
        sequence,
        length=most_frames,
        frames=sequence.frames[kept],
        boxes=sequence.boxes[kept],
        xywh=sequence.xywh[kept],
        scores=sequence.scores[kept],
        class_ids=sequence.class_ids[kept],
        track_ids=sequence.track_ids[kept],
        rows=sequence.rows[kept],
    )
