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


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureIntervals:
    """Those of the figures at a threshold, or of the differences of two."""

    precision: Interval
    recall: Interval
    f1: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveIntervals:
    """Those of what is read off a whole curve."""

    best_f1: Interval
    """The best F1. It was chosen on the data it is measured on, in each resample as in the original."""

    best_threshold: Interval
    """Where it lies."""

    recommended_threshold: Interval
    """The top of the smoothed curve."""

    average_precision: Interval


def draw(blocks: int, seed: int, draws: int = DRAWS) -> Counts:
    """(draws, blocks) how often each block is in each resample. The same seed gives the same."""
    return np.random.default_rng(seed).multinomial(blocks, np.full(blocks, 1.0 / blocks), size=draws).astype(np.int64)


def figure_intervals(counts: BlockCounts, seed: int, draws: int = DRAWS, level: float = LEVEL) -> FigureIntervals:
    """Intervals of precision, recall and F1 of these counts."""
    resamples = draw(len(counts.tp), seed, draws)
    return _intervals(*_figures(counts, resamples), level=level, blocks=len(counts.tp))


def figure_draws(counts: BlockCounts, seed: int, draws: int = DRAWS) -> dict[str, Floats]:
    """(draws,) of precision, recall and f1: what each resample of these counts gave."""
    return dict(zip(("precision", "recall", "f1"), _figures(counts, draw(len(counts.tp), seed, draws)), strict=True))


def difference_intervals(
    first: BlockCounts, second: BlockCounts, seed: int, draws: int = DRAWS, level: float = LEVEL
) -> FigureIntervals:
    """Intervals of the first's figures less the second's, over the same blocks."""
    if len(first.tp) != len(second.tp):
        raise ValueError("counts can only be compared over the same blocks")
    resamples = draw(len(first.tp), seed, draws)
    pairs = zip(_figures(first, resamples), _figures(second, resamples), strict=True)
    return _intervals(*(ours - theirs for ours, theirs in pairs), level=level, blocks=len(first.tp))


def share_interval(parts: Counts, wholes: Counts, seed: int, draws: int = DRAWS, level: float = LEVEL) -> Interval:
    """Of the share of parts (B,) in wholes (B,): of cases that people see in all cases, say."""
    resamples = draw(len(parts), seed, draws)
    return interval(quotients(resamples @ parts, resamples @ wholes), level, len(parts))


def curve_intervals(units: Units, seed: int, draws: int = CURVE_DRAWS, level: float = LEVEL) -> CurveIntervals:
    """Intervals of what is read off the curve: each resample is swept anew."""
    figures, blocks = curve_draws(units, seed, draws), len(units.positives)
    return CurveIntervals(**{name: interval(values, level, blocks) for name, values in figures.items()})


def curve_draws(units: Units, seed: int, draws: int = CURVE_DRAWS, *, recommended: bool = True) -> dict[str, Floats]:
    """(draws,) of each field of CurveIntervals: what each resample gave, NaN where it has no best threshold.

    ``recommended``: with the top of the smoothed curve, which takes as long as all the rest.
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


def _intervals(precision: Floats, recall: Floats, f1: Floats, *, level: float, blocks: int) -> FigureIntervals:
    precision_interval, recall_interval, f1_interval = (
        interval(values, level, blocks) for values in (precision, recall, f1)
    )
    return FigureIntervals(precision=precision_interval, recall=recall_interval, f1=f1_interval)


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
