"""What all answers of a stream have in common, laid out for the kernels."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tertium_server.rpc.track_ids import TrackIds

(
    BASE, DETECTIONS, MOST_FRAMES, MOST_DETECTIONS, MOST_WORK, BOXES, TRACKS, COASTED, VERSION, VERSION_SIZE, READY_IDS,
) = range(11)  # fmt: skip
ENTRIES = 11


class Letterhead:
    """A stream's entries in ``entries`` (ENTRIES,) int64, by the places named above.

    BASE is added to ordinals to make ids for the wire; DETECTIONS counts those taken in this epoch. A message with more than MOST_FRAMES frames, or
    that would bring DETECTIONS over MOST_DETECTIONS, is declined; one of more than MOST_WORK comparisons is called heavy. BOXES, TRACKS and COASTED
    are 1 where the caller wants them, else 0. VERSION is the address of VERSION_SIZE bytes. READY_IDS is the address of ids that are ready for the
    wire, those of detections before those of coasted tracks, or 0.
    """

    __slots__ = ("_version", "entries")

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
        self.entries: NDArray[np.int64] = np.zeros(ENTRIES, np.int64)
        self.entries[BASE] = ids.base
        self.entries[DETECTIONS] = detections
        self.entries[MOST_FRAMES] = most_frames
        self.entries[MOST_DETECTIONS] = ids.most_plain
        self.entries[MOST_WORK] = most_work
        self.entries[BOXES] = include_boxes
        self.entries[TRACKS] = include_tracks
        self.entries[COASTED] = include_coasted
        self.stamp(policy_version)

    def stamp(self, policy_version: str) -> None:
        """Names the policy that judges from now on."""
        self._version = np.frombuffer(policy_version.encode(), np.uint8)  # held, for its address is
        self.entries[VERSION] = self._version.ctypes.data
        self.entries[VERSION_SIZE] = len(self._version)

    @contextmanager
    def ready(self, ids: NDArray[np.int64]) -> Generator[None]:
        """Has ids written as they are, in the body of a ``with``."""
        self.entries[READY_IDS] = ids.ctypes.data
        try:
            yield
        finally:
            self.entries[READY_IDS] = 0

    @property
    def detections(self) -> int:
        """Detections taken in this epoch: no more tracks can have been started."""
        return int(self.entries[DETECTIONS])

    @detections.setter
    def detections(self, number: int) -> None:
        self.entries[DETECTIONS] = number
