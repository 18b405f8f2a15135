"""What the live page shows, as JSON: taken from the metrics, so that the page and Prometheus never say different things.

Counters are sent as they are; the page makes rates of two of them. What can't be told is null.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client import CollectorRegistry, Metric

from tertium_server.quality.traffic import decided_by_group
from tertium_server.quality.values import MICROS, Stratum
from tertium_server.storage import Database, StoreUnavailableError

Json = dict[str, Any]
Samples = dict[str, list[tuple[dict[str, str], float]]]

_HELD_SECONDS = 1.0
"""Figures are made anew no more often, however many people look."""
_TRAFFIC_HELD_SECONDS = 10.0
_TRAFFIC_MICROS = 3600 * MICROS
_GOLD = "gold"
_OLDEST = "tertium_review_oldest_open_timestamp_seconds"
_FIELDS = {"value": "ratio", "lower": "lower_ratio", "upper": "upper_ratio", "samples": "effective_samples"}


class LiveFigures:
    """Makes the figures. May be asked by any thread."""

    def __init__(
        self,
        registry: CollectorRegistry,
        store: Database,
        groups: Iterable[str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._registry = registry
        self._store = store
        self._groups = tuple(groups)
        self._clock = clock
        self._lock = threading.Lock()
        self._made: Json = {}
        self._made_at = -math.inf
        self._traffic: Json | None = None
        self._traffic_at = -math.inf

    def to_json(self) -> Json:
        """The figures, at most a second old."""
        with self._lock:
            now = self._clock()
            if now - self._made_at >= _HELD_SECONDS:
                self._made = self._make(now)
                self._made_at = now
            return self._made

    def _make(self, now: float) -> Json:
        samples = _samples(self._registry.collect())
        return {
            "time": now,
            "policy": _policy(samples),
            "streams": _total(samples, "tertium_streams_active"),
            "tracks": _total(samples, "tertium_tracks_active"),
            "frames": _total(samples, "tertium_frames_received_total"),
            "verdicts": _by(samples, "tertium_decisions_total", "verdict"),
            "groups": self._by_group(samples, now),
            "queue": _queue(samples),
            "estimates": _estimates(samples),
            "estimated": _total(samples, "tertium_estimate_updated_timestamp_seconds") or None,
            "drift": _by(samples, "tertium_score_population_stability_index", "class"),
        }

    def _by_group(self, samples: Samples, now: float) -> list[Json]:
        streams = _by(samples, "tertium_streams_active", "group")
        frames = _by(samples, "tertium_frames_received_total", "group")
        decided = self._decided(now)
        return [
            {
                "group": name,
                "streams": count,
                "frames": frames.get(name),
                "decided": None if decided is None else decided.get(name),
            }
            for name, count in streams.items()
        ]

    def _decided(self, now: float) -> Json | None:
        """Tracks decided in the last hour by group and verdict; None: the store is away."""
        if now - self._traffic_at >= _TRAFFIC_HELD_SECONDS:
            self._traffic_at = now
            try:
                with self._store.read() as connection:
                    since = round(now * MICROS) - _TRAFFIC_MICROS
                    found = decided_by_group(connection, since, self._groups)
            except StoreUnavailableError:
                self._traffic = None  # the queue's store_up says so, too
            else:
                self._traffic = {name: _verdicts(counts) for name, counts in found.items()}
        return self._traffic


def _verdicts(counts: dict[Stratum, int]) -> Json:
    return {"yes": counts[Stratum.AUTO_YES], "maybe": counts[Stratum.MAYBE], "no": counts[Stratum.AUTO_NO]}


def _samples(families: Iterable[Metric]) -> Samples:
    found: Samples = {}
    for family in families:
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def _finite(value: float) -> float | None:
    """JSON knows no NaN."""
    return value if math.isfinite(value) else None


def _total(samples: Samples, name: str) -> float:
    return sum(value for _, value in samples.get(name, ()))


def _by(samples: Samples, name: str, label: str) -> dict[str, float | None]:
    """Sums by a label's values."""
    sums: dict[str, float] = {}
    for labels, value in samples.get(name, ()):
        sums[labels[label]] = sums.get(labels[label], 0.0) + value
    return {key: _finite(value) for key, value in sums.items()}


def _policy(samples: Samples) -> Json | None:
    for labels, _ in samples.get("tertium_policy_info", ()):
        loaded = _total(samples, "tertium_policy_loaded_timestamp_seconds")
        return {"name": labels["policy"], "version": labels["version"], "loaded": loaded}
    return None


def _queue(samples: Samples) -> Json:
    # Gold cases wait for whoever comes next: they are no work that is left, and never done.
    waiting = {
        name: [(labels, value) for labels, value in samples.get(name, ()) if labels["source"] != _GOLD]
        for name in ("tertium_review_cases", _OLDEST)
    }
    return {
        "waiting": _by(waiting, "tertium_review_cases", "source"),
        "states": _by(waiting, "tertium_review_cases", "state"),
        "oldest": min((value for _, value in waiting[_OLDEST] if value > 0), default=None),
        "votes": _total(samples, "tertium_review_votes_total"),
        "store_up": bool(_total(samples, "tertium_review_store_up")),
    }


def _estimates(samples: Samples) -> list[Json]:
    """One entry for each class, window and method."""
    found: dict[tuple[str, str, str], Json] = {}
    for figure in ("precision", "recall"):
        for field, suffix in _FIELDS.items():
            for labels, value in samples.get(f"tertium_{figure}_estimate_{suffix}", ()):
                key = labels["class"], labels["window"], labels["method"]
                entry = found.setdefault(key, {"class": key[0], "window": key[1], "method": key[2]})
                entry.setdefault(figure, {})[field] = _finite(value)
    return list(found.values())
