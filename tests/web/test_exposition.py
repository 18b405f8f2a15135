"""The text of metrics: as prometheus_client writes it, and cheap."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    Exemplar,
    GaugeHistogramMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from sqlalchemy import Engine, event

from tertium_server.web import exposition
from tertium_server.web.exposition import Exposition
from tests.rpc.builders import recording
from tests.rpc.live import serving

ACCEPTS = (
    "",
    "text/plain",
    "text/plain;version=1.0.0;escaping=allow-utf-8",
    # Prometheus 2 and 3.
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
)
HOSTILE = 'a "quoted"\\ name\nwith\r lines\x85 and\u2028 ends, # and } 1'
NUMBERS = (
    0,
    1,
    -0.0,
    0.1,
    -3.5,
    1e-7,
    999_999,
    1e6,
    1e6 + 0.5,
    -1e6,
    -1e7,
    2**53 + 1,
    1e22,
    math.inf,
    -math.inf,
    math.nan,
    True,
)


class World(Collector):
    """Families of all kinds, of which a test changes what it likes."""

    def __init__(self) -> None:
        self.classes = ["person", HOSTILE]
        self.shift = 0
        self.text = "Help with a \\ and a\nnew line."
        self.exemplar: Exemplar | None = None

    def collect(self) -> Iterable[Metric]:
        gauge = GaugeMetricFamily("some_gauge", self.text, labels=["class", "number"])
        for name in self.classes:
            for place in range(len(NUMBERS)):
                gauge.add_metric([name, str(place)], NUMBERS[(place + self.shift) % len(NUMBERS)])
        counter = CounterMetricFamily("some_things", "Things.", labels=["b", "a"])
        counter.add_metric(["z", HOSTILE], self.shift)
        late = CounterMetricFamily("some_births", "Births.", labels=["class"])
        late.add_metric(["person"], self.shift, created=17.5)
        stamped = GaugeMetricFamily("some_moment", "Stamped.", labels=["class"])
        stamped.add_metric(["person"], self.shift, timestamp=12.25)
        histogram = HistogramMetricFamily("some_seconds", "Seconds.", labels=["class"], unit="seconds")
        last: Any = ("+Inf", 3) if self.exemplar is None else ("+Inf", 3, self.exemplar)
        for name in self.classes:
            histogram.add_metric([name], [("0.5", 1), ("1e+06", 2), last], sum_value=1.5 + self.shift)
        crowd = GaugeHistogramMetricFamily("some_crowd", "Moved.", labels=[])
        crowd.add_metric([], [("1.0", 1), ("+Inf", 2)], gsum_value=self.shift)
        yield from (gauge, counter, late, stamped, histogram, crowd)
        yield InfoMetricFamily("some_build", "Build.", value={"version": HOSTILE})
        yield GaugeMetricFamily("nothing_yet", "No series.")


def written(world: World) -> tuple[Exposition, CollectorRegistry]:
    registry = CollectorRegistry()
    registry.register(world)
    return Exposition(registry), registry


def expected(registry: CollectorRegistry, accept: str) -> tuple[bytes, str]:
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


@pytest.mark.parametrize("accept", ACCEPTS)
def test_every_byte_is_as_prometheus_client_has_it_whatever_changes(accept: str) -> None:
    world = World()
    own, registry = written(world)
    for shift in range(len(NUMBERS)):
        world.shift = shift
        assert own.write(accept) == expected(registry, accept)
    world.classes = [HOSTILE, "person"]
    assert own.write(accept) == expected(registry, accept)
    world.classes.append("car")
    assert own.write(accept) == expected(registry, accept)
    world.classes = ["dog"]
    assert own.write(accept) == expected(registry, accept)
    world.text = "Another help."
    assert own.write(accept) == expected(registry, accept)
    world.exemplar = Exemplar({"trace_id": "4bf92f35"}, 0.7, 1.5)
    assert own.write(accept) == expected(registry, accept)
    world.exemplar = Exemplar({"trace_id": "0af76519"}, 0.8, 2.5)
    assert own.write(accept) == expected(registry, accept)
    world.exemplar = None
    assert own.write(accept) == expected(registry, accept)


def test_formats_take_turns_and_do_not_pile_up() -> None:
    world = World()
    own, registry = written(world)
    odd = [f"application/openmetrics-text;version=1.{number}.0" for number in range(20)]
    for accept in (*ACCEPTS, *odd, *ACCEPTS):
        world.shift += 1
        assert own.write(accept) == expected(registry, accept)
    assert len(own._formats) <= 4  # pyright: ignore[reportPrivateUsage]


class Steady(World):
    """Without the families that are written by prometheus_client each time."""

    def collect(self) -> Iterable[Metric]:
        return [
            family for family in super().collect() if family.name not in {"some_births", "some_moment", "some_crowd"}
        ]


@pytest.mark.parametrize("accept", ACCEPTS)
def test_a_series_is_escaped_once_and_not_at_every_scrape(accept: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def counting(accept: str) -> Any:
        encode, content_type = choose_encoder(accept)

        def counted(families: Collector) -> bytes:
            asked.extend(family.name for family in families.collect())
            return encode(families)

        return counted, content_type

    monkeypatch.setattr(exposition, "choose_encoder", counting)
    world = Steady()
    own, registry = written(world)
    own.write(accept)
    assert asked == [family.name for family in registry.collect()]
    asked.clear()
    for shift in range(5):
        world.shift = shift
        own.write(accept)
    assert asked == []
    world.classes.append("car")
    own.write(accept)
    assert asked == ["some_gauge", "some_seconds"]


async def test_a_scrape_asks_the_store_nothing_and_is_what_prometheus_client_would_have_written(tmp_path: Path) -> None:
    statements: list[str] = []

    def executed(*_: object) -> None:
        statements.append(threading.current_thread().name)

    event.listen(Engine, "before_cursor_execute", executed)
    try:
        async with (
            serving(tmp_path, classes=("person", "car"), estimate_seconds=1) as live,
            httpx.AsyncClient() as client,
        ):
            call = await live.open()
            await call.play(recording()[:5])
            for accept in ACCEPTS * 2:
                response = await client.get(f"http://{live.service.metrics}/metrics", headers={"accept": accept})
                text, content_type = expected(live.service.registry, accept)
                assert response.headers["content-type"] == content_type
                assert _steady(response.content) == _steady(text)
            await call.close()
    finally:
        event.remove(Engine, "before_cursor_execute", executed)
    # Those who work beside it do ask.
    assert "tertium-quality" in statements
    assert [name for name in statements if "worker" in name.lower()] == []


def _steady(text: bytes) -> list[bytes]:
    """Lines that are the same a moment later."""
    moving = (b"process_", b"grpc_server_", b"tertium_estimate_updated", b"tertium_review_", b"tertium_ledger_bytes")
    return [line for line in text.splitlines() if not line.startswith(moving)]


def test_numbers_are_those_of_go() -> None:
    """Of numpy's kinds, too: engines and tallies hand them over as they have them."""
    rng = np.random.default_rng(5)
    numbers: list[Any] = [*rng.normal(0, 10.0 ** rng.integers(-12, 20, 500)), np.int64(5_000_000), np.float32(0.1)]

    class Numbers(Collector):
        def collect(self) -> Iterable[Metric]:
            gauge = GaugeMetricFamily("some_gauge", "Numbers.", labels=["place"])
            for place, number in enumerate(numbers):
                gauge.add_metric([str(place)], number)
            yield gauge

    registry = CollectorRegistry()
    registry.register(Numbers())
    own = Exposition(registry)
    own.write("")
    numbers.reverse()
    assert own.write("") == expected(registry, "")
