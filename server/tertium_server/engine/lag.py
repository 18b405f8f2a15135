"""Answers that wait for what comes after: each frame is judged when ``decision_lag`` more were taken, with evidence that these have smoothed.

Tracking goes on as ever. What it leaves of each frame (its tracks, and which detection is whose) is kept until the frame is judged, in order, by the
parameters that hold at its capture time. A snapshot is of the last frame judged: whoever goes on from it is sent the frames after it again.

With a lag of 0 a frame is judged at once, and as it would be without any of this, bit for bit: that is how tracks are watched (see ``witness``).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tertium_server.engine import association, judging, step, zones
from tertium_server.engine.columns import (
    COASTED_OUT,
    DETECTIONS_OUT,
    DISMISSED_OUT,
    EVENTS_OUT,
    FRAMES_DONE,
    FRAMES_TAKEN,
    MISMATCH,
    RESETS,
    TRACED_TRACKS,
    Float32s,
    Float64s,
    Int64s,
    Records,
    UInt8s,
    Workspace,
)
from tertium_server.engine.layout import TRACK, EventReason
from tertium_server.engine.smoothing import filtered_levels, links_between, smoothed_levels

if TYPE_CHECKING:
    from tertium_server.engine.parameters import EngineParameters
    from tertium_server.engine.stream import StreamEngine

_FIRST_TRACKS = 64
_STREAM_ENDED = int(EventReason.STREAM_ENDED)
_OF_VERDICTS = ("verdict", "announced", "turning_since", "judged_by")


@dataclass(slots=True)
class _Taken:
    """A frame between being tracked and being judged: D detections."""

    index: int
    time: int
    reset: int
    state: Records
    """(1,) the stream after it."""
    tracks: Records
    """(tracks,) with those that are over with it."""
    rows: Int64s
    """(2, D) of each detection its track's place, and the row of its class."""
    around: Float64s
    """(3, D) of each detection overlap, cover and neighbours."""
    levels: Float64s
    parameters: EngineParameters
    """By which it is judged."""
    links: Int64s
    """(tracks,) their places in the next frame."""


@dataclass(frozen=True, slots=True)
class JudgedFrame:
    """A frame as it was judged: D detections. The arrays hold until the engine is used again."""

    index: int
    time: int
    """Capture time, nanoseconds."""
    tracks: Records
    """(tracks,) of ``layout.TRACK``, with those that are over with it. Their levels are those that were judged."""
    filtered: Float64s
    """(tracks, smoothing.FILTERED) their levels as they were filtered, before what came after smoothed them."""
    slots: Int64s
    """(D,) places of the detections' tracks."""
    around: Float64s
    """(3, D) of each detection overlap, cover and neighbours."""
    probabilities: Float32s
    """(D,) of the boxes."""
    verdicts: UInt8s
    """(D,) on the boxes."""
    parameters: EngineParameters
    """By which it was judged."""
    events: Records
    """What happened to tracks with it, ends included."""


Witness = Callable[[JudgedFrame], None]


