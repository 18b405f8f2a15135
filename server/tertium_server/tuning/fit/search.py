"""The search for evidence parameters: one at a time, up and down, as long as held-out log loss falls.

The engine runs anew for each trial, so trials are few and each step is large. Everything is deterministic.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Knob:
    """One parameter that is searched."""

    path: _Path
    """Where it stands below a judgement."""

    low: float
    high: float
    """Its bounds."""

    factor: float | None = None
    """A step multiplies by this, or divides."""

    step: float = 0.0
    """Where there is no factor: a step adds this, or takes it away."""

    def neighbours(self, value: float) -> tuple[float, ...]:
        """The next values up and down, within the bounds."""
        moved = (value * self.factor, value / self.factor) if self.factor else (value + self.step, value - self.step)
        bounded = (min(max(one, self.low), self.high) for one in moved)
        return tuple(float(f"{one:.6g}") for one in bounded if one != value)


KNOBS = (
    Knob(("evidence", "slow_drift"), 0.003, 10.0, factor=3.0),
    Knob(("evidence", "fast_drift"), 0.5, 100.0, factor=2.5),
    Knob(("evidence", "miss", "value"), -8.0, 0.0, step=1.0),
    Knob(("evidence", "miss", "noise"), 0.25, 25.0, factor=2.5),
    Knob(("evidence", "correlation_time"), 0.001, 2.0, factor=3.0),
    Knob(("evidence", "birth", "mean"), -6.0, 0.0, step=1.0),
)
"""What is searched, the most telling first. ``noise`` stays 1: it fixes the scale of the others."""

_WORTH = 1e-3
"""A trial has to lower the loss by this share to be kept: less is noise, and drifts into odd corners."""


def value_at(tree: dict[str, Any], path: _Path) -> float:
    """The value at a path."""
    for name in path[:-1]:
        tree = tree[name]
    return float(tree[path[-1]])


def with_value(tree: dict[str, Any], path: _Path, value: float) -> dict[str, Any]:
    """A copy of the tree with another value at a path."""
    head, *rest = path
    below = with_value(tree[head], tuple(rest), value) if rest else value
    return {**tree, head: below}


def search(
    start: dict[str, Any],
    loss: Callable[[dict[str, Any]], float],
    *,
    sweeps: int,
    told: Callable[[], None] = lambda: None,
) -> tuple[dict[str, Any], float]:
    """The judgement with the least loss found from ``start``, and its loss. ``told`` is called after each trial."""
    best, least = start, loss(start)
    told()
    for _ in range(sweeps):
        before = least
        for knob in KNOBS:
            for value in knob.neighbours(value_at(best, knob.path)):
                trial = with_value(best, knob.path, value)
                found = loss(trial)
                told()
                if found < least * (1.0 - _WORTH):
                    best, least = trial, found
                    break  # the other direction is uphill
        if least >= before * (1.0 - _WORTH):
            break
    return best, least
