"""Whether the tracks of today look like those the policy was tuned on: the population stability index of their scores.

Over ten bins of P(real object), PSI = Σ (live share - tuned share) · ln(live share / tuned share). By rule of thumb, under 0.1 nothing has
changed, from 0.25 on something has. Two samples of one population differ, too: about (bins - 1) · (1/n + 1/m) is due to chance alone and is
taken off.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Connection, case, func, select

from tertium_server.metrics import OTHER
from tertium_server.policy import Policy
from tertium_server.storage import Database
from tertium_server.storage.tables import review

BINS = 10
LEAST_TRACKS = 100
"""Of fewer, on either side, nothing is said."""
WINDOW_SECONDS = 86_400.0

_MICROS = 1_000_000
_PRIOR = 0.5
"""Added to each bin: one that is empty on one side would make the index infinite."""

Counts = Sequence[float]


def stability_index(live: Counts, tuned: Counts) -> float:
    """The index of two histograms over the same bins, less what chance makes of it; at least 0. NaN: one of them is thin."""
    if len(live) != len(tuned):
        raise ValueError(f"{len(live)} bins can't be compared with {len(tuned)}")
    many, tuned_many = sum(live), sum(tuned)
    if min(many, tuned_many) < LEAST_TRACKS:
        return math.nan
    bins = len(live)
    shares = [(count + _PRIOR) / (many + bins * _PRIOR) for count in live]
    tuned_shares = [(count + _PRIOR) / (tuned_many + bins * _PRIOR) for count in tuned]
    index = sum((a - b) * math.log(a / b) for a, b in zip(shares, tuned_shares, strict=True))
    return max(0.0, index - (bins - 1) * (1 / many + 1 / tuned_many))


def merged(counts: Counts, bins: int = BINS) -> list[float]:
    """The histogram with fewer, wider bins; their number divides that of the old ones."""
    width = len(counts) // bins
    return [float(sum(counts[place * width : (place + 1) * width])) for place in range(bins)]


def live_scores(connection: Connection, since: int) -> dict[str, list[float]]:
    """How many tracks decided since a time (microseconds) have scores in each bin, by class."""
    decisions = review.decisions.c
    edges = [case((decisions.probability >= place / BINS, 1), else_=0) for place in range(1, BINS)]
    place = sum(edges[1:], edges[0])
    query = (
        select(decisions.class_name, place, func.count())
        .where(decisions.decided_at >= since)
        .group_by(decisions.class_name, place)
    )
    found: dict[str, list[float]] = {}
    for name, where, count in connection.execute(query):
        found.setdefault(name, [0.0] * BINS)[where] += count
    return found


@dataclass(frozen=True, slots=True)
class Drift:
    """What one class's scores have come to."""

    index: float
    """NaN: nothing can be said."""
    live: int
    tuned: int
    """Tracks on either side."""


class DriftMetrics(Collector):
    """The index of each class, computed now and then by ``update``, told at every scrape."""

    def __init__(
        self,
        store: Database,
        policy: Callable[[], Policy],
        classes: Iterable[str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._policy = policy
        self._classes = tuple(dict.fromkeys((*classes, OTHER)))
        self._clock = clock
        self.drifts: Mapping[str, Drift] = dict.fromkeys(self._classes, Drift(math.nan, 0, 0))
        """By class; those that are not told apart together, against those of the reference."""

    def update(self) -> None:
        """Compares the last day with the policy in force."""
        since = round((self._clock() - WINDOW_SECONDS) * _MICROS)
        with self._store.read() as connection:
            live = self._by_label(live_scores(connection, since))
        scores = self._policy().reference.scores
        tuned = self._by_label({name: merged(counts) for name, counts in scores.items()})
        self.drifts = {
            name: Drift(stability_index(live[name], tuned[name]), round(sum(live[name])), round(sum(tuned[name])))
            for name in self._classes
        }

    def _by_label(self, counts: Mapping[str, Counts]) -> dict[str, list[float]]:
        found = {name: [0.0] * BINS for name in self._classes}
        for name, own in counts.items():
            label = name if name in found else OTHER
            found[label] = [a + b for a, b in zip(found[label], own, strict=True)]
        return found

    def collect(self) -> Iterator[Metric]:
        """The families."""
        index = GaugeMetricFamily(
            "tertium_score_population_stability_index",
            "How far the scores of the last day's decided tracks are from those of tuning; NaN: too few, or no reference.",
            labels=["class"],
        )
        tracks = GaugeMetricFamily(
            "tertium_score_population_tracks", "Tracks that are compared.", labels=["class", "population"]
        )
        for name, drift in self.drifts.items():
            index.add_metric([name], drift.index)
            tracks.add_metric([name, "live"], drift.live)
            tracks.add_metric([name, "tuned"], drift.tuned)
        yield from (index, tracks)
