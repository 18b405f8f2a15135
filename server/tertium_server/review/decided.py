"""What Prometheus is told of decided tracks: scores, evidence, delays, and who has the last word.

Counted where decisions are booked, each once: the clerk's thread does it, long after the frame was answered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric

from tertium_server.metrics import LatencyHistogram
from tertium_server.review.values import Case, DecidedBy, Decision, Stratum, Verdict

SCORE_BOUNDS = tuple(round(place / 20, 2) for place in range(1, 21))
"""Probabilities: twenty bins of one width."""

FRAME_BOUNDS = (1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0)
DELAY_BOUNDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0)
"""Seconds."""


class DecidedTracks:
    """Counts of decided tracks. Its owner holds the lock under which it is used."""

    def __init__(self, classes: Iterable[str], label: Callable[[str], str]) -> None:
        self._label = label
        names = tuple(classes)
        self._final = Counter({
            (name, verdict.value, by.value): 0 for name in names for verdict in Verdict for by in DecidedBy
        })  # fmt: skip
        self._scores = {name: LatencyHistogram(SCORE_BOUNDS) for name in names}
        self._frames = {verdict.value: LatencyHistogram(FRAME_BOUNDS) for verdict in Verdict}
        self._delays = {verdict.value: LatencyHistogram(DELAY_BOUNDS) for verdict in Verdict}

    def booked(self, decision: Decision) -> None:
        """A decision was booked for the first time."""
        name, verdict = self._label(decision.class_name), decision.stratum.verdict.value
        self._scores[name].observe(decision.probability)
        self._frames[verdict].observe(max(1, decision.frame_index - decision.first_frame + 1))
        if decision.delay is not None:
            self._delays[verdict].observe(decision.delay)
        if decision.stratum is not Stratum.MAYBE:
            self._final[name, verdict, DecidedBy.MACHINE.value] += 1

    def settled(self, case: Case) -> None:
        """A track in doubt got its first final verdict."""
        self._final[self._label(case.class_name), case.verdict.value, case.decided_by.value] += 1

    def collect(self) -> Iterator[Metric]:
        """The families."""
        final = CounterMetricFamily(
            "tertium_final_decisions",
            "Tracks with a final verdict, by who gave it first; corrections are counted as revisions.",
            labels=["class", "verdict", "decided_by"],
        )
        for key, count in self._final.items():
            final.add_metric(key, count)
        yield final
        yield _histogram(
            "tertium_decision_score_ratio", "P(real object) of tracks when they were decided.", "class", self._scores
        )
        yield _histogram(
            "tertium_decision_evidence_frames", "Frames from a track's first to its decision.", "verdict", self._frames
        )
        yield _histogram(
            "tertium_decision_delay_seconds",
            "From a track's first news to its decision, by capture times.",
            "verdict",
            self._delays,
        )


def _histogram(name: str, text: str, label: str, counts: dict[str, LatencyHistogram]) -> Metric:
    family = HistogramMetricFamily(name, text, labels=[label])
    for value, histogram in counts.items():
        histogram.add_to(family, [value])
    return family
