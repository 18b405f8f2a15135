"""What an engine said of a recorded sequence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tertium_server.errors import TertiumError

from .frames import from_wire
from .readers import FrameOrder, Sequence

ORDINAL = 0xFFFFFF
"""The bits of a track id on the wire that number the tracks of a stream, from 1."""

VERDICTS = ("", "NO", "MAYBE", "YES")
"""Names of verdicts by their numbers."""


class ReplayError(TertiumError):
    """A sequence can't be replayed. The message names the sequence, what is wrong, and the remedy."""

    def __init__(self, sequence: str, problem: str) -> None:
        super().__init__(f"sequence {sequence}: {problem}")
        self.sequence = sequence
        self.problem = problem

    def __reduce__(self) -> tuple[type[ReplayError], tuple[str, str]]:
        return type(self), (self.sequence, self.problem)


@dataclass(frozen=True, slots=True, eq=False)
class Decisions:
    """Decisions on the N detections of a sequence, in the order of its file."""

    sequence: Sequence
    """What was judged."""

    track_ids: NDArray[np.int64]
    """(N,) ordinals of tracks within the sequence, from 1; with the caller's tracks the file's ids, -1 for none."""

    probabilities: NDArray[np.float32]
    """(N,) 0 to 1: is this box right, here, now?"""

    verdicts: NDArray[np.uint8]
    """(N,) numbers of verdicts on the boxes."""

    track_probabilities: NDArray[np.float32]
    """(N,) 0 to 1: is the track a real object?"""

    track_verdicts: NDArray[np.uint8]
    """(N,) numbers of verdicts on the tracks."""

    policy_version: str
    """The version of the policy that judged."""

    resets: int = 0
    """How often the stream was reset on the way: a gap in time longer than the policy allows."""


class DecisionsBuilder:
    """Collects decisions as they come, frame by frame, and puts them into the order of the file."""

    def __init__(self, sequence: Sequence, order: FrameOrder, *, client_tracks: bool) -> None:
        count = len(sequence)
        self._sequence = sequence
        self._order = order.order
        self._client_tracks = client_tracks
        self._filled = 0
        self._track_ids = np.zeros(count, np.int64)
        self._probabilities = np.zeros((2, count), np.float32)
        self._verdicts = np.zeros((2, count), np.uint8)

    @property
    def filled(self) -> int:
        """Detections that have their decision."""
        return self._filled

    def add(
        self,
        track_ids: NDArray[np.int64],
        probabilities: NDArray[np.float32],
        verdicts: NDArray[np.uint8],
        track_probabilities: NDArray[np.float32],
        track_verdicts: NDArray[np.uint8],
    ) -> None:
        """Decisions on the next detections, in the order of frames."""
        places = self._order[self._filled : self._filled + len(track_ids)]
        self._track_ids[places] = track_ids
        self._probabilities[0, places] = probabilities
        self._probabilities[1, places] = track_probabilities
        self._verdicts[0, places] = verdicts
        self._verdicts[1, places] = track_verdicts
        self._filled += len(track_ids)

    def build(self, policy_version: str, resets: int) -> Decisions:
        """The whole.

        Raises:
            ReplayError: some detections were left without a decision.
        """
        if self._filled != len(self._sequence):
            missing = f"only {self._filled} of {len(self._sequence)} detections were decided; report this as a fault"
            raise ReplayError(self._sequence.name, missing)
        ids = from_wire(self._sequence, self._track_ids) if self._client_tracks else self._track_ids & ORDINAL
        (probabilities, track_probabilities), (verdicts, track_verdicts) = self._probabilities, self._verdicts
        return Decisions(
            self._sequence, ids, probabilities, verdicts, track_probabilities, track_verdicts, policy_version, resets
        )
