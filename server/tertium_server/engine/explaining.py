"""Explanations that add up: the log-odds behind a probability, part by part.

A read-out is a weighted sum, so each part's share of it is exact: the parts add up to the log-odds of the probability that was given. A level of
evidence is a weighted sum again, of what a track was thought at its birth, of its detections and of its misses: :class:`LevelShares` keeps these.
"""

import math
from dataclasses import dataclass

import numpy as np

from tertium_server.engine import readout
from tertium_server.engine.columns import Float64s
from tertium_server.engine.layout import BOX_FEATURES, TRACK_FEATURES, Verdict
from tertium_server.engine.smoothing import FAST, FAST_PREDICTED, FAST_VARIANCE, SLOW, SLOW_PREDICTED, SLOW_VARIANCE
from tertium_server.engine.verdict import judge_plainly

BOX_PARTS = {
    "constant": (0,),
    "score": (1, 7),
    "fast level": (2,),
    "slow level": (3, 8),
    "detections so far": (4,),
    "fit to the motion": (5,),
    "surroundings": (6, 9, 10),
    "size": (11, 12),
}
"""Parts of a box's log-odds, each by the features that make it (see layout.BOX_FEATURES)."""

TRACK_PARTS = {
    "constant": (0,),
    "slow level": (1,),
    "fast level": (2,),
    "uncertainty": (3,),
    "detections so far": (4,),
    "misses in a row": (5,),
    "size": (6, 7),
}
"""The same of a track's."""


@dataclass(frozen=True, slots=True)
class Shares:
    """What a level is made of. The sources add up to the level."""

    birth: float
    """What is left of what a new track is thought to be."""
    detections: float
    misses: float
    later: float = 0.0
    """What the frames after it have changed: a policy with a decision lag smooths."""

    @property
    def level(self) -> float:
        """Their sum, log-odds."""
        return math.fsum((self.birth, self.detections, self.misses, self.later))

    def scaled(self, factor: float) -> "Shares":
        """Each times a factor."""
        return Shares(self.birth * factor, self.detections * factor, self.misses * factor, self.later * factor)


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a sum of log-odds."""

    name: str
    log_odds: float
    shares: Shares | None = None
    """Of a level's part, what it comes from: adds up to ``log_odds``."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a probability is what it is, and what it means for the verdict."""

    parts: tuple[Part, ...]
    """They add up to ``log_odds``."""
    log_odds: float
    """The logit of the probability."""
    yes: float
    """Threshold, as a probability: YES from here on."""
    no: float
    """Threshold, as a probability: NO under it."""

    @property
    def probability(self) -> float:
        """0 to 1."""
        return float(readout.sigmoid(self.log_odds))

    @property
    def plain_verdict(self) -> Verdict:
        """What the thresholds alone say, hysteresis and people apart."""
        return Verdict(judge_plainly(float(np.float32(self.probability)), self.no, self.yes))

    @property
    def to_yes(self) -> float:
        """Log-odds over the threshold of YES; negative: as much is missing. Infinite where the threshold is 0 or 1."""
        return self.log_odds - logit(self.yes)

    @property
    def to_no(self) -> float:
        """Log-odds over the threshold of NO; negative: it is NO by as much."""
        return self.log_odds - logit(self.no)


def logit(probability: float) -> float:
    """Log-odds; infinite at 0 and 1."""
    if probability <= 0.0 or probability >= 1.0:
        return math.inf if probability >= 1.0 else -math.inf
    return math.log(probability / (1.0 - probability))


class LevelShares:
    """Keeps what a track's two levels are made of, frame by frame from its birth: by the filter's own gains."""

    __slots__ = ("_fast", "_misses", "_slow")

    def __init__(self, birth_mean: float) -> None:
        self._fast = self._slow = Shares(birth_mean, 0.0, 0.0)
        self._misses = 0

    def take(self, filtered: Float64s, *, seen: bool, misses: int) -> None:
        """One more frame. ``filtered`` (FILTERED,) after it; ``seen``: the track had a detection; ``misses``: its misses so far."""
        missed, self._misses = misses > self._misses, misses
        self._fast = _fused(self._fast, filtered[[FAST, FAST_VARIANCE, FAST_PREDICTED]], seen=seen, missed=missed)
        self._slow = _fused(self._slow, filtered[[SLOW, SLOW_VARIANCE, SLOW_PREDICTED]], seen=seen, missed=missed)

    def of(self, fast: float, slow: float) -> tuple[Shares, Shares]:
        """What the levels that were judged are made of, fast and slow: those filtered, and what smoothing has changed."""
        return _smoothed(self._fast, fast), _smoothed(self._slow, slow)


def _fused(before: Shares, level: Float64s, *, seen: bool, missed: bool) -> Shares:
    value, variance, predicted = level.tolist()
    kept = before.scaled(variance / predicted)  # 1 - K
    if not seen and not missed:
        return kept
    news = value - kept.level
    if seen:
        return Shares(kept.birth, kept.detections + news, kept.misses)
    return Shares(kept.birth, kept.detections, kept.misses + news)


def _smoothed(shares: Shares, judged: float) -> Shares:
    return Shares(shares.birth, shares.detections, shares.misses, judged - shares.level)


def features_of(track: np.void, overlap: float = 0.0, cover: float = 0.0, neighbours: float = 0.0) -> Float64s:
    """(BOX_FEATURES + TRACK_FEATURES,) what the two read-outs weigh of a track, and of its box with what stands around it."""
    features: Float64s = np.zeros((1, BOX_FEATURES + TRACK_FEATURES))
    readout.write_features(track, overlap, cover, neighbours, features, 0)
    row: Float64s = features[0]
    return row


def explain_box(
    features: Float64s, judge: np.void, fast: Shares | None = None, slow: Shares | None = None
) -> Explanation:
    """Why a box's probability is what it is: ``features`` of its track, and what its levels are made of."""
    products = judge["box_weights"] * features[:BOX_FEATURES]
    return _explain(products, BOX_PARTS, judge["box_yes"], judge["box_no"], fast, slow)


def explain_track(
    features: Float64s, judge: np.void, fast: Shares | None = None, slow: Shares | None = None
) -> Explanation:
    """The same for a track's probability."""
    products = judge["track_weights"] * features[BOX_FEATURES:]
    return _explain(products, TRACK_PARTS, judge["track_yes"], judge["track_no"], fast, slow)


def _explain(
    products: Float64s,
    names: dict[str, tuple[int, ...]],
    yes: float,
    no: float,
    fast: Shares | None,
    slow: Shares | None,
) -> Explanation:
    levels = {"fast level": fast, "slow level": slow}
    parts = []
    for name, places in names.items():
        log_odds = math.fsum(products[list(places)].tolist())
        shares = levels.get(name)
        if shares is not None:
            # A level of nought weighs nothing, whatever it is made of: its sources, which cancel out, do so here, too.
            level = shares.level
            shares = shares.scaled(log_odds / level) if level else None
        parts.append(Part(name, log_odds, shares))
    return Explanation(tuple(parts), math.fsum(products.tolist()), float(yes), float(no))