class Lag:
    """The frames of one stream that wait, and the verdicts of the last frame judged."""

    __slots__ = (
        "_answers",
        "_basis",
        "_engine",
        "_live",
        "_parameters",
        "_pending",
        "_state",
        "_table",
        "frames",
        "silent",
        "witness",
    )

    def __init__(self, engine: StreamEngine, state: Records, tracks: Records, frames: int) -> None:
        self._engine = engine
        self.frames = frames
        """By how many frames answers wait."""
        self.silent = -1
        """Frames up to this index are judged, and nothing is said of them: the caller has their answers."""
        self.witness: Witness | None = None
        """Is shown every frame that was judged."""
        self._pending: deque[_Taken] = deque()
        self._state = state.copy()
        self._state["traced"] = 0
        self._basis = tracks.copy()
        self._parameters = engine.parameters
        self._hold(np.zeros(max(_FIRST_TRACKS, 2 * len(tracks)), TRACK))
        self._live[: len(tracks)] = tracks

    @property
    def is_idle(self) -> bool:
        """Nothing waits, and nothing ever has to."""
        return not self._pending and self.frames == 0 and self.witness is None

    @property
    def waiting(self) -> int:
        """Frames that wait, those apart of which nothing will be said."""
        return sum(each.index > self.silent for each in self._pending)

    @property
    def last_judged(self) -> int:
        """Index of the last frame judged; -1: none."""
        return int(self._state["last_index"][0])

    @property
    def last_time(self) -> int:
        """Its capture time, nanoseconds."""
        return int(self._state["last_time"][0])

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays."""
        waiting = sum(each.tracks.nbytes + each.levels.nbytes + each.around.nbytes for each in self._pending)
        return int(self._live.nbytes + self._basis.nbytes + waiting)

    def snapshot(self) -> tuple[Records, Records]:
        """Stream and tracks as they were tracked at the last frame judged, with the verdicts on it."""
        tracks = self._basis.copy()
        for name in _OF_VERDICTS:
            tracks[name] = self._live[name][: len(tracks)]
        return self._state, tracks

    def adopt(self, parameters: EngineParameters, frames: int) -> None:
        """Judges by other parameters, and with another lag, from now on: those frames, too, that wait."""
        self.frames = frames
        for each in self._pending:
            each.parameters = parameters if parameters.holds_at(each.time) else parameters.at(each.time)
            _place(each.tracks, len(each.tracks), each.parameters)

    def begin(self, workspace: Workspace, frames: int, detections: int) -> None:
        """Makes ready for a message; what is judged with it is written into ``workspace``."""
        waiting = sum(each.rows.shape[1] for each in self._pending)
        workspace.begin(frames + len(self._pending), detections + waiting)
        workspace.progress[:] = 0
        self._answers = workspace

    def take(self, companion: Workspace) -> None:
        """Takes the frame that was just tracked in ``companion``, and judges what has waited long enough."""
        progress, outputs, scratch = companion.progress, companion.outputs, companion.scratch
        state, place = self._engine.state.copy(), int(progress[FRAMES_TAKEN]) - 1
        count = int(outputs.counts[place])
        tracks = outputs.trace[: int(progress[TRACED_TRACKS])].copy()
        rows = scratch.integers[[association.MATCHED_TRACK, association.CLASS_ROW], :count]
        around = scratch.floats[[association.OVERLAP, association.COVER, association.NEIGHBOURS], :count]
        if self._pending:
            self._pending[-1].links = links_between(self._pending[-1].tracks, tracks)
        state["traced"] = 0
        self._pending.append(
            _Taken(
                int(outputs.frame_indices[place]),
                int(state["last_time"][0]),
                int(outputs.reports["reset"][int(progress[FRAMES_DONE]) - 1]),
                state,
                tracks,
                np.ascontiguousarray(rows),
                np.ascontiguousarray(around),
                filtered_levels(tracks),
                self._engine.parameters,
                np.full(len(tracks), -1, np.int64),
            )
        )
        while len(self._pending) > self.frames:
            self._judge_oldest()

    def end(self, companion: Workspace) -> None:
        """All frames of the message are done: what became of each is told at once."""
        progress, told = self._answers.progress, companion.progress
        for place in (FRAMES_DONE, MISMATCH, RESETS):
            progress[place] = told[place]
        done = int(told[FRAMES_DONE])
        self._answers.outputs.reports[:done] = companion.outputs.reports[:done]

    def flush(self) -> None:
        """Judges all that waits, with what is known."""
        while self._pending:
            self._judge_oldest()

    def finish(self) -> None:
        """The same, and ends all tracks."""
        self.flush()
        self._make_room(0)
        engine, workspace = self._engine, self._answers
        counting = True
        step.end_all(
            self._state, self._parameters.judges, self._live, _STREAM_ENDED, counting,
            workspace.outputs.events, workspace.outputs.dismissed, workspace.progress, engine.closed,
        )  # fmt: skip
        self._basis = self._basis[:0]

    def _judge_oldest(self) -> None:
        frame = self._pending.popleft()
        levels = smoothed_levels(
            [frame.levels, *(each.levels for each in self._pending)],
            [frame.links, *(each.links for each in self._pending)][: len(self._pending)],
        )
        changed = self._take_up(frame.parameters)
        self._make_room(len(frame.tracks) + frame.rows.shape[1])
        if len(frame.tracks) > len(self._live):
            self._hold(np.concatenate([self._live, np.zeros(2 * len(frame.tracks), TRACK)]))
        workspace, counting = self._answers, frame.index > self._engine.answered
        progress = workspace.progress
        before = progress.copy()
        if frame.reset:
            judging.end_before_reset(self._table, workspace.table, counting)
        live = int(self._state["tracks"][0])
        self._state[:] = frame.state
        self._state["tracks"] = live
        judging.judge(
            self._table, workspace.table, frame.tracks.copy(), levels, frame.rows, frame.around,
            frame.index, frame.time, counting, changed,
        )  # fmt: skip
        self._basis = frame.tracks[frame.tracks["closing"] == 0]
        shown = None if self.witness is None else self._live[: len(frame.tracks)].copy()
        judging.conclude(self._table, workspace.table, frame.index, counting)
        if self.witness is not None and shown is not None:
            self.witness(self._shown(frame, shown, before))
        if frame.index <= self.silent:
            for place in (FRAMES_TAKEN, DETECTIONS_OUT, COASTED_OUT, EVENTS_OUT, DISMISSED_OUT):
                progress[place] = before[place]

    def _shown(self, frame: _Taken, tracks: Records, before: Int64s) -> JudgedFrame:
        out, progress = self._answers.outputs, self._answers.progress
        decided = slice(int(before[DETECTIONS_OUT]), int(progress[DETECTIONS_OUT]))
        return JudgedFrame(
            frame.index, frame.time, tracks, frame.levels, frame.rows[0], frame.around, out.values[0, decided],
            out.verdicts[0, decided], frame.parameters, out.events[int(before[EVENTS_OUT]) : int(progress[EVENTS_OUT])],
        )  # fmt: skip

    def _take_up(self, parameters: EngineParameters) -> bool:
        """Judges by these parameters; whether that is a change."""
        if parameters is self._parameters:
            return False
        self._parameters = parameters
        self._hold(self._live)
        _place(self._live, int(self._state["tracks"][0]), parameters)
        return True

    def _make_room(self, needed: int) -> None:
        workspace, most = self._answers, needed + int(self._state["tracks"][0])
        if not workspace.holds(most):
            workspace.fit_tracks(most)

    def _hold(self, live: Records) -> None:
        self._live = live
        self._table = self._engine.table_of(self._state, self._parameters, live)


def _place(tracks: Records, count: int, parameters: EngineParameters) -> None:
    zones.place_all(tracks, count, parameters.judges, parameters.zone_corners, parameters.zone_starts)
