"""What two thresholds do to all decided tracks, by the answers on a sample of them, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tertium_server.policy.values import Thresholds

from .weighing import Floats, effective_size

RESAMPLES = 1000
LEVEL = 0.95
_MOST_AT_ONCE = 2_000_000
NO, MAYBE, YES = 0, 1, 2


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """T answered tracks of one class."""

    real: NDArray[np.bool_]
    """(T,) what people said."""
    weights: Floats
    """(T,) tracks each stands for."""
    strata: NDArray[np.int64]
    """(T,) what was sampled apart, by number."""

    def part(self, chosen: NDArray[np.bool_]) -> Sample:
        """Some of them."""
        return Sample(self.real[chosen], self.weights[chosen], self.strata[chosen])


def judged(scores: NDArray[np.float32], thresholds: Thresholds) -> NDArray[np.int64]:
    """(T,) NO, MAYBE or YES."""
    yes, no = np.float32(thresholds.yes), np.float32(thresholds.no)
    return np.where(scores >= yes, YES, np.where(scores >= no, MAYBE, NO))


def figures(sample: Sample, verdicts: NDArray[np.int64], seed: int) -> dict[str, Any]:
    """Weighted precision and recall, and the share people see; each with the interval of ``RESAMPLES`` stratified resamples.

    Recall is over tracks that were decided: what no track was made of is not in it.
    """
    point = _shares(sample, verdicts, sample.weights[None, :])
    drawn = _resampled(sample, verdicts, seed)
    tail = 50.0 * (1.0 - LEVEL)
    return {
        "answers": len(sample.real),
        "effective_answers": effective_size(sample.weights),
        "tracks": float(sample.weights.sum()),
        "real_tracks": float(sample.weights[sample.real].sum()),
        **{
            name: {
                "value": _number(values[0]),
                "interval": None if np.isnan(drawn[name]).any() else np.percentile(drawn[name], (tail, 100.0 - tail)).tolist(),
            }
            for name, values in point.items()
        },
    }  # fmt: skip


def _resampled(sample: Sample, verdicts: NDArray[np.int64], seed: int) -> dict[str, Floats]:
    """Shares of resamples: from each stratum as many answers as there are, with replacement."""
    random = np.random.default_rng(seed)
    at_once = max(1, _MOST_AT_ONCE // max(len(sample.real), 1))
    pieces: list[dict[str, Floats]] = []
    for start in range(0, RESAMPLES, at_once):
        rows = min(at_once, RESAMPLES - start)
        times = np.zeros((rows, len(sample.real)))
        for stratum in np.unique(sample.strata):
            members = np.flatnonzero(sample.strata == stratum)
            times[:, members] = random.multinomial(len(members), np.full(len(members), 1.0 / len(members)), rows)
        pieces.append(_shares(sample, verdicts, times * sample.weights))
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}


def _shares(sample: Sample, verdicts: NDArray[np.int64], weights: Floats) -> dict[str, Floats]:
    """The figures for R sets of weights (R, T)."""
    real, yes, kept, maybe = sample.real, verdicts == YES, verdicts != NO, verdicts == MAYBE

    def total(chosen: NDArray[np.bool_]) -> Floats:
        return np.asarray(weights[:, chosen].sum(axis=1))

    return {
        "precision_of_yes": _quotients(total(yes & real), total(yes)),
        "recall_of_yes": _quotients(total(yes & real), total(real)),
        "recall_of_yes_and_maybe": _quotients(total(kept & real), total(real)),
        "maybe_share": _quotients(total(maybe), np.asarray(weights.sum(axis=1))),
    }


def _quotients(upper: Floats, lower: Floats) -> Floats:
    shares = np.full(len(upper), np.nan)
    np.divide(upper, lower, out=shares, where=lower > 0.0)
    return shares


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def folds_of(streams: Sequence[str], case_ids: Sequence[str], count: int) -> NDArray[np.int64]:
    """(T,) folds: whole streams where there are enough of them, else tracks, in the order of their ids, which are hashes."""
    names = sorted(set(streams))
    if len(names) >= count:
        return np.array([names.index(stream) % count for stream in streams], np.int64)
    folds = np.empty(len(case_ids), np.int64)
    folds[np.argsort(np.array(case_ids))] = np.arange(len(case_ids)) % count
    return folds
