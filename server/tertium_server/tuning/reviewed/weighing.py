"""How many tracks each answer stands for.

An answer's weight is 1 / the probability with which its track was chosen (Horvitz and Thompson 1952). Some of those that were chosen are still
unanswered, or could not be told; where it is known how many tracks were decided, the weights of each class and stratum are therefore stretched
until they add up to that number (Hájek 1971; poststratification). That takes the unanswered for tracks like the answered ones of their class and
stratum, and puts strata that are answered at different rates back into proportion.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .cases import STRATA, Cell, ReviewedTrack

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Weighted:
    """Weights of T tracks."""

    weights: Floats
    """(T,) tracks that each stands for."""

    warnings: tuple[str, ...]
    """What the sample says nothing of."""


def weigh(tracks: Sequence[ReviewedTrack], population: Mapping[Cell, int] | None) -> Weighted:
    """Weights of tracks that are a sample of ``population``; without it, those they come with."""
    weights = np.array([track.weight for track in tracks], np.float64)
    if population is None:
        return Weighted(weights, ())
    decided: Counter[tuple[str, str]] = Counter()
    for cell, count in population.items():
        decided[cell.class_name, cell.stratum] += count
    members: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for place, track in enumerate(tracks):
        members[track.class_name, track.stratum].append(place)
    for key, places in members.items():
        weights[places] *= decided[key] / weights[places].sum() if decided[key] else 1.0
    names = sorted({track.class_name for track in tracks})
    warnings = [
        f"{name}: {decided[name, stratum]:,} tracks were decided {stratum} and none of them is answered; nothing is known of these"
        for name in names
        for stratum in STRATA
        if decided[name, stratum] and not members[name, stratum]
    ]
    return Weighted(weights, tuple(warnings))


def effective_size(weights: Floats) -> float:
    """Kish's: how many equally weighted answers would say as much; 0 for none."""
    return float(weights.sum() ** 2 / np.square(weights).sum()) if len(weights) else 0.0
