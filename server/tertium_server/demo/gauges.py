"""A few figures of the server's own metrics, read over HTTP like Prometheus does."""

from __future__ import annotations

import threading
import urllib.request
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from prometheus_client.parser import text_string_to_metric_families

_EVERY = 1.0
_TIMEOUT = 2.0


@dataclass(frozen=True, slots=True)
class Figures:
    """What the server counts."""

    frames: int
    """Frames received."""
    streams: int
    """Streams open."""
    tracks: int
    """Tracks alive, candidates included."""
    milliseconds: float
    """From a message to its answer, on average."""


class Gauges:
    """Reads the metrics once a second while the demo runs."""

    def __init__(self, address: str) -> None:
        self.url = f"http://{address}/metrics"
        """Where the metrics are."""
        self.figures: Figures | None = None
        """What they last said; None: nothing yet."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def read(self) -> Figures:
        """The figures now.

        Raises:
            OSError: they can't be read.
        """
        with urllib.request.urlopen(self.url, timeout=_TIMEOUT) as response:  # noqa: S310  # http, our own server
            text = response.read().decode()
        sums: dict[str, float] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                sums[sample.name] = sums.get(sample.name, 0.0) + sample.value
        answers = sums["tertium_fusion_latency_seconds_count"]
        return Figures(
            frames=int(sums["tertium_frames_received_total"]),
            streams=int(sums["tertium_streams_active"]),
            tracks=int(sums["tertium_tracks_active"]),
            milliseconds=1000 * sums["tertium_fusion_latency_seconds_sum"] / answers if answers else 0.0,
        )

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.figures = self.read()
            except OSError:
                # The server may be about to stop; the demo says of its streams what there is to say.
                self.figures = None
            self._stop.wait(_EVERY)
