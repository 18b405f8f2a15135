"""Worlds with known truth, a window of decided tracks at a time, as plain arrays. What the estimator is told is made as the server makes it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tertium_server.quality.values import Reviews, Tally, Weighted

YES, NO, MAYBE = 0, 1, 2
_NONE, _NO, _YES = 0, 1, 2

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """How tracks, scores, audits and reviewers behave."""

    tracks: int = 10_000
    alpha: float = 0.07
    beta: float = 0.2
    """Probabilities are drawn from Beta(alpha, beta): most are near 0 or 1."""
    slope: float = 1.0
    """True log-odds are slope · log-odds + shift: under 1, the probabilities are over-confident."""
    shift: float = 0.0
    drift: float = 0.0
    """How far the shift moves from the window's begin to its end."""
    yes: float = 0.9
    no: float = 0.1
    audit_yes: float = 0.03
    audit_no: float = 0.01
    error: float = 0.0
    """Chance that one vote is wrong."""
    double_check_yes: bool = False
    starved: float = 0.0
    """Share of the audits that nobody answers, the last ones more often than the first."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One window: what there was, and what is known of it."""

    tally: Tally
    precision: float
    """Of the verdicts that hold: audits' corrections are left out."""
    recall: float


def draw(world: World, rng: np.random.Generator) -> Sample:
    """One window of a world."""
    count = world.tracks
    probability = rng.beta(world.alpha, world.beta, count).clip(1e-4, 1.0 - 1e-4)
    when = np.linspace(-0.5, 0.5, count)
    odds = world.slope * np.log(probability / (1.0 - probability)) + world.shift + world.drift * when
    real = rng.random(count) < 1.0 / (1.0 + np.exp(-odds))
    stratum = np.where(probability >= world.yes, YES, np.where(probability < world.no, NO, MAYBE))
    pi = np.array([world.audit_yes, world.audit_no, 1.0])[stratum]
    chosen = rng.random(count) < pi
    answer = np.where(chosen, _answers(world, real, stratum, rng), _NONE)
    if world.starved:
        forgotten = rng.random(count) < world.starved * (1.0 + when)
        answer[forgotten & (stratum != MAYBE)] = _NONE
    holds = np.where(stratum == MAYBE, answer == _YES, stratum == YES)
    tally = Tally(*(_reviews(stratum == each, probability, pi, answer) for each in (YES, NO, MAYBE)))
    right = int((holds & real).sum())
    return Sample(tally, right / int(holds.sum()), right / int(real.sum()))


def _answers(world: World, real: Bools, stratum: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """What people settle on: one vote that agrees, or two of three where the first is against the machine."""
    votes = real[:, None] ^ (rng.random((len(real), 3)) < world.error)
    settled = np.where(votes[:, 1] == votes[:, 0], votes[:, 0], votes[:, 2])
    suspect = ((stratum == YES) & ~votes[:, 0]) | ((stratum == NO) & votes[:, 0])
    if world.double_check_yes:
        suspect |= (stratum == MAYBE) & votes[:, 0]
    return np.where(np.where(suspect, settled, votes[:, 0]), _YES, _NO)


def _reviews(
    chosen: Bools, probability: NDArray[np.float64], pi: NDArray[np.float64], answer: NDArray[np.int64]
) -> Reviews:
    def weighted(kind: int) -> Weighted:
        weights = 1.0 / pi[chosen & (answer == kind)]
        return Weighted(len(weights), float(weights.sum()), float((weights**2).sum()))

    return Reviews(
        population=int(chosen.sum()),
        probability=float(probability[chosen].sum()),
        yes=weighted(_YES),
        no=weighted(_NO),
    )


WORLDS = {
    "calibrated": World(),
    "over-confident": World(slope=0.6),
    "drift": World(slope=0.8, shift=0.8, drift=1.6),
    "erring reviewers": World(error=0.025, double_check_yes=True),
    "rare class": World(tracks=5000, alpha=0.04, beta=0.6, audit_yes=0.3, audit_no=0.1),
    "starved audits": World(starved=0.4),
}
