"""Metrics: names, labels, and sums that never fall."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import HistogramMetricFamily, Metric

from tertium_server.engine import EventReason, Verdict
from tertium_server.metrics import SHADOW_VERDICTS, LatencyHistogram, Metrics, PolicyLabels, Rejection, StreamCounts

POLICY = PolicyLabels("default", "0-0123456789ab", "0123456789abcdef", 1234567890.5)


def make_metrics() -> Metrics:
    return Metrics(
        CollectorRegistry(),
        version="1.2.3",
        revision="abc",
        policy=POLICY,
        groups=("default", "north"),
        classes=("person", "car"),
        codes=("OK", "Internal"),
    )


@dataclass(eq=False)
class FakeStream:
    """A stream with the counts a test gives it."""

    group: str = "default"
    now: StreamCounts = field(default_factory=StreamCounts)

    def counts(self) -> StreamCounts:
        return self.now


def counts(frames: int = 0, **changes: object) -> StreamCounts:
    return replace(StreamCounts(frames=frames), **changes)  # type: ignore[arg-type]  # fields of StreamCounts


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def families(metrics: Metrics) -> Iterator[Metric]:
    yield from metrics.registry.collect()


def test_every_label_is_there_with_0_before_anything_happens() -> None:
    metrics = make_metrics()
    for group in ("default", "north", "other"):
        assert value(metrics, "tertium_streams_active", group=group) == 0
        assert value(metrics, "tertium_tracks_active", group=group) == 0
        assert value(metrics, "tertium_frames_received_total", group=group) == 0
        for reason in ("late", "duplicate", "gap", "invalid", "overload"):
            assert value(metrics, "tertium_frames_rejected_total", group=group, reason=reason) == 0
    for name in ("person", "car", "other"):
        assert value(metrics, "tertium_detections_received_total", **{"class": name}) == 0
        for verdict in ("yes", "no", "maybe"):
            labels = {"class": name, "verdict": verdict, "reason": "threshold"}
            assert value(metrics, "tertium_decisions_total", **labels) == 0
    for reason in ("lost", "left", "stream_ended", "reset", "evicted"):
        assert value(metrics, "tertium_tracks_closed_total", reason=reason) == 0
    assert value(metrics, "tertium_fusion_latency_seconds_count") == 0


def test_the_build_and_the_policy_are_told() -> None:
    metrics = make_metrics()
    assert value(metrics, "tertium_build_info", version="1.2.3", revision="abc") == 1
    assert (
        value(metrics, "tertium_policy_info", policy="default", version="0-0123456789ab", sha="0123456789abcdef") == 1
    )
    assert value(metrics, "tertium_policy_loaded_timestamp_seconds") == 1234567890.5


def test_streams_add_up_while_they_are_open_and_after() -> None:
    metrics = make_metrics()
    first, second = FakeStream(now=counts(5, tracks=2)), FakeStream(now=counts(7, tracks=1))
    metrics.streams.enter(first)
    metrics.streams.enter(second)
    assert value(metrics, "tertium_frames_received_total", group="default") == 12
    assert value(metrics, "tertium_streams_active", group="default") == 2
    assert value(metrics, "tertium_tracks_active", group="default") == 3
    first.now = counts(9, tracks=4)
    metrics.streams.retire(first)
    assert value(metrics, "tertium_frames_received_total", group="default") == 16
    assert value(metrics, "tertium_streams_active", group="default") == 1
    assert value(metrics, "tertium_tracks_active", group="default") == 1


def test_retiring_a_stream_twice_counts_it_once() -> None:
    metrics = make_metrics()
    stream = FakeStream(now=counts(5))
    metrics.streams.enter(stream)
    metrics.streams.retire(stream)
    metrics.streams.retire(stream)
    assert value(metrics, "tertium_frames_received_total", group="default") == 5


def test_scraping_changes_nothing() -> None:
    metrics = make_metrics()
    metrics.streams.absorb("default", counts(3))
    stream = FakeStream(now=counts(5, decided={"person": (0, 1, 2, 3)}))
    metrics.streams.enter(stream)
    assert generate_latest(metrics.registry) != b""
    assert value(metrics, "tertium_frames_received_total", group="default") == 8
    assert value(metrics, "tertium_frames_received_total", group="default") == 8


def test_groups_and_classes_that_are_not_on_the_list_are_other() -> None:
    metrics = make_metrics()
    for group in ("elsewhere", "nowhere", "other"):
        metrics.streams.absorb(group, counts(1, decided={"giraffe": (0, 0, 0, 2), "person": (0, 1, 0, 0)}))
    metrics.streams.enter(FakeStream("somewhere", counts(1)))
    assert value(metrics, "tertium_frames_received_total", group="other") == 4
    assert value(metrics, "tertium_streams_active", group="other") == 1
    assert value(metrics, "tertium_detections_received_total", **{"class": "other"}) == 6
    assert value(metrics, "tertium_detections_received_total", **{"class": "person"}) == 3
    labels = {name for family in families(metrics) for sample in family.samples for name in sample.labels.values()}
    assert not labels & {"elsewhere", "nowhere", "giraffe"}


def test_ten_thousand_streams_with_hostile_names_make_no_series() -> None:
    metrics = make_metrics()
    before = {(sample.name, *sample.labels.items()) for family in families(metrics) for sample in family.samples}
    for number in range(10_000):
        name = f'x"\n{{{number}}}'
        stream = FakeStream(name, counts(1, decided={name: (0, 0, 0, 1)}, shadowed={name: (0,) * SHADOW_VERDICTS**2}))
        metrics.streams.enter(stream)
        if number % 2:
            metrics.streams.retire(stream)
    after = {(sample.name, *sample.labels.items()) for family in families(metrics) for sample in family.samples}
    assert after == before
    assert value(metrics, "tertium_streams_active", group="other") == 5_000
    assert value(metrics, "tertium_decisions_total", **{"class": "other"}, verdict="yes", reason="threshold") == 10_000


def test_counts_arrive_under_their_labels() -> None:
    metrics = make_metrics()
    decided = [0] * 4
    decided[Verdict.YES], decided[Verdict.NO], decided[Verdict.MAYBE] = 30, 20, 10
    closed = [0] * 7
    closed[EventReason.LOST], closed[EventReason.EVICTED] = 4, 5
    rejected = [0] * 5
    rejected[Rejection.GAP], rejected[Rejection.OVERLOAD] = 6, 7
    metrics.streams.absorb("north", counts(99, decided={"car": decided}, closed=closed, rejected=rejected))
    by_verdict = {
        verdict: value(
            metrics, "tertium_decisions_total", **{"class": "car", "verdict": verdict, "reason": "threshold"}
        )
        for verdict in ("yes", "no", "maybe")
    }
    assert by_verdict == {"yes": 30, "no": 20, "maybe": 10}
    assert value(metrics, "tertium_detections_received_total", **{"class": "car"}) == 60
    assert value(metrics, "tertium_tracks_closed_total", reason="lost") == 4
    assert value(metrics, "tertium_tracks_closed_total", reason="evicted") == 5
    assert value(metrics, "tertium_frames_rejected_total", group="north", reason="gap") == 6
    assert value(metrics, "tertium_frames_rejected_total", group="north", reason="overload") == 7
    assert value(metrics, "tertium_frames_rejected_total", group="default", reason="overload") == 0


@pytest.mark.parametrize(
    ("seconds", "le"), [(0.0, "0.001"), (0.001, "0.001"), (0.0011, "0.01"), (0.01, "0.01"), (7.0, "+Inf")]
)
def test_a_duration_falls_into_the_first_bucket_that_holds_it(seconds: float, le: str) -> None:
    histogram = LatencyHistogram((0.001, 0.01))
    histogram.observe(seconds)
    family = HistogramMetricFamily("h_seconds", "Help.")
    histogram.add_to(family, [])
    buckets = {sample.labels["le"]: sample.value for sample in family.samples if sample.name.endswith("_bucket")}
    order = ["0.001", "0.01", "+Inf"]
    assert [buckets[bound] for bound in order] == [int(order.index(bound) >= order.index(le)) for bound in order]
    (total,) = [sample.value for sample in family.samples if sample.name.endswith("_sum")]
    assert total == seconds


def test_latencies_are_told_with_sum_and_count() -> None:
    metrics = make_metrics()
    for seconds in (0.0001, 0.002, 30.0):
        metrics.fusion_latency.observe(seconds)
    assert value(metrics, "tertium_fusion_latency_seconds_count") == 3
    assert value(metrics, "tertium_fusion_latency_seconds_sum") == pytest.approx(30.0021)
    assert value(metrics, "tertium_fusion_latency_seconds_bucket", le="0.0005") == 1
    assert value(metrics, "tertium_fusion_latency_seconds_bucket", le="5.0") == 2
    assert value(metrics, "tertium_fusion_latency_seconds_bucket", le="+Inf") == 3


def test_calls_are_told_for_each_method() -> None:
    metrics = make_metrics()
    method = metrics.calls.method("unary", "s.v1.S", "M")
    method.started, method.received, method.sent = 5, 6, 7
    method.handled["Internal"] += 2
    method.handling.observe(0.02)
    labels = {"grpc_type": "unary", "grpc_service": "s.v1.S", "grpc_method": "M"}
    assert value(metrics, "grpc_server_started_total", **labels) == 5
    assert value(metrics, "grpc_server_msg_received_total", **labels) == 6
    assert value(metrics, "grpc_server_msg_sent_total", **labels) == 7
    assert value(metrics, "grpc_server_handled_total", **labels, grpc_code="Internal") == 2
    assert value(metrics, "grpc_server_handled_total", **labels, grpc_code="OK") == 0
    assert value(metrics, "grpc_server_handling_seconds_count", **labels) == 1


NEVER = {"track", "case", "stream", "stream_id", "camera", "reviewer", "request_id", "threshold", "epoch"}


def test_names_and_labels_keep_the_rules_of_prometheus() -> None:
    """What `promtool check metrics` complains of, and what would make the series grow without bound."""
    metrics = make_metrics()
    metrics.calls.method("unary", "s.v1.S", "M")
    for family in families(metrics):
        assert family.documentation.endswith("."), family.name
        assert re.fullmatch(r"(tertium|grpc_server|process)_[a-z_]+[a-z]", family.name), family.name
        assert not re.search(r"(milli|micro|nano)seconds|_(ms|us)(_|$)|counter|gauge", family.name)
        for sample in family.samples:
            assert sample.name.endswith("_total") == (family.type == "counter"), sample.name
            assert not NEVER & set(sample.labels), sample
            if family.type == "histogram":
                assert family.name.endswith("_seconds")


def test_two_servers_in_a_process_do_not_meet() -> None:
    first, second = make_metrics(), make_metrics()
    first.streams.absorb("default", counts(5))
    assert value(second, "tertium_frames_received_total", group="default") == 0
