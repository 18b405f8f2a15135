"""What is known of the cameras so far: written by the threads that play them, read by whoever shows it."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from tertium_client import Answer, EventType, FrameDecisions, ProtocolError, TrackEvent, Verdict

if TYPE_CHECKING:
    from .cameras import Camera

STRONG = 0.5
"""The score from which a plain threshold would keep a box."""

_Number = TypeVar("_Number", bound=np.number[Any])

_ORDINAL = 0xFFFFFF
_EVENTS_KEPT = 200


@dataclass(slots=True)
class Track:
    """One track as the server last spoke of it."""

    number: int
    """Counts from 1 on each camera."""

    verdict: Verdict = Verdict.NO
    probability: float = 0.0
    """P(real object), with its 95 % interval below."""
    lower: float = 0.0
    upper: float = 1.0
    score: float = 0.0
    """Of its last box."""
    hits: int = 0
    misses: int = 0
    evidence: float | None = None
    """The slow level, log-odds, at its last event."""
    seen: bool = True
    """Whether the last frame had a box of it."""
    best: Verdict = Verdict.NO
    """The highest verdict it ever had."""
    boxes: int = 0
    """Its boxes so far."""
    strong: int = 0
    """Those whose score reaches STRONG."""


@dataclass(frozen=True, slots=True)
class Happening:
    """An event of a track, with the camera it happened on."""

    camera: Camera
    event: TrackEvent

    @property
    def track(self) -> int:
        """The track's number on its camera."""
        return self.event.track_id & _ORDINAL

    @property
    def seconds(self) -> float:
        """When, in the recording."""
        sequence = self.camera.sequence
        return (self.event.frame_index - sequence.first_frame) / sequence.fps


@dataclass(slots=True)
class Tally:
    """Boxes and tracks counted."""

    boxes: dict[Verdict, int] = field(
        default_factory=lambda: dict.fromkeys((Verdict.NO, Verdict.MAYBE, Verdict.YES), 0)
    )
    """Boxes by verdict."""
    strong: int = 0
    """Boxes whose score reaches STRONG."""
    weak_yes: int = 0
    """Boxes that are YES though their score does not."""
    strong_not_yes: int = 0
    """Boxes that are not YES though it does."""
    tracks: dict[Verdict, int] = field(
        default_factory=lambda: dict.fromkeys((Verdict.NO, Verdict.MAYBE, Verdict.YES), 0)
    )
    """Tracks by the highest verdict they ever had."""

    @property
    def total(self) -> int:
        """All boxes."""
        return sum(self.boxes.values())


class CameraBoard:
    """What is known of one camera."""

    def __init__(self, camera: Camera) -> None:
        self.camera = camera
        self.frames = 0
        """Frames answered."""
        self.alive: dict[int, Track] = {}
        """Tracks alive, by number."""
        self.tally = Tally()
        self.policy_version = ""
        """The policy that judges."""
        self.confirmed: dict[int, Track] = {}
        """Tracks that were ever YES, by number."""

    def take(self, answer: Answer, scores: NDArray[np.float32]) -> None:
        """An answer of the server, and the scores of the boxes it is about."""
        if answer.refusal is not None:
            raise ProtocolError(f"frame {answer.frame_index} of the demo was refused: {answer.refusal.message}")
        decisions = answer.decisions
        if decisions is not None:
            self.frames += 1
            self.policy_version = decisions.policy_version
            self._count(decisions, scores)
            self._follow(decisions, scores)
        for event in answer.events:
            self._note(event)

    def _count(self, decisions: FrameDecisions, scores: NDArray[np.float32]) -> None:
        strong, yes = scores >= STRONG, decisions.verdicts == Verdict.YES
        for verdict in self.tally.boxes:
            self.tally.boxes[verdict] += int(np.count_nonzero(decisions.verdicts == verdict))
        self.tally.strong += int(np.count_nonzero(strong))
        self.tally.weak_yes += int(np.count_nonzero(yes & ~strong))
        self.tally.strong_not_yes += int(np.count_nonzero(strong & ~yes))

    def _follow(self, decisions: FrameDecisions, scores: NDArray[np.float32]) -> None:
        alive = self.alive
        self.alive = {}
        ids, coasted = decisions.track_ids & _ORDINAL, decisions.coasted
        verdicts, chances = _asked_for(decisions.track_verdicts), _asked_for(decisions.track_probabilities)
        lower, upper = _asked_for(decisions.track_lower), _asked_for(decisions.track_upper)
        for place, number in enumerate(ids.tolist()):
            track = self._track(alive, number)
            track.seen, track.score = True, float(scores[place])
            track.hits += 1
            track.boxes += 1
            track.strong += track.score >= STRONG
            track.lower, track.upper = float(lower[place]), float(upper[place])
            self._judge(track, Verdict(int(verdicts[place])), float(chances[place]))
        if coasted is not None:
            for place, number in enumerate((coasted.track_ids & _ORDINAL).tolist()):
                track = self._track(alive, number)
                track.seen = False
                track.misses += 1
                self._judge(track, Verdict(int(coasted.verdicts[place])), float(coasted.probabilities[place]))
                track.lower = track.upper = track.probability  # the server gives no interval without a box

    def _track(self, before: dict[int, Track], number: int) -> Track:
        track = before.get(number)
        if track is None:
            track = Track(number)
            self.tally.tracks[Verdict.NO] += 1
        self.alive[number] = track
        return track

    def _judge(self, track: Track, verdict: Verdict, probability: float) -> None:
        track.verdict, track.probability = verdict, probability
        if verdict > track.best:
            self.tally.tracks[track.best] -= 1
            self.tally.tracks[verdict] += 1
            track.best = verdict
            if verdict is Verdict.YES:
                self.confirmed[track.number] = track

    def _note(self, event: TrackEvent) -> None:
        track = self.alive.get(event.track_id & _ORDINAL)
        if track is None or event.type is EventType.ENDED:
            return
        why = event.why
        track.hits, track.misses, track.evidence = why.hits, why.misses, why.evidence_slow
        track.lower, track.upper = why.lower, why.upper


def _asked_for(column: NDArray[_Number] | None) -> NDArray[_Number]:
    """A column that the stream was opened with."""
    if column is None:
        raise ProtocolError("the server left out what it says of tracks, though it was asked for")
    return column


class Board:
    """All cameras, and what happened last. Hold `lock` while reading."""

    def __init__(self, cameras: tuple[Camera, ...]) -> None:
        self.lock = threading.Lock()
        self.cameras = tuple(CameraBoard(camera) for camera in cameras)
        self.happenings: deque[Happening] = deque(maxlen=_EVENTS_KEPT)
        """The last events, oldest first."""
        self.happened = 0
        """Events so far, those no longer kept included."""

    def take(self, camera: CameraBoard, answer: Answer, scores: NDArray[np.float32]) -> None:
        """An answer to one of the cameras."""
        with self.lock:
            camera.take(answer, scores)
            for event in answer.events:
                self.happenings.append(Happening(camera.camera, event))
                self.happened += 1
