"""What Prometheus is told of quality: estimates and what they are made of. A scrape reads what the last refresh left; it asks nobody.

Estimates are exported by one process of those that share a store. The counters exist in each, all label sets from zero, and grow in that one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tertium_server.metrics import OTHER
from tertium_server.quality.book import Book
from tertium_server.quality.counting import OUTCOMES, Growth
from tertium_server.quality.values import ALL, MICROS, Figure, Method, Stratum, Window

_PRECISION = "Share of tracks (truth: boxes) held as YES that are real"
_RECALL = "Share of real tracks (truth: objects, frame by frame) held as YES"
_TEXTS = {Figure.PRECISION: _PRECISION, Figure.RECALL: _RECALL}
_FIELDS = {
    "ratio": ("value", "; NaN: too little to tell."),
    "lower_ratio": ("lower", ": lower end of the 95 % interval."),
    "upper_ratio": ("upper", ": upper end of the 95 % interval."),
    "effective_samples": ("effective_samples", ": how many simple random samples the estimate is worth."),
}


class QualityMetrics(Collector):
    """The instruments of quality. All label values come from bounded sets."""

    def __init__(self, classes: Iterable[str]) -> None:
        self.classes = tuple(name for name in dict.fromkeys((*classes, OTHER)) if name != ALL)
        """Classes that are told apart."""
        self.growth = Growth(self.classes)
        """What has been counted since the start."""
        self.book: Book | None = None
        """What the last refresh found; None: another process tells."""
        self._told: tuple[Book | None, tuple[Metric, ...]] | None = None

    def collect(self) -> tuple[Metric, ...]:
        """The families: the very same ones until the next refresh, so that nobody makes or writes them twice."""
        book, told = self.book, self._told
        if told is None or told[0] is not book:
            told = self._told = (book, (*self._counters(), *self._estimates(book)))
        return told[1]

    def _estimates(self, book: Book | None) -> Iterator[Metric]:
        for figure in Figure:
            for name, (field, text) in _FIELDS.items():
                family = GaugeMetricFamily(
                    f"tertium_{figure.value}_estimate_{name}",
                    f"{_TEXTS[figure]}{text}",
                    labels=["class", "window", "method"],
                )
                for (class_name, window, method), made in {} if book is None else book.estimates.items():
                    family.add_metric([class_name, window.value, method.value], getattr(made.of(figure), field))
                yield family
        updated = GaugeMetricFamily(
            "tertium_estimate_updated_timestamp_seconds", "When the estimates were last made, Unix time."
        )
        if book is not None:
            updated.add_metric([], book.made_at / MICROS)
        yield updated

    def _counters(self) -> Iterator[Metric]:
        population = CounterMetricFamily(
            "tertium_audit_population", "Tracks decided, of which audits are a sample.", labels=["class", "stratum"]
        )
        reviewed = CounterMetricFamily(
            "tertium_reviewed",
            "Tracks answered by people, by what the verdict that held turned out to be.",
            labels=["class", "stratum", "outcome"],
        )
        weight = CounterMetricFamily(
            "tertium_reviewed_weight",
            "Tracks that answers stand for: sum of 1 / probability of being asked about.",
            labels=["class", "stratum", "outcome"],
        )
        squares = CounterMetricFamily(
            "tertium_reviewed_weight_squared", "Sum of squared weights of answers.", labels=["class", "stratum"]
        )
        growth = self.growth
        for class_name in self.classes:
            for stratum in Stratum:
                key = (class_name, stratum)
                population.add_metric([class_name, stratum.value], growth.population[key].value)
                squares.add_metric([class_name, stratum.value], growth.squares[key].value)
                for outcome in OUTCOMES:
                    labels = [class_name, stratum.value, outcome]
                    reviewed.add_metric(labels, growth.reviewed[*key, outcome].value)
                    weight.add_metric(labels, growth.weights[*key, outcome].value)
        yield from (population, reviewed, weight, squares)


def series(classes: int) -> int:
    """Most series these instruments can have with so many classes, OTHER among them."""
    counters = classes * len(Stratum) * (2 + 2 * len(OUTCOMES))
    # Frame audits know no classes.
    estimates = len(Figure) * len(_FIELDS) * len(Window) * ((classes + 1) * (len(Method) - 1) + 1)
    return counters + estimates + 1
