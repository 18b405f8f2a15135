"""The life of a track: a recording through the server's engine, watched, and every decision on the track explained in numbers that add up."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np

from tertium_server.engine import EventReason, EventType, FrameColumns, StreamEngine, Verdict, Workspace
from tertium_server.engine.columns import Records
from tertium_server.engine.explaining import (
    Explanation,
    LevelShares,
    Shares,
    explain_box,
    explain_track,
    features_of,
    logit,
)
from tertium_server.engine.lag import JudgedFrame
from tertium_server.engine.layout import STEADY
from tertium_server.engine.readout import INTERVAL
from tertium_server.policy import Policy, compile_parameters

from .decisions import ReplayError
from .frames import frames_of
from .life_people import HumanPart, PeoplesAnswer, Stand
from .readers import Sequence
from .replay import stream_settings

_NANOSECONDS = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """Something that was told of a track."""

    type: EventType
    reason: EventReason
    before: Verdict
    after: Verdict
    threshold: float
    """The threshold that was crossed, 0 to 1; 0 where none was."""
    retroactive_from: int | None
    """For a change to YES: the first frame it applies to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxDecision:
    """The decision on a track's box in a frame."""

    corners: tuple[float, float, float, float]
    """x1, y1, x2, y2 of the motion filter's box, pixels."""
    score: float
    """The detector's, on its own scale."""
    measurement: float
    """The score on the class's calibrated log-odds scale."""
    probability: float
    """As it was given: 0 to 1, in single precision."""
    verdict: Verdict
    why: Explanation


@dataclass(frozen=True, slots=True, kw_only=True)
class LifeFrame:
    """A frame of a track's life."""

    frame: int
    seconds: float
    """Capture time, since the recording began."""
    hits: int
    misses: int
    hidden: bool
    """It had no detection, and needed none: hidden, or leaving the picture."""
    fast: Shares
    slow: Shares
    box: BoxDecision | None
    """None: it had no detection."""
    probability: float
    """That the track is real, as it was given."""
    lower: float
    """Of its 95 % interval."""
    upper: float
    verdict: Verdict
    held: float | None
    """Seconds for which hysteresis has held the verdict over what the thresholds say; None: it need not."""
    margin: float
    """Hysteresis: a verdict falls at once when the probability is by so much under the threshold …"""
    hold: float
    """… and after so many seconds under it."""
    why: Explanation
    human: HumanPart | None
    """What people answered, where that stands over the machine's verdicts; None: nothing, or not any more."""
    happenings: tuple[Happening, ...]

    @property
    def told(self) -> Verdict:
        """The verdict on the track that its camera was told: people's, where they have answered."""
        return self.verdict if self.human is None else self.human.verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackSummary:
    """A track in one line."""

    track: int
    class_name: str
    first_frame: int
    last_frame: int
    """The last one in which it was alive."""
    hits: int
    misses: int
    probability: float
    """The highest that was given of the track."""
    verdict: Verdict
    """The last one."""
    changes: int
    """How often the verdict changed."""


@dataclass(frozen=True, slots=True)
class Lives:
    """The tracks of a recording: all of them in a line each, some of them frame by frame."""

    policy_version: str
    decision_lag: int
    summaries: tuple[TrackSummary, ...]
    """In order of their ids."""
    frames: dict[int, tuple[LifeFrame, ...]]
    """Of the tracks asked for."""
    answers: Mapping[int, PeoplesAnswer] = field(default_factory=dict)
    """What people answered, by track."""

    def interesting(self) -> list[TrackSummary]:
        """Tracks worth a look, most first: those whose verdict changed most, then those that came nearest to a change."""
        return sorted(
            self.summaries, key=lambda one: (-one.changes, abs(logit(min(max(one.probability, 1e-6), 1 - 1e-6))))
        )


def watch_lives(
    sequence: Sequence,
    policy: Policy,
    tracks: Collection[int] = (),
    *,
    client_tracks: bool = False,
    answers: Mapping[int, PeoplesAnswer] = MappingProxyType({}),
    progress: Callable[[int], None] = lambda _: None,
) -> Lives:
    """Judges a recording as `replay` does, and tells the lives of these tracks, with what people answered of them.

    Raises:
        ReplayError: the engine refused a frame, or there is no such track.
    """
    settings = replace(stream_settings(sequence, client_tracks=client_tracks), include_features=True)
    engine, workspace = StreamEngine(compile_parameters(policy, settings), settings), Workspace()
    shift = 1 - sequence.first_track if client_tracks else 0  # the wire counts tracks from 1: see frames.to_wire
    biographer = _Biographer(settings.class_names, frozenset(tracks), shift, answers)
    engine.watch(biographer.take)
    order = sequence.by_frame()
    for piece in frames_of(sequence, order.order, order.counts, client_tracks=client_tracks).split(64):
        columns = engine.advance(
            FrameColumns(
                piece.indices, piece.times, piece.counts, piece.boxes, piece.scores, piece.class_ids, piece.track_ids
            ),
            workspace,
        )
        if columns.error or columns.status.any():
            raise ReplayError(sequence.name, "the engine refused a frame: run tertium replay to hear which, and why")
        progress(len(piece))
    biographer.end(engine.finish(workspace).events)
    for track in tracks:
        if track not in biographer.summaries:
            count = len(biographer.summaries)
            raise ReplayError(sequence.name, f"there is no track {track}; leave out --track to list its {count} tracks")
    summaries = tuple(biographer.summaries[track] for track in sorted(biographer.summaries))
    frames = {track: tuple(biographer.frames[track]) for track in tracks}
    return Lives(policy.version, engine.parameters.decision_lag, summaries, frames, answers)


