"""Scenes that everyone knows the answer to, played to a policy: between which thresholds of YES it gives that answer.

- A flash: one box of 0.6 in one frame, and nothing before or after. It is no YES, neither the box nor its track.
- A pillar: somebody is seen at 0.9 for long, then poorly, then not at all, because somebody nearer stands before them. The track stays YES.

Data can't be relied on to teach this: flashes of 0.6 are rare in them, and the threshold that parts tracks best by their highest probability may lie
so near 1 that every sure track falls under it as soon as it is hidden.

They are told in scores on the usual scale: of a detector whose right boxes hardly ever reach 0.6, or that gives all boxes one score, they say
nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tertium_server.engine import DecisionColumns, FrameColumns, StreamEngine, StreamSettings, Workspace
from tertium_server.engine.columns import Float32s
from tertium_server.policy import Policy, compile_parameters
from tertium_server.policy.values import Heights

from .units import Unit

_RATES = (5, 12, 30)
"""Frames a second."""

_PERSON = 80.0
"""Pixels: the height of somebody across a street. Played besides the middle one of the heights that the policy was fitted on."""

_FLASH, _SURE, _POOR, _NEARER = 0.6, 0.9, 0.15, 0.95
"""Scores."""

_LEAST_SHARE = 0.1
"""Of the right boxes that score as much as a flash, or more: under it a flash is surer than what the detector says of nearly any object."""

_LONG, _FADING, _HIDDEN = 2.7, 0.2, 0.7
"""Seconds of the pillar's parts."""

_SECOND = 1_000_000_000
_FIRST = 1  # the id of a stream's first track

_Seen = tuple[tuple[float, float, float, float], float]
"""Corners of a box and its score."""


_Said = tuple[Float32s, Float32s, Float32s]
"""Probabilities of a track's boxes, of itself where it has one, and of itself where it has none."""


@dataclass(frozen=True, slots=True)
class YesRange:
    """Where YES may begin."""

    least: float
    """The lowest threshold by which a flash is no YES."""

    most: float
    """The highest by which a sure track stays YES behind a pillar; 1 for boxes, which grow poor there."""


def are_of_its_scale(scores: NDArray[np.floating], right: NDArray[np.bool_], *, logits: bool = False) -> bool:
    """Whether the scenes say anything of a detector, by the scores (N,) of its judged boxes and which of them are ``right`` (N,)."""
    if not right.any() or scores.min() == scores.max():
        return False
    flash = _logit(_FLASH) if logits else _FLASH
    return bool(np.mean(scores[right] >= flash) >= _LEAST_SHARE)


def yes_ranges(policy: Policy, class_name: str, *, logits: bool = False) -> dict[Unit, YesRange]:
    """Those of boxes and tracks, for a class by its name; ``logits``: the detector's scores are log-odds."""
    judgement = policy.classes.get(class_name, policy.defaults)
    heights = _heights(judgement.box.heights)
    workspace = Workspace()
    boxes, tracks, hidden = [0.0], [0.0], [1.0]
    for rate in _RATES:
        for height in heights:
            box, track, _ = _Played(policy, class_name, logits, rate, workspace).of(_flash(height))
            boxes.append(float(box.max(initial=0.0)))
            tracks.append(float(track.max(initial=0.0)))
            _, track, coasted = _Played(policy, class_name, logits, rate, workspace).of(_pillar(height, rate))
            hidden.append(float(np.concatenate((track[round(_LONG * rate) - 1 :], coasted)).min(initial=1.0)))
    return {Unit.BOX: YesRange(_over(max(boxes)), 1.0), Unit.TRACK: YesRange(_over(max(tracks)), min(hidden))}


def _over(probability: float) -> float:
    """The next number that the engine, which keeps probabilities in single precision, tells from it."""
    return float(np.nextafter(np.float32(probability), np.float32(2.0)))


def _heights(fitted: Heights) -> list[float]:
    """The middle one of those fitted on, and that of a person across a street where that is one of them."""
    return [math.sqrt(fitted.least * fitted.most), min(max(_PERSON, fitted.least), fitted.most)]


def _flash(height: float) -> list[list[_Seen]]:
    return [[], [(_standing(10.0 * height, 0.0, height), _FLASH)], [], [], [], []]


def _pillar(height: float, rate: int) -> list[list[_Seen]]:
    """Somebody stands; somebody else, nearer and so twice as tall in the picture, walks up from the right and stops before them."""
    sure, fading, hidden = (round(seconds * rate) for seconds in (_LONG, _FADING, _HIDDEN))
    person = _standing(10.0 * height, 0.0, height)
    frames: list[list[_Seen]] = []
    for frame in range(sure + fading + hidden):
        away = max(0.0, 2.0 * height * (sure - frame) / rate)
        left, top = 9.925 * height + away, -0.25 * height
        nearer = ((left, top, left + 0.7 * height, top + 2.125 * height), _NEARER)
        score = _SURE if frame < sure else _POOR
        frames.append([(person, score), nearer] if frame < sure + fading else [nearer])
    return frames


def _standing(left: float, top: float, height: float) -> tuple[float, float, float, float]:
    """A box half as wide as high."""
    return left, top, left + 0.5 * height, top + height


@dataclass(frozen=True, slots=True)
class _Played:
    """A policy, as a stream of its own has it."""

    policy: Policy
    class_name: str
    logits: bool
    rate: int
    workspace: Workspace

    def of(self, frames: Sequence[Sequence[_Seen]]) -> _Said:
        """What is said of the first track."""
        settings = StreamSettings(class_names={0: self.class_name}, nominal_fps=self.rate, logits=self.logits)
        engine = StreamEngine(compile_parameters(self.policy, settings), settings)
        at_once = _of_first(engine.advance(self._columns(frames), self.workspace))
        waited = _of_first(engine.finish(self.workspace))  # what a policy's lag has held back
        boxes, tracks, coasted = (np.concatenate(parts) for parts in zip(at_once, waited, strict=True))
        return boxes, tracks, coasted

    def _columns(self, frames: Sequence[Sequence[_Seen]]) -> FrameColumns:
        seen = [each for frame in frames for each in frame]
        count = len(frames)
        return FrameColumns.of(
            range(count),
            [round(frame * _SECOND / self.rate) for frame in range(count)],
            [len(frame) for frame in frames],
            [box for box, _ in seen],
            self._scores(score for _, score in seen),
            [0] * len(seen),
            [],
        )

    def _scores(self, scores: Iterable[float]) -> list[float]:
        return [_logit(score) for score in scores] if self.logits else list(scores)


def _logit(score: float) -> float:
    return math.log(score / (1.0 - score))


def _of_first(columns: DecisionColumns) -> _Said:
    mine, unseen = columns.track_ids == _FIRST, columns.coasted_track_ids == _FIRST
    # Copies: the columns are views that hold until the workspace's next use.
    return columns.probabilities[mine], columns.track_probabilities[mine], columns.coasted_probabilities[unseen]
