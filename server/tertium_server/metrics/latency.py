"""Durations by bucket."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.samples import Sample


class LatencyHistogram:
    """Counts of durations by bucket, as plain integers. One thread observes; any may read. It belongs to one family, with one set of labels."""

    __slots__ = ("_bounds", "_counts", "_series", "_sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0
        self._series: list[tuple[str, dict[str, str]]] = []

    def observe(self, seconds: float) -> None:
        """Counts one duration."""
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum += seconds

    def add_to(self, family: HistogramMetricFamily, labels: Sequence[str]) -> None:
        """Adds the cumulative buckets to a family: the same one each time."""
        total = self._sum
        counts = list(accumulate(self._counts))
        if self._series:
            # Names and labels are those of the first time: making them is most of what a scrape would cost.
            values = (*counts, counts[-1], total)
            family.samples.extend([Sample(*name, value) for name, value in zip(self._series, values, strict=True)])
            return
        bounds = [*map(repr, self._bounds), "+Inf"]
        family.add_metric(labels, buckets=list(zip(bounds, counts, strict=True)), sum_value=total)
        self._series = [(sample.name, sample.labels) for sample in family.samples[-len(bounds) - 2 :]]
