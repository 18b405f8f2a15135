"""Curves of many resamples of the same blocks: what is read off each, without making it."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .compiling import kernel


class Changes(NamedTuple):
    """S changes of counts by rising score, as kernels want them."""

    scores: NDArray[np.float64]
    """(S,) where each comes in."""
    true: NDArray[np.int64]
    """(S,)"""
    false: NDArray[np.int64]
    """(S,)"""
    found: NDArray[np.int64]
    """(S,)"""
    blocks: NDArray[np.int64]
    """(S,) the block each lies in."""


class Tops(NamedTuple):
    """What each of D resamples gave; NaN where it has no best threshold."""

    best_f1: NDArray[np.float64]
    """(D,)"""
    best_score: NDArray[np.float64]
    """(D,) the score it lies at."""
    score_below: NDArray[np.float64]
    """(D,) the next lower score that the resample has; NaN: there is none."""
    average_precision: NDArray[np.float64]
    """(D,)"""


@kernel
def read_resamples(changes: Changes, times: NDArray[np.int64], positives: NDArray[np.int64], tops: Tops) -> None:
    """Fills ``tops``. ``times`` (D, B): how often each resample has each block; ``positives`` (D,): what is to be found in it.

    Equal to `Curve` of each resample: the same divisions of the same whole numbers; only sums of areas are added up one by one.
    """
    size = len(changes.scores)
    scores, precision, reached = np.empty(size), np.empty(size), np.empty(size)
    for draw in range(len(times)):
        count, best, any_true = 0, -1, False
        tp, fp, found, highest = 0, 0, 0, -1.0
        place = size - 1
        while place >= 0:
            score, present = changes.scores[place], False
            while place >= 0 and changes.scores[place] == score:
                weight = times[draw, changes.blocks[place]]
                if weight > 0:
                    present = True
                    tp += weight * changes.true[place]
                    fp += weight * changes.false[place]
                    found += weight * changes.found[place]
                place -= 1
            if not present:
                continue
            accepted = tp + fp
            scores[count] = score
            precision[count] = tp / accepted if accepted != 0 else np.nan
            recall = found / positives[draw] if positives[draw] != 0 else np.nan
            reached[count] = recall if count == 0 or not recall <= reached[count - 1] else reached[count - 1]
            f1 = 0.0
            if tp != 0:
                any_true = True
                f1 = (2 * tp * found) / (tp * positives[draw] + found * accepted)
            if f1 > highest:
                highest, best = f1, count
            count += 1
        tops.average_precision[draw] = _area(precision, reached, count) if positives[draw] else np.nan
        if positives[draw] and any_true:
            tops.best_f1[draw] = highest
            tops.best_score[draw] = scores[best]
            tops.score_below[draw] = scores[best + 1] if best + 1 < count else np.nan
        else:
            tops.best_f1[draw] = tops.best_score[draw] = tops.score_below[draw] = np.nan


@kernel
def _area(precision: NDArray[np.float64], reached: NDArray[np.float64], count: int) -> float:
    """Under precision over recall, points by falling score: precision taken as the best at this recall or more."""
    area, envelope = 0.0, -1.0
    for place in range(count - 1, -1, -1):
        if not precision[place] <= envelope:  # NaN stays
            envelope = precision[place]
        before = reached[place - 1] if place > 0 else 0.0
        area += (reached[place] - before) * envelope
    return area
