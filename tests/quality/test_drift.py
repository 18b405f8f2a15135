"""Drift of scores: the index against sums by hand, and what is told of the store."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from tertium_server.policy import Policy
from tertium_server.policy.reference import Reference
from tertium_server.quality.drift import BINS, LEAST_TRACKS, DriftMetrics, merged, stability_index
from tertium_server.review.values import MICROS
from tertium_server.storage import Database
from tests.policies import plain_data
from tests.review.builders import START, booking, office
from tests.stores import sqlite_store

NOW = START / MICROS


def test_the_index_is_the_sum_of_its_bins() -> None:
    live, tuned = [600.0, 400.0], [500.0, 500.0]
    a, b = 600.5 / 1001, 500.5 / 1001
    expected = (a - b) * math.log(a / b) + ((1 - a) - (1 - b)) * math.log((1 - a) / (1 - b))
    assert stability_index(live, tuned) == pytest.approx(expected - 2 / 1000)


def test_samples_of_one_population_do_not_drift_however_small_they_are() -> None:
    random = np.random.default_rng(5)
    shares = np.array([8, 5, 3, 2, 1, 1, 2, 3, 6, 9]) / 40
    found = [
        stability_index(random.multinomial(150, shares).tolist(), random.multinomial(150, shares).tolist())
        for _ in range(300)
    ]
    raw = 9 * 2 / 150
    assert np.mean(found) < raw / 3  # without the correction it is raw
    assert np.quantile(found, 0.99) < 0.25


def test_another_population_drifts() -> None:
    before = [10.0, 10, 10, 10, 10, 10, 10, 10, 10, 110]
    after = [110.0, 10, 10, 10, 10, 10, 10, 10, 10, 10]
    assert stability_index(after, before) > 1
    assert stability_index([0.0] * 9 + [200], [200.0] + [0.0] * 9) < math.inf


@pytest.mark.parametrize(("live", "tuned"), [(LEAST_TRACKS - 1, 500), (500, LEAST_TRACKS - 1), (0, 0)])
def test_of_a_thin_sample_nothing_is_said(live: int, tuned: int) -> None:
    assert math.isnan(stability_index([float(live), 0], [float(tuned), 0]))


def test_wider_bins_hold_what_the_narrow_ones_held() -> None:
    assert merged(range(20)) == [1, 5, 9, 13, 17, 21, 25, 29, 33, 37]


class Store:
    """A store with decisions, and the metrics on it."""

    def __init__(self, database: Database) -> None:
        self.office = office(database)
        self.tracks = 0
        self.policy = Policy.model_validate(plain_data())
        self.metrics = DriftMetrics(database, lambda: self.policy, ("person",), lambda: NOW)
        self.registry = CollectorRegistry()
        self.registry.register(self.metrics)

    def decide(self, probability: float, count: int, **changes: Any) -> None:
        first, self.tracks = self.tracks + 1, self.tracks + count
        self.office.book([
            booking(track, probability=probability, **changes) for track in range(first, self.tracks + 1)
        ])  # fmt: skip

    def value(self, name: str, **labels: str) -> float:
        found = self.registry.get_sample_value(f"tertium_score_population_{name}", labels)
        assert found is not None
        return found

    def index(self, name: str) -> float:
        return self.value("stability_index", **{"class": name})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    database = sqlite_store(tmp_path)
    yield Store(database)
    database.close()


def test_live_scores_are_compared_with_those_of_the_policy_by_class(store: Store) -> None:
    assert math.isnan(store.index("person"))
    low, high = tuple([200] + [0] * 19), tuple([0] * 19 + [200])
    store.policy = store.policy.model_copy(
        update={"reference": Reference(scores={"person": low, "car": low, "dog": high})}
    )
    store.decide(0.02, 150)
    store.decide(0.999, 100, class_name="cat")  # neither class is told apart
    store.decide(1.0, 100, class_name="car")
    store.metrics.update()
    assert store.index("person") == 0.0
    assert store.index("other") > 1
    assert store.value("tracks", population="live", **{"class": "other"}) == 200
    assert store.value("tracks", population="tuned", **{"class": "other"}) == 400
    live, tuned = [0.0] * 9 + [200.0], [200.0] + [0.0] * 8 + [200.0]
    assert store.index("other") == pytest.approx(stability_index(live, tuned))


def test_what_is_older_than_a_day_counts_no_more(store: Store) -> None:
    store.policy = store.policy.model_copy(update={"reference": Reference(scores={"person": (50,) * 20})})
    store.decide(0.5, 120, decided_at=START - 86_401 * MICROS)
    store.decide(0.5, 30)
    store.metrics.update()
    assert store.value("tracks", population="live", **{"class": "person"}) == 30
    assert math.isnan(store.index("person"))


@pytest.mark.parametrize("place", range(BINS))
def test_each_score_falls_into_its_bin(store: Store, place: int) -> None:
    counts = [0] * 20
    counts[2 * place] = 300
    store.policy = store.policy.model_copy(update={"reference": Reference(scores={"person": tuple(counts)})})
    store.decide(place / BINS, 110)
    store.metrics.update()
    assert store.index("person") == 0.0
