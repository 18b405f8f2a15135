"""What Prometheus is told of human review.

Counted here in plain numbers; what the store knows is asked now and then by the clerk, never by a scrape.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from tertium_server.metrics import OTHER, LatencyHistogram
from tertium_server.review.decided import DecidedTracks
from tertium_server.review.retention import TABLES
from tertium_server.review.syncing import SyncMetrics
from tertium_server.review.values import Answer, Case, ClerkState, DecidedBy, Decision, Outcome, Source, State

RESOLUTION_BOUNDS = (5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 43_200.0, 86_400.0)
HANDLING_BOUNDS = (2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 900.0)
"""Seconds."""

_MICROS = 1e-6
_LEASES: tuple[str, ...] = ("granted", "renewed", "expired", "released")
_STATES = (State.OPEN.value, "leased", State.SECOND_REVIEW.value, State.ESCALATED.value)
_GOLD: tuple[str, ...] = ("right", "wrong", "cannot_tell")


@dataclass(slots=True)
class _Snapshot:
    """What the store said the last time, and whom to ask for the rest."""

    cases: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    oldest: dict[str, int] = field(default_factory=dict[str, int])
    rows: dict[str, int] = field(default_factory=dict[str, int])
    clerk: Callable[[], ClerkState] = lambda: ClerkState(0, 0, 0, away=False)
    lost_messages: Callable[[], int] = lambda: 0


class ReviewMetrics(Collector):
    """The instruments of human review. All label values come from bounded sets and exist from the start."""

    def __init__(self, classes: Iterable[str]) -> None:
        self._classes = tuple(dict.fromkeys((*classes, OTHER)))
        self._lock = threading.Lock()
        self._created = self._by_class_and_source()
        self._votes = Counter({
            (name, source, answer.value): 0 for name, source in self._created for answer in Answer
        })  # fmt: skip
        self._disagreements = self._by_class_and_source()
        self._revisions = Counter(dict.fromkeys(self._classes, 0))
        self._leases = Counter(dict.fromkeys(_LEASES, 0))
        self._missed = Counter({source.value: 0 for source in Source})
        self._gold = Counter(dict.fromkeys(_GOLD, 0))
        self._removed = Counter({table.name: 0 for table in TABLES})
        self._resolution = {source.value: LatencyHistogram(RESOLUTION_BOUNDS) for source in Source}
        self._handling = {source.value: LatencyHistogram(HANDLING_BOUNDS) for source in Source}
        self._decided = DecidedTracks(self._classes, self._class)
        self.sync = SyncMetrics()
        """Told of exchange with others."""
        self.snapshot = _Snapshot()

    # ------------------------------------------------------------------ what happens

    def opened(self, decision: Decision) -> None:
        """A case was opened."""
        with self._lock:
            self._created[self._class(decision.class_name), decision.stratum.source.value] += 1

    def opened_frame(self) -> None:
        """The case of a whole frame was opened. It is of no one class."""
        with self._lock:
            self._created[OTHER, Source.FRAME_AUDIT.value] += 1

    def leased(self, event: str, count: int = 1) -> None:
        """Leases were granted, renewed, expired or released."""
        with self._lock:
            self._leases[event] += count

    def voted(self, before: Case, outcome: Outcome, answer: Answer, now: int) -> None:
        """A vote was taken."""
        name, source, after = self._class(before.class_name), before.source.value, outcome.case
        with self._lock:
            self._votes[name, source, answer.value] += 1
            if before.machine_verdict.value not in {answer.value, "maybe"} and answer is not Answer.CANNOT_TELL:
                self._disagreements[name, source] += 1
            if before.source is Source.GOLD:
                right = "right" if answer is before.gold_answer else "wrong"
                self._gold["cannot_tell" if answer is Answer.CANNOT_TELL else right] += 1
            if before.lease_granted_at is not None and not outcome.fenced:  # else the lease is another's
                self._handling[source].observe(_seconds(before.lease_granted_at, now))
            if after.state is State.CLOSED and before.state is not State.CLOSED:
                self._resolution[source].observe(_seconds(before.opened_at, now))

    def booked(self, decisions: Iterable[Decision]) -> None:
        """Decisions were booked that were not there before."""
        with self._lock:
            for decision in decisions:
                self._decided.booked(decision)

    def decided(self, before: Case, after: Case, *, first: bool) -> None:
        """People looked at a case: its track got its final verdict, or another. ``first``: none was final before, not even for a while."""
        final = before.decided_by is not DecidedBy.MACHINE or before.source is not Source.MAYBE
        with self._lock:
            if not final and after.decided_by is not DecidedBy.MACHINE:
                if first:
                    self._decided.settled(after)
            elif final and after.verdict is not before.verdict:
                self._revisions[self._class(before.class_name)] += 1

    def expired(self, cases: Sequence[Case], first: Collection[str]) -> None:
        """Deadlines passed without an answer. ``first``: ids of those of which nothing was final before."""
        with self._lock:
            for case in cases:
                self._missed[case.source.value] += 1
                if case.source is Source.MAYBE and case.decided_by is DecidedBy.DEADLINE and case.id in first:
                    self._decided.settled(case)

    def removed(self, table: str, rows: int) -> None:
        """Rows had had their time."""
        with self._lock:
            self._removed[table] += rows

    # ------------------------------------------------------------------ what is told

    def collect(self) -> Iterator[Metric]:
        """The families."""
        with self._lock:
            yield from self._gauges()
            yield from self._counters()
            yield from self._decided.collect()
            yield from self._histograms()
        yield from self.sync.collect()

    def _gauges(self) -> Iterator[Metric]:
        cases = GaugeMetricFamily("tertium_review_cases", "Cases that wait for votes.", labels=["source", "state"])
        oldest = GaugeMetricFamily(
            "tertium_review_oldest_open_timestamp_seconds",
            "When the oldest waiting case was opened, Unix time; 0: none waits.",
            labels=["source"],
        )
        for source in Source:
            for state in _STATES:
                cases.add_metric([source.value, state], self.snapshot.cases.get((source.value, state), 0))
            oldest.add_metric([source.value], self.snapshot.oldest.get(source.value, 0) * _MICROS)
        clerk = self.snapshot.clerk()
        waiting = GaugeMetricFamily(
            "tertium_review_pending_bookings", "Decisions that wait to be stored.", labels=["place"]
        )
        waiting.add_metric(["memory"], clerk.waiting)
        waiting.add_metric(["spool"], clerk.spooled)
        up = GaugeMetricFamily(
            "tertium_review_store_up", "1: the store could be used the last time.", value=not clerk.away
        )
        rows = GaugeMetricFamily(
            "tertium_review_rows", "About how many rows the store holds, by its own estimate.", labels=["table"]
        )
        for table in self._removed:
            rows.add_metric([table], self.snapshot.rows.get(table, 0))
        yield from (cases, oldest, waiting, up, rows)

    def _counters(self) -> Iterator[Metric]:
        labels = ["class", "source"]
        created = CounterMetricFamily("tertium_review_cases_created", "Cases opened by this server.", labels=labels)
        votes = CounterMetricFamily("tertium_review_votes", "Votes taken.", labels=[*labels, "vote"])
        against = CounterMetricFamily("tertium_review_disagreements", "Votes against the machine.", labels=labels)
        for key, count in self._created.items():
            created.add_metric(key, count)
            against.add_metric(key, self._disagreements[key])
        for voted, count in self._votes.items():
            votes.add_metric(voted, count)
        yield from (created, votes, against)
        yield _counter("tertium_decision_revisions", "Final verdicts that were corrected.", "class", self._revisions)
        yield _counter("tertium_review_leases", "What became of leases.", "event", self._leases)
        yield _counter(
            "tertium_review_deadline_missed", "Deadlines that passed without an answer.", "source", self._missed
        )
        yield _counter("tertium_review_gold_answers", "Answers on cases whose answer is known.", "result", self._gold)
        yield _counter(
            "tertium_review_rows_removed",
            "Rows that had had their time; decisions became totals.",
            "table",
            self._removed,
        )
        lost = CounterMetricFamily("tertium_review_lost", "What review could not take in.", labels=["kind"])
        lost.add_metric(["booking"], self.snapshot.clerk().lost)
        lost.add_metric(["message"], self.snapshot.lost_messages())
        yield lost

    def _histograms(self) -> Iterator[Metric]:
        resolution = HistogramMetricFamily(
            "tertium_review_resolution_seconds", "From the opening of a case to its close.", labels=["source"]
        )
        handling = HistogramMetricFamily(
            "tertium_review_handling_seconds", "From a lease to its vote.", labels=["source"]
        )
        for source in Source:
            self._resolution[source.value].add_to(resolution, [source.value])
            self._handling[source.value].add_to(handling, [source.value])
        yield from (resolution, handling)

    def _class(self, name: str) -> str:
        return name if name in self._classes else OTHER

    def _by_class_and_source(self) -> Counter[tuple[str, str]]:
        return Counter({(name, source.value): 0 for name in self._classes for source in Source})


def _seconds(since: int, now: int) -> float:
    """Never less than 0: clocks are set, those of two servers differ, and a sum that falls is taken for a restart."""
    return max(0, now - since) * _MICROS


def _counter(name: str, text: str, label: str, counts: Counter[str]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=[label])
    for value, count in counts.items():
        family.add_metric([value], count)
    return family
