"""Counts at every threshold, and the thresholds that follow from them.

A threshold accepts what scores as much or more (``>=``, here and everywhere). Equal scores stand or fall together, so the distinct scores
are all the thresholds there are; what is handed out is the midpoint to the next lower score, which float32 and rounded files can't blur.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tertium_server.errors import TertiumError

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

SMOOTHING = 0.02
"""Width of the window that a recommendation is smoothed by, as a share of the range of scores."""

RIVAL_LOSS = 0.01
"""A second optimum this much worse, or less, is worth showing."""

VALLEY = 0.02
"""Two optima are two where the curve falls this much between them."""

_NOISE = 1e-12
"""Smoothed values that differ by less are equal: they were summed in floating point."""


class UndeterminedError(TertiumError):
    """The data can't tell. The message says what they lack."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"cannot be determined: {reason}")
        self.reason = reason

    def __reduce__(self) -> tuple[type[UndeterminedError], tuple[str]]:
        return type(self), (self.reason,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The counts at one threshold. For boxes and frames ``found`` is ``tp``; tracks may find one object together."""

    threshold: float
    """What scores this much or more is accepted."""

    tp: int
    """Accepted and true."""

    fp: int
    """Accepted and false."""

    found: int
    """Objects found."""

    positives: int
    """Objects to find."""

    negatives: int | None = None
    """What should be turned down; None where there is no counting it, as with boxes."""

    @property
    def fn(self) -> int:
        """Objects missed."""
        return self.positives - self.found

    @property
    def tn(self) -> int | None:
        """Rightly turned down; None where there is no counting it."""
        return None if self.negatives is None else self.negatives - self.fp

    @property
    def precision(self) -> float:
        """Share of what is accepted that is true; NaN where nothing is."""
        return _quotient(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float:
        """Share of the objects that are found; NaN where there are none."""
        return _quotient(self.found, self.positives)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, 2 TP / (2 TP + FP + FN); NaN where there are neither objects nor detections."""
        return float(f1_of(np.array([self.tp]), np.array([self.fp]), np.array([self.found]), self.positives)[0])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curve:
    """Counts at each of K thresholds in rising order: at index k, of what scores thresholds[k] or more."""

    thresholds: Floats
    """(K,) the distinct scores."""

    exported: Floats
    """(K,) what to hand out for each: the midpoint to the next lower score; for the lowest the float32 just under it."""

    tp: Counts
    """(K,) accepted and true."""

    fp: Counts
    """(K,) accepted and false."""

    found: Counts
    """(K,) objects found: `tp`, but for tracks."""

    positives: int
    """Objects to find."""

    negatives: int | None = None
    """What should be turned down, where that can be counted."""

    highest: float | None = None
    """The highest score, where the thresholds are not the scores; None: it is the last of them."""

    obstacle: str = ""
    """Why no threshold can be told from these data; empty where one can."""

    def __len__(self) -> int:
        return len(self.thresholds)

    @property
    def fn(self) -> Counts:
        """(K,) objects missed."""
        return self.positives - self.found

    @property
    def accepted(self) -> Counts:
        """(K,) accepted, true or false."""
        return self.tp + self.fp

    @property
    def precision(self) -> Floats:
        """(K,) share of what is accepted that is true."""
        return quotients(self.tp, self.accepted)

    @property
    def recall(self) -> Floats:
        """(K,) share of the objects that are found; NaN where there are none."""
        return quotients(self.found, np.full(len(self), self.positives))

    @property
    def f1(self) -> Floats:
        """(K,) harmonic mean of precision and recall."""
        return f1_of(self.tp, self.fp, self.found, self.positives)

    @property
    def average_precision(self) -> float:
        """Area under precision over recall, every point, precision taken as the best at this recall or more; NaN without objects."""
        envelope = np.maximum.accumulate(self.precision)
        reached = np.append(np.maximum.accumulate(self.recall[::-1])[::-1], 0.0)
        return float(np.sum((reached[:-1] - reached[1:]) * envelope)) if self.positives else float("nan")

    @property
    def nothing(self) -> float:
        """A threshold that accepts none of the data: 1 where all scores are lower, else the float32 just over the highest."""
        last = self.thresholds[-1] if len(self) else 0.0
        highest = np.float32(last if self.highest is None else self.highest)
        return 1.0 if highest < 1.0 else float(np.nextafter(highest, np.float32(np.inf)))

    def point(self, index: int) -> Point:
        """The counts at an index; at K those of accepting nothing."""
        if index == len(self):
            return self._point(self.nothing, index)
        return self._point(float(self.exported[index]), index)

    def at(self, threshold: float) -> Point:
        """The counts of what scores `threshold` or more."""
        return self._point(float(threshold), int(np.searchsorted(self.thresholds, threshold, side="left")))

    def best(self) -> Point:
        """The highest F1; of equal ones that at the highest threshold, which accepts least.

        Raises:
            UndeterminedError: there is no object, no detection, or no right one.
        """
        return self.point(self._best())

    def smoothed(self, smoothing: float = SMOOTHING) -> Floats:
        """(K,) F1 about each exported threshold: its mean over a window of this share of the range of scores, integrated exactly."""
        steps = np.diff(self.thresholds) * self.f1[1:]
        area = np.concatenate(([0.0], np.cumsum(steps)))
        lowest, highest = self.thresholds[0], self.thresholds[-1]
        half = 0.5 * smoothing * (highest - lowest)
        left = np.clip(self.exported - half, lowest, highest)
        right = np.clip(self.exported + half, lowest, highest)
        width = right - left
        areas = np.interp(right, self.thresholds, area) - np.interp(left, self.thresholds, area)
        smoothed = self.f1
        np.divide(areas, width, out=smoothed, where=width > 0.0)
        return smoothed

    def recommended(self, smoothing: float = SMOOTHING) -> Point:
        """The threshold to use on fresh data: the top of the smoothed curve (of equal tops the highest threshold), with its exact counts.

        Raises:
            UndeterminedError: there is no object, no detection, or no right one.
        """
        self.require()
        return self.point(last_top(self.smoothed(smoothing)))

    def rivals(self, smoothing: float = SMOOTHING) -> tuple[Point, ...]:
        """Other optima nearly as good as the best, each beyond a valley of the smoothed curve: by falling F1."""
        self.require()
        best, smoothed, exact = self._best(), self.smoothed(smoothing), self.f1
        high = smoothed >= smoothed.max() - VALLEY
        edges = np.flatnonzero(np.diff(np.concatenate(([False], high, [False])).astype(np.int8)))
        tops = [
            int(start + last_top(exact[start:stop])) for start, stop in edges.reshape(-1, 2) if not start <= best < stop
        ]
        rivals = [top for top in tops if exact[top] >= exact[best] - RIVAL_LOSS]
        return tuple(self.point(top) for top in sorted(rivals, key=lambda top: -exact[top]))

    def _best(self) -> int:
        self.require()
        f1 = self.f1
        return len(f1) - 1 - int(np.argmax(f1[::-1]))

    def require(self) -> None:
        """Says so where no threshold can be told.

        Raises:
            UndeterminedError: there is no object, no detection, or no right one.
        """
        if self.obstacle:
            raise UndeterminedError(self.obstacle)

    def _point(self, threshold: float, index: int) -> Point:
        tp, fp, found = (int(column[index]) if index < len(self) else 0 for column in (self.tp, self.fp, self.found))
        return Point(threshold=threshold, tp=tp, fp=fp, found=found, positives=self.positives, negatives=self.negatives)


def f1_of(tp: Counts, fp: Counts, found: Counts, positives: int | Counts) -> Floats:
    """Harmonic mean of tp / (tp + fp) and found / positives as one division of whole numbers: equal values come out equal.

    NaN where there is nothing at all, 0 where there is nothing right.
    """
    accepted = tp + fp
    upper = np.where(tp == 0, 0, 2 * tp * found)
    lower = np.where(tp == 0, positives + accepted, tp * positives + found * accepted)
    return quotients(upper, lower)


def quotients(upper: Counts, lower: Counts) -> Floats:
    """The quotients upper / lower; NaN where lower is 0."""
    quotients = np.full(len(upper), np.nan)
    np.divide(upper, lower, out=quotients, where=lower != 0)
    return quotients


def _quotient(upper: int, lower: int) -> float:
    return upper / lower if lower else float("nan")


def last_top(values: Floats) -> int:
    """The last index whose value is the largest, rounding errors aside."""
    return int(np.flatnonzero(values >= values.max() - _NOISE)[-1])
