"""The two thresholds of a class's tracks, by weighted answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tertium_server.policy.values import Thresholds
from tertium_server.tuning.assigning import pair_of
from tertium_server.tuning.choosing import choose_thresholds
from tertium_server.tuning.curve import UndeterminedError
from tertium_server.tuning.limits import Limits
from tertium_server.tuning.objectives import Objective

from .cases import ReviewedTrack
from .counting import PARTS, reviewed_units
from .weighing import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What thresholds are chosen for."""

    objective: Objective
    limits: Limits
    hours: float
    """Length of the recordings; 0: not known."""
    floor: float
    """The lowest threshold there is anything to say about: tracks that never came so high were never decided, so nobody was asked about them."""


def choose_pair(
    tracks: Sequence[ReviewedTrack], scores: NDArray[np.float32], weights: Floats, question: Question
) -> tuple[Thresholds | None, tuple[str, ...]]:
    """Thresholds for tracks of one class, and doubts; None: the answers can't tell."""
    if not tracks:
        return None, ("no answered track is left; its thresholds stay",)
    units = reviewed_units(tracks, scores, weights, [tracks[0].class_name])
    low, high = question.limits.bounds or (0.0, 1.0)
    limits = replace(question.limits, bounds=(max(low, question.floor), max(high, question.floor)))
    if limits.grid is not None and not any(value >= question.floor for value in limits.grid):
        return None, (f"no threshold of the grid is {question.floor:.3f} or more, where tracks begin to be decided",)
    try:
        choice = choose_thresholds(units, question.objective, hours=question.hours * PARTS, limits=limits)
    except UndeterminedError as error:
        return None, (f"{error}; its thresholds stay",)
    pair = Thresholds(**pair_of(choice))
    doubts = list(choice.thresholds.warnings)
    if pair.no <= question.floor:
        doubts.append(
            f"NO begins at {pair.no:.3f}, the lowest that answers tell of; a lower one can only be found with truth, or with a policy that asks more"
        )
    return pair, tuple(doubts)
