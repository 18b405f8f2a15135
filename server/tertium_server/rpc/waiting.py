"""Frames that are answered later, by a policy's decision lag: what review and the ledger are shown beside an answer are its own frames."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from tertium_server.engine import DecisionColumns, FrameColumns, FrameStatus


class WaitingFrames:
    """The frames of one stream between being taken and being answered, in order."""

    __slots__ = ("_frames",)

    def __init__(self) -> None:
        self._frames: deque[FrameColumns] = deque()

    def __len__(self) -> int:
        return len(self._frames)

    def add(self, frames: FrameColumns, decisions: DecisionColumns) -> None:
        """Keeps those of a message's frames that were taken."""
        if decisions.error:
            return
        ends = np.cumsum(frames.counts, dtype=np.int64).tolist()
        for place in np.flatnonzero(decisions.status == FrameStatus.TAKEN).tolist():
            self._frames.append(_one(frames, place, ends[place] - int(frames.counts[place]), ends[place]))

    def take(self, answered: NDArray[np.int64], last_judged: int | None) -> FrameColumns | None:
        """The frames of these indices; lets go of all that were judged. None: nothing is answered."""
        wanted, taken = set(answered.tolist()), list[FrameColumns]()
        while self._frames and last_judged is not None and int(self._frames[0].indices[0]) <= last_judged:
            frame = self._frames.popleft()
            if int(frame.indices[0]) in wanted:
                taken.append(frame)
        return FrameColumns.join(taken) if taken else None


def _one(frames: FrameColumns, place: int, first: int, last: int) -> FrameColumns:
    """A frame by itself: copies, for a message's memory is large, and a frame may wait for long."""
    own, rows = slice(place, place + 1), slice(first, last)
    return FrameColumns.of(
        frames.indices[own].copy(),
        frames.times[own].copy(),
        frames.counts[own].copy(),
        frames.boxes[rows].copy(),
        frames.scores[rows].copy(),
        frames.class_ids[rows].copy(),
        frames.track_ids[rows].copy(),
    )
