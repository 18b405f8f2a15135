"""Rules of thumb that people smooth scores by, on the same tracks: what fused probabilities have to beat.

Each makes of a track's scores so far a score for its box now. A frame in which the track had no box is a miss; where a rule counts misses, it counts
them as scores of zero. Rules with parameters are tried with each, and the one is taken that ranks the training sequences best.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Int64s = NDArray[np.int64]

_FRIGATE_FRAMES, _FRIGATE_LEAST = 10, 3
_MEAN_OF = 5


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """N boxes with their pasts, in order of tracks and, within one, of frames."""

    order: Int64s
    """(N,) where each was before it was put in order."""

    scores: Floats
    """(N,)"""

    frames: Int64s
    """(N,)"""

    tracks: Int64s
    """(N,)"""

    begun: Int64s
    """(N,) place of the first box of its track."""

    @classmethod
    def of(cls, tracks: Int64s, frames: Int64s, scores: Floats) -> History:
        """Puts boxes (N,) in order."""
        order = np.lexsort((frames, tracks)).astype(np.int64)
        ordered = tracks[order]
        first = np.append(True, np.diff(ordered) != 0) if len(order) else np.empty(0, np.bool_)
        begun = np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))
        return cls(order, scores[order], frames[order], ordered, begun)

    def last_frames(self, count: int) -> Floats:
        """(N, count) scores of the last frames, this one first: zeros for misses, NaN before the track's first box."""
        span = int(self.frames.max(initial=0)) + count + 1
        keys = self.tracks * span + self.frames
        window = np.full((len(keys), count), np.nan)
        for back in range(count):
            place = np.searchsorted(keys, keys - back)
            found = keys[np.minimum(place, len(keys) - 1)] == keys - back
            alive = self.frames - back >= self.frames[self.begun]
            window[alive, back] = np.where(found, self.scores[np.minimum(place, len(keys) - 1)], 0.0)[alive]
        return window

    def last_boxes(self, count: int) -> Floats:
        """(N, count) scores of the last boxes, this one first; NaN before the track's first."""
        places = np.arange(len(self.scores))[:, None] - np.arange(count)
        return np.where(places >= self.begun[:, None], self.scores[np.maximum(places, 0)], np.nan)


Rule = Callable[[History], Floats]


def median_of_ten(history: History) -> Floats:
    """Frigate's: the median of the last ten frames, misses being zeros, filled up with zeros to three."""
    window = history.last_frames(_FRIGATE_FRAMES)
    window[:, :_FRIGATE_LEAST] = np.nan_to_num(window[:, :_FRIGATE_LEAST])
    return np.asarray(np.nanmedian(window, axis=1))


def mean_of_five(history: History) -> Floats:
    """The mean of the last five boxes."""
    return np.asarray(np.nanmean(history.last_boxes(_MEAN_OF), axis=1))


def maximum(history: History) -> Floats:
    """The highest score so far."""
    return _running(history, np.maximum)


def k_of_n(k: int, n: int) -> Rule:
    """`k of the last n frames had a score over the threshold`: true just up to the k-th highest of their scores."""

    def rule(history: History) -> Floats:
        return np.asarray(np.sort(np.nan_to_num(history.last_frames(n)), axis=1)[:, -k])

    return rule


def exponential_mean(weight: float) -> Rule:
    """A mean in which each box counts ``1 - weight`` of the next."""

    def rule(history: History) -> Floats:
        def sink(before: Floats, now: Floats) -> Floats:
            return np.asarray((1.0 - weight) * before + now)

        return _running(history, sink) / _running(history, sink, np.ones(len(history.scores)))

    return rule


def _running(history: History, merge: Callable[[Floats, Floats], Floats], values: Floats | None = None) -> Floats:
    """What is left when each box's value, the score unless others are given, is merged into what the track had come to."""
    result = (history.scores if values is None else values).copy()
    age = np.arange(len(result)) - history.begun
    order = np.argsort(age, kind="stable")
    ends = np.cumsum(np.bincount(age)) if len(age) else np.empty(0, np.int64)
    for start, end in pairwise(ends):
        mine = order[start:end]  # boxes of one age: each has its track's box before it just before it
        result[mine] = merge(result[mine - 1], result[mine])
    return result


RULES: Mapping[str, Mapping[str, Rule]] = MappingProxyType(
    {
        "median of ten": {"": median_of_ten},
        "mean of five": {"": mean_of_five},
        "maximum": {"": maximum},
        "k of n": {f"{k} of {n}": k_of_n(k, n) for k, n in ((2, 3), (2, 5), (3, 5), (4, 5), (3, 10), (5, 10), (7, 10))},
        "exponential mean": {f"weight {weight:g}": exponential_mean(weight) for weight in (0.1, 0.2, 0.35, 0.5, 0.7)},
    }
)
"""Rules by name, each with the variants it is chosen from."""


def apply(rule: Rule, tracks: Int64s, frames: Int64s, scores: Floats) -> Floats:
    """(N,) the rule's score of each box, given its track, frame and score (N,) each."""
    history = History.of(tracks, frames, scores)
    result = np.empty(len(scores))
    result[history.order] = rule(history)
    return result
