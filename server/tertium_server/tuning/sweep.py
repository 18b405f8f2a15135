"""The exact sweep: from scores and labels to the counts at every distinct score."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .curve import Counts, Curve, Floats, Point, UndeterminedError

__all__ = ["Curve", "Point", "UndeterminedError", "accumulate", "accumulate_rising", "export", "sweep"]


def sweep(
    scores: NDArray[np.floating], labels: NDArray[np.integer], positives: int, negatives: int | None = None
) -> Curve:
    """The curve of N units, each true (label 1), false (0) or not counted (any other label), and ``positives`` to be found.

    Scores are taken as exactly as they come: give float32 where float32 is what will be compared.
    """
    counted = (labels == 0) | (labels == 1)
    true = (labels[counted] == 1).astype(np.int8)
    return accumulate(scores[counted], true, np.int8(1) - true, true, positives, negatives)


def accumulate(
    scores: NDArray[np.floating],
    true: NDArray[np.integer],
    false: NDArray[np.integer],
    found: NDArray[np.integer],
    positives: int,
    negatives: int | None = None,
) -> Curve:
    """The curve of S changes of the three counts, each of which holds from its score downwards."""
    if np.isnan(scores).any():
        raise ValueError("a score is not a number")
    order = np.argsort(scores)
    tp, fp = true[order], false[order]
    return accumulate_rising(scores[order], tp, fp, tp if found is true else found[order], positives, negatives)


def accumulate_rising(
    scores: NDArray[np.floating],
    true: NDArray[np.integer],
    false: NDArray[np.integer],
    found: NDArray[np.integer],
    positives: int,
    negatives: int | None = None,
) -> Curve:
    """The same of changes that lie by rising score."""
    starts = np.flatnonzero(np.concatenate((np.ones(min(len(scores), 1), np.bool_), scores[1:] != scores[:-1])))
    thresholds = scores[starts].astype(np.float64)
    tp = _from_above(true, starts)
    return Curve(
        thresholds=thresholds,
        exported=export(thresholds),
        tp=tp,
        fp=_from_above(false, starts),
        found=tp if found is true else _from_above(found, starts),
        positives=int(positives),
        negatives=negatives,
        obstacle=_obstacle(int(positives), tp),
    )


def export(thresholds: Floats) -> Floats:
    """(K,) for each of K rising scores the midpoint to the one before, for the first the float32 just under it (but not under 0).

    Where rounding the midpoint to float32 would put it on the lower score, it is the upper score instead.
    """
    if len(thresholds) == 0:
        return thresholds.copy()
    lower, upper = thresholds[:-1], thresholds[1:]
    middle = lower + 0.5 * (upper - lower)
    rounded = middle.astype(np.float32)
    astray = (rounded <= lower.astype(np.float32)) & (lower.astype(np.float32) < upper.astype(np.float32))
    first = float(np.nextafter(np.float32(thresholds[0]), np.float32(-np.inf)))
    if thresholds[0] >= 0.0:
        first = max(first, 0.0)
    return np.concatenate(([first], np.where(astray, upper, middle)))


def _from_above(changes: NDArray[np.integer], starts: NDArray[np.int64]) -> Counts:
    """(K,) sums of changes (S,) from each start to the end."""
    below = np.concatenate(([0], np.cumsum(changes, dtype=np.int64)))
    return np.asarray(below[-1] - below[starts])


def _obstacle(positives: int, tp: Counts) -> str:
    if positives == 0:
        return "there is no object to find"
    if len(tp) == 0:
        return "there is no detection"
    return "" if tp.any() else "no detection is right"
