"""The values of quality: what was counted of decided tracks, and what is estimated from it. Times are microseconds since the Unix epoch."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum

MICROS = 1_000_000
"""Microseconds of a second."""

ALL = "all"
"""In place of a class: all of them together."""


class Method(StrEnum):
    """How an estimate is made."""

    AUDIT = "audit"
    """From what people answered on doubtful and on audited tracks, weighted by how likely each was to be asked about."""
    CALIBRATED = "calibrated"
    """From probabilities alone: blind to whatever makes them wrong."""
    TRUTH = "truth"
    """From labelled frames, box by box: sees what the detector never fired on, too."""
    FRAME_AUDIT = "frame_audit"
    """From random frames on which people counted what has no box: recall of all classes together, box by box."""


class Window(StrEnum):
    """How far back an estimate looks, by the time of the decision."""

    HOUR = "1h"
    DAY = "1d"
    WEEK = "7d"

    @property
    def micros(self) -> int:
        """Its length."""
        return {Window.HOUR: 3600, Window.DAY: 86_400, Window.WEEK: 604_800}[self] * MICROS


class Figure(StrEnum):
    """What is estimated."""

    PRECISION = "precision"
    RECALL = "recall"


class Stratum(StrEnum):
    """What the machine alone said of a track; the words of review/values.py."""

    AUTO_YES = "auto_yes"
    AUTO_NO = "auto_no"
    MAYBE = "maybe"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A share with its 95 % interval. NaN: there is too little to tell."""

    value: float = math.nan
    lower: float = math.nan
    upper: float = math.nan
    effective_samples: float = 0.0
    """How many simple random samples it is worth, by the spread of their weights."""


@dataclass(frozen=True, slots=True)
class Estimates:
    """Precision and recall of one class, window and method."""

    precision: Estimate = Estimate()
    recall: Estimate = Estimate()

    def of(self, figure: Figure) -> Estimate:
        """One of the two."""
        return self.precision if figure is Figure.PRECISION else self.recall


@dataclass(frozen=True, slots=True)
class Weighted:
    """Answers of one kind. Each stands for 1 / pi tracks, pi being the probability with which its track was put before people."""

    count: int = 0
    weight: float = 0.0
    """Sum of 1 / pi."""
    squares: float = 0.0
    """Sum of 1 / pi²."""

    def __add__(self, other: Weighted) -> Weighted:
        return Weighted(self.count + other.count, self.weight + other.weight, self.squares + other.squares)


@dataclass(frozen=True, slots=True)
class Reviews:
    """One stratum of a class and window: how many tracks were decided, and what people said of some."""

    population: int = 0
    """Tracks decided."""
    probability: float = 0.0
    """Sum of their probabilities."""
    yes: Weighted = Weighted()
    no: Weighted = Weighted()
    cannot_tell: Weighted = Weighted()
    unanswered_yes: int = 0
    """Of the stratum maybe: tracks nobody has answered that hold as YES, by default."""
    unanswered_yes_probability: float = 0.0
    """Sum of their probabilities."""
    lone_yes: Weighted = Weighted()
    """Of the stratum maybe: tracks to which one person said YES, where the policy wants two; they hold as no YES."""

    @property
    def answered(self) -> Weighted:
        """Answers of all kinds."""
        return self.yes + self.no + self.cannot_tell

    @property
    def coverage(self) -> float:
        """Audit weight coverage: answers' weights over the population. About 1; far less: audits were starved or lost. NaN without tracks."""
        return self.answered.weight / self.population if self.population else math.nan

    def __add__(self, other: Reviews) -> Reviews:
        return Reviews(
            self.population + other.population,
            self.probability + other.probability,
            self.yes + other.yes,
            self.no + other.no,
            self.cannot_tell + other.cannot_tell,
            self.unanswered_yes + other.unanswered_yes,
            self.unanswered_yes_probability + other.unanswered_yes_probability,
            self.lone_yes + other.lone_yes,
        )


@dataclass(frozen=True, slots=True)
class Tally:
    """All strata of a class and window."""

    auto_yes: Reviews = field(default_factory=Reviews)
    auto_no: Reviews = field(default_factory=Reviews)
    maybe: Reviews = field(default_factory=Reviews)

    def of(self, stratum: Stratum) -> Reviews:
        """One of them."""
        return {Stratum.AUTO_YES: self.auto_yes, Stratum.AUTO_NO: self.auto_no, Stratum.MAYBE: self.maybe}[stratum]

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.auto_yes + other.auto_yes, self.auto_no + other.auto_no, self.maybe + other.maybe)
