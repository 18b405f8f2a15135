"""A recorded sequence as frames on their way to an engine: in process or over the wire, the same numbers either way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .readers import Sequence

UNTRACKED = 0
"""What the engine and the wire call a detection without a track."""


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """F frames with N detections in all, as parallel arrays: frame k owns counts[k] detections after those before it."""

    indices: NDArray[np.int64]
    """(F,) the file's frame numbers."""

    times: NDArray[np.int64]
    """(F,) capture times in nanoseconds since the sequence's first frame."""

    counts: NDArray[np.uint32]
    """(F,) detections of each frame; most may be 0."""

    boxes: NDArray[np.float32]
    """(N, 4) corners x1, y1, x2, y2 in pixels."""

    scores: NDArray[np.float32]
    """(N,) scores."""

    class_ids: NDArray[np.uint32]
    """(N,) class ids."""

    track_ids: NDArray[np.int64]
    """(N,) the caller's tracks from 1, 0 for none; (0,) where the engine tracks."""

    def __len__(self) -> int:
        return len(self.indices)

    def split(self, batch: int) -> Iterator[Frames]:
        """The same frames in pieces of `batch` (the last may be shorter): views, no copies."""
        ends = np.cumsum(self.counts, dtype=np.int64)
        for start in range(0, len(self), batch):
            stop = min(start + batch, len(self))
            first = int(ends[start - 1]) if start else 0
            last = int(ends[stop - 1])
            yield Frames(
                self.indices[start:stop],
                self.times[start:stop],
                self.counts[start:stop],
                self.boxes[first:last],
                self.scores[first:last],
                self.class_ids[first:last],
                self.track_ids[first:last],
            )


def frames_of(
    sequence: Sequence, order: NDArray[np.int64], counts: NDArray[np.int64], *, client_tracks: bool
) -> Frames:
    """All frames of a sequence, empty ones too; `order` and `counts` are those of `Sequence.by_frame`."""
    frames = Frames(
        indices=sequence.frame_indices(),
        times=sequence.capture_times(),
        counts=counts.astype(np.uint32),
        boxes=sequence.boxes[order],
        scores=sequence.scores[order].astype(np.float32),
        class_ids=sequence.class_ids[order],
        track_ids=to_wire(sequence)[order] if client_tracks else np.empty(0, np.int64),
    )
    for array in (
        frames.indices,
        frames.times,
        frames.counts,
        frames.boxes,
        frames.scores,
        frames.class_ids,
        frames.track_ids,
    ):
        array.flags.writeable = False  # the engine's kernels are compiled for arrays that nobody changes
    return frames


def to_wire(sequence: Sequence) -> NDArray[np.int64]:
    """(N,) the file's track ids on the wire's numbering, where 0 means "not tracked" and tracks start at 1."""
    shifted = sequence.track_ids + (1 - sequence.first_track)
    return np.where(sequence.track_ids < 0, UNTRACKED, shifted).astype(np.int64)


def from_wire(sequence: Sequence, track_ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """The reverse: ids as the file numbers them, -1 for a detection that is not tracked."""
    return np.where(track_ids == UNTRACKED, -1, track_ids - (1 - sequence.first_track)).astype(np.int64)
