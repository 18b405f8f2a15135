"""Figures of one score on judged boxes: how well it ranks, how true its probabilities are, what it leaves to people, how late it is sure.

All of them go by the same matches, made once by falling score of the detector, and count ties together: a threshold takes all boxes of a score
or none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

PRECISIONS = (0.90, 0.95, 0.98)
_BINS = 15
_LEAST = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """N judged boxes of one class: those that are neither dropped nor ignored. They may come from several sequences."""

    true: Floats
    """(N,) 1 right, 0 wrong."""

    tracks: NDArray[np.int64]
    """(N,) tracks, numbered from 0 and told apart over all sequences."""

    frames: NDArray[np.int64]
    """(N,) frame numbers within their sequences."""

    objects: int
    """Boxes of truth to find."""

    @property
    def real(self) -> NDArray[np.bool_]:
        """(N,) whether half of the boxes of its track, or more, are right."""
        judged = np.bincount(self.tracks)
        right = np.bincount(self.tracks, weights=self.true)
        return np.asarray(right >= 0.5 * np.maximum(judged, 1))[self.tracks]


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """What each threshold accepts, from the highest: K distinct scores."""

    thresholds: Floats
    """(K,) falling."""

    accepted: NDArray[np.int64]
    """(K,) boxes at the threshold or over it."""

    right: NDArray[np.int64]
    """(K,) right ones among them."""

    @classmethod
    def of(cls, scores: Floats, true: Floats) -> Ranking:
        """Ranks them, ties together."""
        order = np.argsort(-scores, kind="stable")
        ranked = scores[order]
        last = np.append(np.diff(ranked) != 0.0, True) if len(ranked) else np.empty(0, np.bool_)
        return cls(ranked[last], np.arange(1, len(order) + 1)[last], np.cumsum(true[order]).astype(np.int64)[last])

    @property
    def precision(self) -> Floats:
        """(K,) share of right ones among what is accepted."""
        return self.right / self.accepted

    def best_f1(self, objects: int) -> float:
        """The largest F1 of any threshold."""
        return float((2.0 * self.right / (self.accepted + objects)).max(initial=0.0))

    def average_precision(self, objects: int) -> float:
        """Area under the precision-recall curve: every point, precision taken as the best at that recall or more."""
        envelope = np.maximum.accumulate(self.precision[::-1])[::-1]
        return float((np.diff(self.right, prepend=0) * envelope).sum() / objects) if objects else 0.0

    def yes(self, precision: float) -> float:
        """The lowest threshold whose precision is this or more; infinite where there is none."""
        good = np.flatnonzero(self.precision >= precision)
        return float(self.thresholds[good[-1]]) if len(good) else np.inf

    def recall_at(self, precision: float, objects: int) -> float:
        """The most objects that are found with this precision, as a share."""
        good = self.right[self.precision >= precision]
        return float(good.max(initial=0) / objects) if objects else 0.0

    def no(self, lost: float) -> float:
        """The highest threshold with no more than this share of the right boxes under it."""
        if not len(self.right) or not self.right[-1]:
            return np.inf
        return float(self.thresholds[np.searchsorted(self.right, (1.0 - lost) * self.right[-1])])


@dataclass(frozen=True, slots=True)
class Band:
    """What lies between the thresholds of yes and of no: what people are asked about."""

    share: float
    """Of the boxes."""

    tracks: int
    """Tracks with a box in it."""

    @classmethod
    def of(cls, judged: Judged, scores: Floats, yes: float, no: float) -> Band:
        """The band from ``no`` to just under ``yes``; empty where they have crossed."""
        inside = (scores >= no) & (scores < yes)
        return cls(float(inside.mean()) if len(inside) else 0.0, len(np.unique(judged.tracks[inside])))


@dataclass(frozen=True, slots=True, eq=False)
class Delays:
    """How long real tracks take to become YES."""

    frames: NDArray[np.int64]
    """Frames from the first box to the first one that is YES, of each real track that has one."""

    never: int
    """Real tracks without one."""

    @classmethod
    def of(cls, judged: Judged, scores: Floats, yes: float) -> Delays:
        """Delays at a threshold."""
        real = judged.real
        count = int(judged.tracks.max(initial=-1)) + 1
        far = np.iinfo(np.int64).max
        begun, sure = np.full(count, far), np.full(count, far)
        np.minimum.at(begun, judged.tracks[real], judged.frames[real])
        said = real & (scores >= yes)
        np.minimum.at(sure, judged.tracks[said], judged.frames[said])
        there = sure < far
        return cls(sure[there] - begun[there], int((begun < far).sum() - there.sum()))

    def as_json(self) -> dict[str, float | None]:
        """Their median, what nine of ten keep to, and the share of tracks that are never YES."""
        count = len(self.frames) + self.never
        return {
            "median": float(np.median(self.frames)) if len(self.frames) else None,
            "nine_of_ten": float(np.quantile(self.frames, 0.9)) if len(self.frames) else None,
            "never": self.never / count if count else None,
        }


def log_loss(probabilities: Floats, true: Floats) -> float:
    """Mean negative log-likelihood, natural logarithm."""
    bounded = np.clip(probabilities, _LEAST, 1.0 - _LEAST)
    return float(-np.mean(true * np.log(bounded) + (1.0 - true) * np.log1p(-bounded)))


def calibration_error(probabilities: Floats, true: Floats) -> float:
    """Expected calibration error over bins of equal numbers of boxes."""
    order = np.argsort(probabilities, kind="stable")
    parts = np.array_split(order, min(_BINS, len(order)))
    return float(sum(len(one) * abs(probabilities[one].mean() - true[one].mean()) for one in parts) / len(order))


@dataclass(frozen=True, slots=True)
class Ranked:
    """What a score is worth as a ranking of one sequence's boxes, or of several sequences' together."""

    objects: int
    f1: float
    average_precision: float
    recalls: tuple[float, ...]
    """At each of PRECISIONS."""
    band: Band
    """Between precision of yes 95 % and 5 % of the right boxes under no."""
    narrow: Band
    """The same between 98 % and 2 %."""
    delays: Delays
    """At the threshold of yes of 95 %."""

    @classmethod
    def of(cls, judged: Judged, scores: Floats) -> Ranked:
        """``scores`` (N,) rank the boxes."""
        ranking, objects = Ranking.of(scores, judged.true), judged.objects
        yes = ranking.yes(0.95)
        return cls(
            objects, ranking.best_f1(objects), ranking.average_precision(objects),
            tuple(ranking.recall_at(precision, objects) for precision in PRECISIONS),
            Band.of(judged, scores, yes, ranking.no(0.05)),
            Band.of(judged, scores, ranking.yes(0.98), ranking.no(0.02)),
            Delays.of(judged, scores, yes),
        )  # fmt: skip


def summarize(parts: Sequence[Ranked]) -> dict[str, Any]:
    """Figures of several sequences, each at thresholds of its own: means weighted by objects; tracks are counted, delays put together."""
    weights = np.array([one.objects for one in parts], float)
    weights = weights / weights.sum() if weights.sum() else np.full(len(parts), 1.0 / len(parts))

    def mean(value: Callable[[Ranked], float]) -> float:
        return float(weights @ np.array([value(one) for one in parts]))

    delays = Delays(np.concatenate([one.delays.frames for one in parts]), sum(one.delays.never for one in parts))
    return {
        "f1": mean(lambda one: one.f1),
        "average_precision": mean(lambda one: one.average_precision),
        "recall_at_precision": {
            f"{precision:g}": float(recall)
            for precision, recall in zip(PRECISIONS, weights @ np.array([one.recalls for one in parts]), strict=True)
        },
        "band": mean(lambda one: one.band.share),
        "band_tracks": sum(one.band.tracks for one in parts),
        "narrow_band": mean(lambda one: one.narrow.share),
        "narrow_band_tracks": sum(one.narrow.tracks for one in parts),
        "frames_until_yes": delays.as_json(),
    }
