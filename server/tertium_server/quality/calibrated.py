"""Precision and recall from probabilities alone (confidence-based performance estimation): right as long as the probabilities are.

A track of probability p is real with that chance. Maybes that people answered hold as they should; the others as the verdict they have.
"""

from __future__ import annotations

import math

from tertium_server.quality.values import Estimate, Estimates, Tally

_Z = 1.959963984540054
"""Standard normal, 97.5 %."""


def estimate(tally: Tally) -> Estimates:
    """Precision and recall of a window; NaN where nothing is to be divided by."""
    yes, no, maybe = tally.auto_yes, tally.auto_no, tally.maybe
    answered = min(maybe.answered.count / maybe.population, 1.0) if maybe.population else 0.0
    found = answered * maybe.probability + maybe.unanswered_yes_probability
    tp = yes.probability + found
    fp = yes.population - yes.probability + maybe.unanswered_yes - maybe.unanswered_yes_probability
    fn = no.probability + max(maybe.probability - found, 0.0)
    return Estimates(_share(tp, tp + fp), _share(tp, tp + fn))


def _share(part: float, whole: float) -> Estimate:
    """With Wilson's interval: that of as many coins. It knows nothing of wrong probabilities."""
    if whole <= 0.0:
        return Estimate()
    value = min(max(part / whole, 0.0), 1.0)
    middle = (value + _Z**2 / (2.0 * whole)) / (1.0 + _Z**2 / whole)
    half = _Z / (1.0 + _Z**2 / whole) * math.sqrt(value * (1.0 - value) / whole + _Z**2 / (4.0 * whole**2))
    return Estimate(value, max(middle - half, 0.0), min(middle + half, 1.0), whole)
