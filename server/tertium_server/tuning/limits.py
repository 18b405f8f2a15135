"""Which thresholds may be chosen: all distinct scores, those within bounds, or those of a grid."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tertium_server.errors import TertiumError

from .curve import Curve, Floats

MOST_STEPS = 10_001
"""Of a grid."""

_ROUNDING = 1e-9
_RANGE_PARTS = 3


class LimitError(TertiumError):
    """Bounds or a grid that make no sense. The message quotes the option and names the remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds and grid. Without either every distinct score may be chosen, which is exact."""

    bounds: tuple[float, float] | None = None
    """The lowest and the highest threshold."""

    grid: tuple[float, ...] | None = None
    """The only thresholds, rising."""

    def of(self, curve: Curve) -> Curve:
        """The curve at the thresholds that may be chosen, which are handed out as they are."""
        values = self._values(curve)
        if values is None or not len(curve):
            return curve
        index = np.searchsorted(curve.thresholds, values, side="left")
        tp, fp, found = (np.append(column, 0)[index] for column in (curve.tp, curve.fp, curve.found))
        highest = float(curve.thresholds[-1])
        return replace(curve, thresholds=values, exported=values.copy(), tp=tp, fp=fp, found=found, highest=highest)

    def _values(self, curve: Curve) -> Floats | None:
        low, high = self.bounds or (-np.inf, np.inf)
        if self.grid is not None:
            grid = np.array(self.grid)
            return grid[(grid >= low) & (grid <= high)]
        if self.bounds is None:
            return None
        inside = curve.exported[(curve.exported > low) & (curve.exported < high)]
        return np.unique(np.concatenate(([low], inside, [high])))

    def as_json(self) -> dict[str, Any]:
        """For summaries."""
        return {"bounds": self.bounds and list(self.bounds), "grid": self.grid and list(self.grid)}


def make_limits(bounds: str | None, grid: str | None) -> Limits:
    """Those that people wrote.

    Raises:
        LimitError: they make no sense, or leave no threshold.
    """
    limits = Limits(bounds=parse_bounds(bounds) if bounds else None, grid=parse_grid(grid, "--grid") if grid else None)
    if limits.bounds and limits.grid:
        low, high = limits.bounds
        if not any(low <= value <= high for value in limits.grid):
            raise LimitError(f"--grid {grid} has no threshold within --bounds {bounds}; widen one of them")
    return limits


def parse_bounds(text: str) -> tuple[float, float]:
    """Bounds written as "LOW,HIGH".

    Raises:
        LimitError: it makes no sense.
    """
    numbers = _numbers(text.split(","), f"--bounds {text}")
    if len(numbers) != 2:  # noqa: PLR2004  # low and high
        raise LimitError(f"--bounds {text}: give two numbers, LOW,HIGH")
    if not 0.0 <= numbers[0] <= numbers[1] <= 1.0:
        raise LimitError(f"--bounds {text}: give 0 ≤ LOW ≤ HIGH ≤ 1")
    return numbers[0], numbers[1]


def parse_grid(text: str, option: str, least: float = 0.0) -> tuple[float, ...]:
    """Numbers "0.1,0.5,0.9", or "START:STOP:STEP" with both ends.

    Raises:
        LimitError: it makes no sense.
    """
    parts = text.split(":")
    if len(parts) == _RANGE_PARTS:
        start, stop, step = _numbers(parts, f"{option} {text}")
        if not (step > 0.0 and stop >= start and (stop - start) / step <= MOST_STEPS):  # NaN is not, either
            raise LimitError(f"{option} {text}: give START ≤ STOP and a STEP over 0, of {MOST_STEPS} steps at most")
        count = int((stop - start) / step + _ROUNDING) + 1
        # Twelve decimals: 0:1:.1 has 0.3, not 0.30000000000000004.
        values = tuple(dict.fromkeys(round(start + place * step, 12) for place in range(count)))
    else:
        values = tuple(sorted(set(_numbers(text.split(","), f"{option} {text}"))))
    if not all(least <= value <= 1.0 for value in values):
        raise LimitError(f"{option} {text}: give numbers from {least:g} to 1")
    return values


def _numbers(parts: list[str], what: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in parts)
    except ValueError:
        raise LimitError(f"{what}: give numbers, separated by commas") from None
