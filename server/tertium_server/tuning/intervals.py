"""How far figures would have moved with other data of the kind: a bootstrap over blocks, by seed.

Blocks are drawn as wholes, with replacement, as many as there are (see `blocks`). Two policies are compared on the same draws. With few
blocks such intervals are too short: ten are few.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .curve import Counts, Curve, Floats, f1_of, quotients
from .kernels.resampling import Changes, Tops, read_resamples
from .sweep import accumulate_rising, export
from .units import BlockCounts, Units

DRAWS = 1000
"""Resamples for figures at given thresholds."""

CURVE_DRAWS = 200
"""Resamples where each has to be swept."""

LEVEL = 0.95
"""Of an interval: the middle of the resamples that it holds."""


@dataclass(frozen=True, slots=True)
class Interval:
    """The middle share of what resamples gave. NaN where there is but one block, or nothing to measure."""

    low: float
    high: float
    level: float = LEVEL


def draw(blocks: int, seed: int, draws: int = DRAWS) -> Counts:
    """(draws, blocks) how often each block is in each resample. The same seed gives the same."""
    return np.random.default_rng(seed).multinomial(blocks, np.full(blocks, 1.0 / blocks), size=draws).astype(np.int64)


def figure_draws(counts: BlockCounts, seed: int, draws: int = DRAWS) -> dict[str, Floats]:
    """(draws,) of precision, recall and f1: what each resample of these counts gave."""
    return dict(zip(("precision", "recall", "f1"), _figures(counts, draw(len(counts.tp), seed, draws)), strict=True))


def curve_draws(units: Units, seed: int, draws: int = CURVE_DRAWS, *, recommended: bool = True) -> dict[str, Floats]:
    """(draws,) of what is read off a whole curve: what each resample, swept anew, gave; NaN where it has no best threshold.

    best_f1: the best F1 (it was chosen on the data it is measured on, in each resample as in the original); best_threshold: where it lies;
    average_precision; with ``recommended``, which takes as long as all the rest, recommended_threshold: the top of the smoothed curve.
    """
    ordered, resamples = _by_score(units), draw(len(units.positives), seed, draws)
    tops = _tops(ordered, resamples)
    figures = {
        "best_f1": tops.best_f1,
        "best_threshold": _exported(tops),
        "average_precision": tops.average_precision,
    }
    if recommended:
        top = figures["recommended_threshold"] = np.full(draws, np.nan)
        for index in np.flatnonzero(~np.isnan(tops.best_f1)).tolist():
            top[index] = _resampled(ordered, resamples[index]).recommended().threshold
    return figures


def _tops(ordered: Units, resamples: Counts) -> Tops:
    changes = Changes(
        scores=np.ascontiguousarray(ordered.scores, np.float64),
        true=np.ascontiguousarray(ordered.true, np.int64),
        false=np.ascontiguousarray(ordered.false, np.int64),
        found=np.ascontiguousarray(ordered.found, np.int64),
        blocks=np.ascontiguousarray(ordered.blocks, np.int64),
    )
    size = len(resamples)
    tops = Tops(np.empty(size), np.empty(size), np.empty(size), np.empty(size))
    read_resamples(changes, np.ascontiguousarray(resamples), resamples @ ordered.positives.sum(axis=1), tops)
    return tops


def _exported(tops: Tops) -> Floats:
    """(D,) what to hand out for the best score of each resample."""
    thresholds = np.full(len(tops.best_score), np.nan)
    for index in np.flatnonzero(~np.isnan(tops.best_score)).tolist():
        pair = np.array([tops.score_below[index], tops.best_score[index]])
        thresholds[index] = export(pair[~np.isnan(pair)])[-1]
    return thresholds


def interval(values: Floats, level: float, blocks: int) -> Interval:
    """The middle of what resamples gave; those that gave nothing are left out."""
    known = values[~np.isnan(values)]
    if blocks <= 1 or not len(known):
        return Interval(float("nan"), float("nan"), level)
    low, high = np.quantile(known, [0.5 - 0.5 * level, 0.5 + 0.5 * level])
    return Interval(float(low), float(high), level)


def _figures(counts: BlockCounts, resamples: Counts) -> tuple[Floats, Floats, Floats]:
    columns = (counts.tp, counts.fp, counts.found, counts.positives)
    tp, fp, found, positives = (np.asarray(resamples @ column) for column in columns)
    return quotients(tp, tp + fp), quotients(found, positives), f1_of(tp, fp, found, positives)


def _by_score(units: Units) -> Units:
    order = np.argsort(units.scores, kind="stable")
    names = ("scores", "true", "false", "found", "blocks")
    columns = {name: getattr(units, name)[order] for name in names}
    return replace(units, **columns)


def _resampled(units: Units, weights: NDArray[np.int64]) -> Curve:
    """The curve of blocks taken so many times each; none of those left out."""
    times = weights[units.blocks]
    there = times > 0
    times = times[there]
    true, false, found = (changes[there] * times for changes in (units.true, units.false, units.found))
    positives = int(weights @ units.positives.sum(axis=1))
    return accumulate_rising(units.scores[there], true, false, found, positives)
