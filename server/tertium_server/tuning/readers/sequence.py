"""The value that every reader gives: one recorded sequence of detections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

NANOSECONDS = 1_000_000_000

LONGEST_PAUSE = 3600 * NANOSECONDS
"""Between two frames that a camera sends, in nanoseconds: of a longer one this much counts as recorded."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sequence:
    """Detections of one camera or video: N in the order of the file, over `length` frames with and without any."""

    name: str
    """The name it goes by: the folder's (mot) or the file's (kitti)."""

    fps: float
    """Frames per second, above 0 and up to 1000."""

    frame_size: tuple[int, int] = (0, 0)
    """Width and height in pixels; 0 where unknown."""

    first_frame: int
    """The number of the first frame: 1 (mot) or 0 (kitti)."""

    length: int
    """How many frames there are, with and without detections."""

    class_names: Mapping[int, str]
    """Names by class id. May name classes that do not occur here, where other sequences of the same set hold them."""

    frames: NDArray[np.int64]
    """(N,) frame numbers, first_frame to first_frame + length - 1, in any order."""

    boxes: NDArray[np.float32]
    """(N, 4) corners x1, y1, x2, y2 in pixels; x1 < x2 and y1 < y2. What the engine is given."""

    xywh: NDArray[np.float64]
    """(N, 4) left, top, width and height in pixels, as the file says."""

    scores: NDArray[np.float64]
    """(N,) scores as the file says: 0 to 1, or finite log-odds where `logits` is set."""

    class_ids: NDArray[np.uint32]
    """(N,) keys of class_names."""

    track_ids: NDArray[np.int64]
    """(N,) the file's own track ids on the format's numbering; -1 where a detection is not tracked."""

    first_track: int = 1
    """The format's smallest track id: 1 (mot) or 0 (kitti)."""

    rows: NDArray[np.int64]
    """(N,) the row of the file each detection comes from, from 1."""

    source: Path
    """The file the detections come from, or the folder where they are in several."""

    times: NDArray[np.int64] | None = None
    """(length,) capture times of the frames in nanoseconds since the first, where they are not one 1 / fps after another."""

    indices: NDArray[np.int64] | None = None
    """(length,) numbers of the frames as the camera counts them, increasing, where they are not first_frame and following."""

    estimated_fps: bool = False
    """Nobody said at how many frames a second it was recorded: `fps` was made from `times`."""

    logits: bool = False
    """Whether scores are log-odds."""

    warnings: tuple[str, ...] = field(default=())
    """What the reader took in spite of doubts, in words that name the file."""

    def __len__(self) -> int:
        return len(self.frames)

    def capture_times(self) -> NDArray[np.int64]:
        """(length,) nanoseconds since the first frame, rounded: the same whichever way the sequence is replayed."""
        if self.times is not None:
            return self.times
        times: NDArray[Any] = np.rint(np.arange(self.length, dtype=np.float64) * (NANOSECONDS / self.fps))
        return times.astype(np.int64)

    @property
    def seconds(self) -> float:
        """How long it was recorded, by the times of its frames. Clocks that were set, back or by more than LONGEST_PAUSE, are not believed."""
        if self.times is None:
            return self.length / self.fps
        steps = np.clip(np.diff(self.times), 0, LONGEST_PAUSE)
        return (float(steps.sum()) / NANOSECONDS + 1.0 / self.fps) if self.length else 0.0

    @property
    def nominal_fps(self) -> float:
        """What a camera would open its stream with; 0: it does not know."""
        return 0.0 if self.estimated_fps else self.fps

    def frame_indices(self) -> NDArray[np.int64]:
        """(length,) numbers of the frames as the camera counts them."""
        if self.indices is not None:
            return self.indices
        return np.arange(self.first_frame, self.first_frame + self.length, dtype=np.int64)

    def by_frame(self) -> FrameOrder:
        """How the detections lie when they are put in order of frames."""
        position = self.frames - self.first_frame
        order: NDArray[np.int64] = np.argsort(position, kind="stable").astype(np.int64)
        counts = np.bincount(position, minlength=self.length).astype(np.int64)
        starts = np.concatenate(([0], np.cumsum(counts)))[:-1]
        ordinals = np.empty(len(self), np.int64)
        ordinals[order] = np.arange(len(self)) - np.repeat(starts, counts)
        return FrameOrder(order, counts, ordinals)


@dataclass(frozen=True, slots=True, eq=False)
class FrameOrder:
    """The stable permutation from a file's order to the order of frames."""

    order: NDArray[np.int64]
    """(N,) indices in the file's order, sorted by frame; within a frame the file's order is kept."""

    counts: NDArray[np.int64]
    """(length,) number of detections of each frame."""

    ordinals: NDArray[np.int64]
    """(N,) for each detection in the file's order: its place among those of its frame, from 0."""
