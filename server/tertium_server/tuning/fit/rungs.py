"""How much of a judgement is fitted: the ladder that small data are let down by, rung after rung.

With a dozen tracks a read-out may do worse on other footage than the detector's own score. So each class is held out on every rung, and gets the
highest that is no worse on its held-out folds than the score (see `tuning.guarding`).
"""

from __future__ import annotations

from enum import StrEnum


class Rung(StrEnum):
    """What of a class's judgement is fitted. Its scores are always calibrated."""

    FITTED = "fitted"
    """Evidence parameters and read-outs."""

    FITTED_HALF = "fitted_half"
    """The same; but boxes are judged by log-odds half of which are those of their calibrated score."""

    START = "start"
    """Evidence and read-outs are those of the policy that fitting starts from; the probabilities are put on a calibrated scale."""

    START_HALF = "start_half"
    """The same, with half of the log-odds of boxes from their calibrated score."""

    SCORE = "score"
    """Boxes are judged by their calibrated score alone; tracks as on the first rung."""

    @property
    def is_half(self) -> bool:
        """Whether the score has half a say."""
        return self in {Rung.FITTED_HALF, Rung.START_HALF}

    @property
    def is_start(self) -> bool:
        """Whether evidence is that of the start."""
        return self in {Rung.START, Rung.START_HALF}