class _Biographer:
    """Takes down what a watched engine shows."""

    def __init__(
        self,
        class_names: Mapping[int, str],
        wanted: frozenset[int],
        shift: int,
        answers: Mapping[int, PeoplesAnswer] = MappingProxyType({}),
    ) -> None:
        self._stands = {track: Stand(answers[track]) for track in wanted if track in answers}
        self._names = class_names
        self._wanted = wanted
        self._shift = shift
        self._began: int | None = None
        self._shares: dict[int, LevelShares] = {}
        self.summaries: dict[int, TrackSummary] = {}
        self.frames: dict[int, list[LifeFrame]] = {track: [] for track in wanted}

    def take(self, judged: JudgedFrame) -> None:
        """One more frame, in order."""
        if self._began is None:
            self._began = judged.time
        for slot in range(len(judged.tracks)):
            track = judged.tracks[slot]
            if int(track["id"]) == 0:  # nobody's track: a detection that the caller did not track
                continue
            events = judged.events[judged.events["track_id"] == track["id"]]
            self._sum_up(judged, track, events)
            if self._number(track["id"]) in self._wanted:
                self._write_down(judged, slot, events)
        self._tell_of_the_gone(judged)

    def _number(self, wire_id: int) -> int:
        """What people call a track by its id."""
        return int(wire_id) - self._shift

    def _sum_up(self, judged: JudgedFrame, track: np.void, events: Records) -> None:
        number, probability = self._number(track["id"]), float(track["probability"])
        before = self.summaries.get(number)
        changes = int((events["type"] != EventType.ENDED).sum())
        judge = judged.parameters.judges[int(track["judge_row"])]
        self.summaries[number] = TrackSummary(
            track=number,
            class_name=self._names[int(judge["id"])],
            first_frame=int(track["first_frame"]),
            last_frame=judged.index,
            hits=int(track["hits"]),
            misses=int(track["misses"]),
            probability=max(probability, before.probability if before else 0.0),
            verdict=Verdict(int(track["verdict"])),
            changes=changes + (before.changes if before else 0),
        )

    def _tell_of_the_gone(self, judged: JudgedFrame) -> None:
        """Tracks that a reset, or another track that needed their place, has ended: told with a frame that they did not see."""
        self._add_ends(judged.events[~np.isin(judged.events["track_id"], judged.tracks["id"])])

    def end(self, events: Records) -> None:
        """The recording is over."""
        self._add_ends(events[events["reason"] == EventReason.STREAM_ENDED])

    def _add_ends(self, events: Records) -> None:
        for event in events[events["type"] == EventType.ENDED]:
            number = self._number(event["track_id"])
            if number in self._wanted and self.frames[number]:
                last = self.frames[number][-1]
                self.frames[number][-1] = replace(last, happenings=(*last.happenings, _happening(event)))

    def _write_down(self, judged: JudgedFrame, slot: int, events: Records) -> None:
        track = judged.tracks[slot]
        judge = judged.parameters.judges[int(track["judge_row"])]
        places = np.flatnonzero(judged.slots == slot)
        number = self._number(track["id"])
        if number not in self._shares or int(track["first_frame"]) == judged.index:
            self._shares[number] = LevelShares(float(judge["birth_mean"]))
        misses = int(track["misses"])
        earlier = self.frames[number][-1].misses if self.frames[number] else 0
        self._shares[number].take(judged.filtered[slot], seen=len(places) > 0, misses=misses)
        fast, slow = self._shares[number].of(float(track["fast"]), float(track["slow"]))
        around = [float(value) for value in judged.around[:, places[0]]] if len(places) else [0.0, 0.0, 0.0]
        features = features_of(track, *around)
        why = explain_track(features, judge, fast, slow)
        half = INTERVAL * abs(float(judge["track_weights"][1])) * float(track["slow_variance"]) ** 0.5
        since = int(track["turning_since"])
        stand = self._stands.get(number)
        box = None
        if len(places):
            box = BoxDecision(
                corners=_corners(track),
                score=float(track["score"]),
                measurement=float(track["measurement"]),
                probability=float(judged.probabilities[places[0]]),
                verdict=Verdict(int(judged.verdicts[places[0]])),
                why=explain_box(features, judge, fast, slow),
            )
        self.frames[number].append(
            LifeFrame(
                frame=judged.index,
                seconds=(judged.time - (self._began or 0)) * _NANOSECONDS,
                hits=int(track["hits"]),
                misses=misses,
                hidden=box is None and misses == earlier,
                fast=fast,
                slow=slow,
                box=box,
                probability=float(track["probability"]),
                lower=_sigmoid(why.log_odds - half),
                upper=_sigmoid(why.log_odds + half),
                verdict=Verdict(int(track["verdict"])),
                held=None if since == STEADY else (judged.time - since) * _NANOSECONDS,
                margin=float(judge["margin"]),
                hold=float(judge["hold"]),
                why=why,
                human=None if stand is None else stand.over(judged.time, float(track["slow"])),
                happenings=tuple(_happening(event) for event in events),
            )
        )


def _happening(event: np.void) -> Happening:
    since = int(event["retroactive_from"])
    return Happening(
        type=EventType(int(event["type"])),
        reason=EventReason(int(event["reason"])),
        before=Verdict(int(event["from_verdict"])),
        after=Verdict(int(event["to_verdict"])),
        threshold=float(event["threshold"]),
        retroactive_from=None if since < 0 else since,
    )


def _corners(track: np.void) -> tuple[float, float, float, float]:
    x, y, width, height = track["position"].tolist()
    width, height = max(width, 1.0), max(height, 1.0)
    return (x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def _sigmoid(log_odds: float) -> float:
    return float(1.0 / (1.0 + np.exp(-np.clip(log_odds, -700.0, 700.0))))
