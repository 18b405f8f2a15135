"""Figures of a replay: what people read first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .decisions import VERDICTS, Decisions


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceSummary:
    """One sequence, or all of them."""

    sequence: str
    """Its name."""

    frames: int
    """Frames, with and without detections."""

    detections: int
    """Detections judged."""

    verdicts: dict[str, int]
    """Detections by verdict on the box."""

    tracks: int
    """Tracks that any detection belongs to, candidates that never left NO included."""

    track_verdicts: dict[str, int]
    """Tracks by the verdict on them at their last detection."""

    resets: int
    """Resets of the stream."""

    seconds: float
    """Time the replay took, reading not included."""

    @property
    def frames_per_second(self) -> float:
        """Frames judged in a second."""
        return self.frames / self.seconds if self.seconds > 0 else 0.0


def summarize(decisions: Decisions, seconds: float) -> SequenceSummary:
    """The figures of one sequence."""
    sequence = decisions.sequence
    order = sequence.by_frame().order
    tracked = order[decisions.track_ids[order] >= 0]
    # The last detection of each track: unique() gives first places, so look from the end.
    backwards = tracked[::-1]
    _, places = np.unique(decisions.track_ids[backwards], return_index=True)
    last = decisions.track_verdicts[backwards[places]]
    return SequenceSummary(
        sequence=sequence.name,
        frames=sequence.length,
        detections=len(sequence),
        verdicts=_counted(decisions.verdicts),
        tracks=len(places),
        track_verdicts=_counted(last),
        resets=decisions.resets,
        seconds=seconds,
    )


def total(summaries: list[SequenceSummary]) -> SequenceSummary:
    """The figures of all sequences together."""
    return SequenceSummary(
        sequence="all",
        frames=sum(summary.frames for summary in summaries),
        detections=sum(summary.detections for summary in summaries),
        verdicts={name: sum(summary.verdicts[name] for summary in summaries) for name in VERDICTS[1:]},
        tracks=sum(summary.tracks for summary in summaries),
        track_verdicts={name: sum(summary.track_verdicts[name] for summary in summaries) for name in VERDICTS[1:]},
        resets=sum(summary.resets for summary in summaries),
        seconds=sum(summary.seconds for summary in summaries),
    )


def _counted(verdicts: np.ndarray[tuple[int], np.dtype[np.uint8]]) -> dict[str, int]:
    counts = np.bincount(verdicts, minlength=len(VERDICTS))
    return {name: int(counts[number]) for number, name in enumerate(VERDICTS) if name}
