"""Log loss and calibration error of box probabilities, and how far they would have moved with other blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .figures import BINS, Scored, reliability
from .fit.logistic import LEAST_PROBABILITY, Floats, log_loss
from .intervals import CURVE_DRAWS, draw
from .units import Place


@dataclass(frozen=True, slots=True, eq=False)
class Losses:
    """J judged boxes."""

    probabilities: Floats
    """(J,) what was said of each."""

    labels: Floats
    """(J,) 1 true, 0 false."""

    blocks: NDArray[np.int64]
    """(J,) the block each lies in."""

    count: int
    """Blocks in all."""

    @classmethod
    def of(cls, scored: Scored, places: Sequence[Place], class_id: int | None) -> Losses:
        """Those of one class, or of all."""
        parts = []
        for index, place in enumerate(places):
            sequence = scored.labelled[index].sequence
            chosen = scored.counted(index, class_id)
            parts.append(place.of_frames[sequence.frames[chosen] - sequence.first_frame])
        return cls(*scored.judged(class_id), np.concatenate(parts), places[0].count)

    def figures(self) -> dict[str, Any]:
        """Mean log loss and expected calibration error; nothing where there is no box."""
        if not len(self.labels):
            return {"log_loss": None, "calibration_error": None}
        return {
            "log_loss": log_loss(self.probabilities, self.labels),
            "calibration_error": reliability(self.probabilities, self.labels).error,
        }

    def draws(self, seed: int, draws: int = CURVE_DRAWS) -> dict[str, Floats]:
        """(draws,) of both figures: what each resample of blocks gave."""
        found = np.full((2, draws), np.nan)
        order = np.argsort(self.probabilities, kind="stable")
        said, labels, blocks = self.probabilities[order], self.labels[order], self.blocks[order]
        bounded = np.clip(said, LEAST_PROBABILITY, 1.0 - LEAST_PROBABILITY)
        losses = -(labels * np.log(bounded) + (1.0 - labels) * np.log1p(-bounded))
        by_block, sizes = (np.bincount(blocks, weights, self.count) for weights in (losses, np.ones(len(blocks))))
        for index, times in enumerate(draw(self.count, seed, draws)):
            total = float((times * sizes).sum())
            if total:
                found[0, index] = float((times * by_block).sum()) / total
                found[1, index] = _calibration_error(said, labels, times[blocks])
        return {"log_loss": found[0], "calibration_error": found[1]}


def _calibration_error(said: Floats, labels: Floats, times: NDArray[np.int64]) -> float:
    """Expected calibration error of boxes by rising probability, taken so many times each, in bins of as near equal numbers as they allow."""
    reached = np.cumsum(times)
    bins = np.minimum((reached - times) * BINS // max(int(reached[-1]), 1), BINS - 1)
    gaps = np.bincount(bins, times * (said - labels), BINS)
    return float(np.abs(gaps).sum() / reached[-1])
