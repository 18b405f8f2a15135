"""Intervals of figures, put together as the product does it: draws, and the middle of them."""

from __future__ import annotations

from tertium_server.tuning.intervals import LEVEL, Interval, curve_draws, figure_draws, interval
from tertium_server.tuning.units import BlockCounts, Units


def figure_intervals(counts: BlockCounts, seed: int, draws: int = 1000) -> dict[str, Interval]:
    """Of precision, recall and f1."""
    return {name: interval(drawn, LEVEL, len(counts.tp)) for name, drawn in figure_draws(counts, seed, draws).items()}


def difference_intervals(first: BlockCounts, second: BlockCounts, seed: int) -> dict[str, Interval]:
    """Of the first's figures less the second's, over the same blocks."""
    ours, theirs = figure_draws(first, seed), figure_draws(second, seed)
    return {name: interval(ours[name] - theirs[name], LEVEL, len(first.tp)) for name in ours}


def curve_intervals(units: Units, seed: int, draws: int) -> dict[str, Interval]:
    """Of what is read off a whole curve."""
    return {
        name: interval(drawn, LEVEL, len(units.positives)) for name, drawn in curve_draws(units, seed, draws).items()
    }
