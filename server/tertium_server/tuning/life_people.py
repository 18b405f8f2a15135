"""What people answered of a track, as it stood over the machine's verdicts in the track's life."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tertium_server.engine import Verdict
from tertium_server.engine.ruling import FAR, Ruling
from tertium_server.policy import Policy

from .readers import Sequence
from .replay import ReplayOptions, replay
from .reviewed.cases import ReviewedTrack
from .reviewed.finding import detections_of, track_at

_MICROSECOND = 1000  # nanoseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class PeoplesAnswer:
    """The answer that holds on a track."""

    case_id: str
    verdict: Verdict
    """YES or NO."""
    closed_at: int | None
    """When it was settled, microseconds since the Unix epoch; None: not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HumanPart:
    """What people's answer does to a track in a frame: it is no part of the sum, it stands over it."""

    case_id: str
    verdict: Verdict
    """What track and box are told to be."""
    moved: float
    """By how much the slow level has moved against the answer since it came, log-odds; negative: in its favour."""
    left: float
    """By how much more it has to before the machine decides again, log-odds; negative: from the next frame on it does."""


class Stand:
    """An answer over the frames of a life: it comes when it was settled, by capture times, and goes when the evidence has moved far against it."""

    __slots__ = ("_answer", "_is_over", "_level", "_ruling")

    def __init__(self, answer: PeoplesAnswer) -> None:
        self._answer = answer
        self._ruling: Ruling | None = None
        self._is_over = False
        self._level: float | None = None

    def over(self, time: int, level: float) -> HumanPart | None:
        """The next frame: its capture time (nanoseconds), and the track's slow level after it.

        As the server does: what was settled before a frame is ruled by the level that the track had then, and undone after the frame that took
        the level too far.
        """
        before, self._level = self._level, level
        if self._is_over or self._answer.closed_at is None or time < self._answer.closed_at * _MICROSECOND:
            return None
        ruling = self._ruling or Ruling(self._answer.verdict, level if before is None else before)
        moved = ruling.moved_against(level)
        self._ruling, self._is_over = ruling, ruling.is_outdated(level)
        return HumanPart(case_id=self._answer.case_id, verdict=self._answer.verdict, moved=moved, left=FAR - moved)


def answers_on(
    sequence: Sequence, policy: Policy, reviewed: Iterable[ReviewedTrack], *, client_tracks: bool = False
) -> dict[int, PeoplesAnswer]:
    """The answers that hold on the tracks of a recording, by track: of several on one, the last that was settled.

    Cases are found by the boxes that their evidence holds, and by their stream where the recording bears its name.
    """
    cases = list(reviewed)
    named = [case for case in cases if sequence.name in (case.stream_id, f"{case.stream_id}@{case.epoch}")]
    cases = sorted(named or cases, key=lambda case: -1 if case.closed_at is None else case.closed_at)
    said = replay(sequence, policy, ReplayOptions(client_tracks=client_tracks))
    found: dict[int, PeoplesAnswer] = {}
    for case, rows in zip(cases, detections_of(sequence, cases), strict=True):
        track = track_at(said.track_ids, rows) if len(rows) else None
        if track is not None:
            verdict = Verdict.YES if case.is_real else Verdict.NO
            found[track] = PeoplesAnswer(case_id=case.case_id, verdict=verdict, closed_at=case.closed_at)
    return found
