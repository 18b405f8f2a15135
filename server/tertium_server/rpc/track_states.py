"""How many of the tracks alive go without a detection at this moment: what a detector that begins to miss shows first.

Read off the engines when somebody scrapes. Nothing waits for that: a track that is just being changed is told as it was, or as it will be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tertium_server.metrics import OTHER, CountedStream
from tertium_server.rpc.stream import Stream


class TrackStates(Collector):
    """Established tracks of all open streams, and those of them that coast, by group."""

    def __init__(self, streams: Callable[[], Iterable[CountedStream]], groups: Iterable[str]) -> None:
        self._streams = streams
        self._groups = tuple(dict.fromkeys((*groups, OTHER)))

    def collect(self) -> Iterator[Metric]:
        """The families."""
        established, coasting = dict.fromkeys(self._groups, 0), dict.fromkeys(self._groups, 0)
        for stream in self._streams():
            if not isinstance(stream, Stream):
                continue
            group = stream.group if stream.group in established else OTHER
            records = stream.engine.records
            known = records["established"] != 0
            established[group] += int(np.count_nonzero(known))
            coasting[group] += int(np.count_nonzero(known & (records["misses_in_a_row"] > 0)))
        yield _gauge("tertium_tracks_established", "Tracks alive that are no candidates any more.", established)
        yield _gauge(
            "tertium_tracks_coasting",
            "Of these, tracks without a detection in the last frame, though they should have been seen.",
            coasting,
        )


def _gauge(name: str, text: str, counts: dict[str, int]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=["group"])
    for group, count in counts.items():
        family.add_metric([group], count)
    return family
