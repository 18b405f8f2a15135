"""Decisions on their way to the ledger: streams hand over the messages they have handled, a thread writes them down.

A stream's thread makes a pair and puts it into a queue, no more. Where the queue holds as much as it may, messages are dropped, and counted.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tertium_server.engine import FrameColumns, StreamSettings
from tertium_server.logs import Throttle, get_logger
from tertium_server.quality.ledger import Heading, Ledger, Message
from tertium_server.rpc.film import Entry
from tertium_server.rpc.twin import twin_class

_REQUEST: Any = twin_class("DecideRequest")
_RESPONSE: Any = twin_class("DecideResponse")
_INT64 = np.dtype("<i8")
_MOST_WAITING = 64 << 20
"""Bytes in the queue."""
_PAGE_BYTES = 128 << 10
_PAGE_SECONDS = 5.0
"""A crash costs so much of what was decided last."""
_TICK_SECONDS = 0.25
_FLUSH_SECONDS = 5.0


class KeptStream:
    """One epoch of one stream, as the ledger knows it."""

    __slots__ = ("_keeping", "class_names", "epoch", "stream_id")

    def __init__(self, keeping: DecisionKeeping, stream_id: str, epoch: int, settings: StreamSettings) -> None:
        self._keeping = keeping
        self.stream_id = stream_id
        self.epoch = epoch
        self.class_names = settings.class_names

    def keep(self, entry: Entry, size: int) -> None:
        """Takes a message and its response, about ``size`` bytes together. Never waits."""
        self._keeping.take(self, entry, size)


@dataclass(slots=True)
class _Draft:
    """A page that is not written yet."""

    stream: KeptStream
    began: float
    messages: list[Message] = field(default_factory=list[Message])
    size: int = 0
    is_mixed: bool = False
    """Its messages came by several calls, and may repeat each other."""


class DecisionKeeping(Collector):
    """See the module."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.lost = 0
        """Messages that were not written."""
        self._queue: deque[tuple[KeptStream, int, Entry, int]] = deque()
        # Each counter has writers of its own. A lost addition is made up for whenever the queue is empty.
        self._taken = 0
        self._written = 0
        self._drafts: dict[tuple[str, int], _Draft] = {}
        self._stopping = False
        self._flush_wanted = threading.Event()
        self._flushing: deque[threading.Event] = deque()
        self._log = get_logger("quality")
        self._complaints = Throttle()
        self._thread = threading.Thread(target=self._run, name="tertium-ledger", daemon=True)

    def begin(self, stream_id: str, epoch: int, settings: StreamSettings) -> KeptStream:
        """Where a stream hands its messages over."""
        return KeptStream(self, stream_id, epoch, settings)

    def take(self, stream: KeptStream, entry: Entry, size: int) -> None:
        """Puts a message into the queue, or drops it."""
        if self._taken - self._written + size > _MOST_WAITING:
            self.lost += 1
            return
        self._taken += size
        self._queue.append((stream, time.time_ns() // 1000, entry, size))

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """Writes what waits, and ends."""
        self._stopping = True
        self._flush_wanted.set()
        if self._thread.is_alive():
            self._thread.join(seconds)

    def flush(self) -> None:
        """Has all written that was handed over before, so that it can be read."""
        if not self._thread.is_alive():
            self.work(everything=True)
            return
        flushed = threading.Event()
        self._flushing.append(flushed)
        self._flush_wanted.set()
        flushed.wait(_FLUSH_SECONDS)

    def collect(self) -> Iterator[Metric]:
        """What Prometheus is told."""
        yield CounterMetricFamily(
            "tertium_ledger_lost_messages",
            "Messages that were decided and not kept for truth to come.",
            value=self.lost,
        )
        yield GaugeMetricFamily(
            "tertium_ledger_bytes", "Bytes of decisions kept for truth to come.", value=self.ledger.size
        )

    def _run(self) -> None:
        while not self._stopping:
            wanted = self._flush_wanted.wait(_TICK_SECONDS)
            self._flush_wanted.clear()
            # Whoever asks from here on is served by the next round: what they wait for may not be in the queue yet.
            waiting = [self._flushing.popleft() for _ in range(len(self._flushing))]
            self.work(everything=wanted or bool(waiting))
            for flushed in waiting:
                flushed.set()
        self.work(everything=True)
        for flushed in self._flushing:
            flushed.set()

    def work(self, *, everything: bool = False) -> None:
        """Writes pages that are full or old, or all. Called by the thread, and by tests."""
        while self._queue:
            stream, decided_at, entry, size = self._queue.popleft()
            draft = self._draft_for(stream)
            draft.messages.append(Message(decided_at, _request_bytes(entry), entry[1]))
            draft.size += size
            self._written += size
            if draft.size >= _PAGE_BYTES:
                self._write(draft)
        now = time.monotonic()
        for draft in [each for each in self._drafts.values() if everything or now - each.began >= _PAGE_SECONDS]:
            self._write(draft)
        if not self._queue:
            self._written = self._taken

    def _draft_for(self, stream: KeptStream) -> _Draft:
        """The page that a stream's next message goes to. Callers of DecideBatch share one, for each of their messages comes by a call of its own."""
        draft = self._drafts.get((stream.stream_id, stream.epoch))
        if draft is not None and draft.stream is not stream:
            if draft.stream.class_names == stream.class_names:
                draft.is_mixed = True
            else:
                self._write(draft)
                draft = None
        if draft is None:
            draft = self._drafts[stream.stream_id, stream.epoch] = _Draft(stream, time.monotonic())
        return draft

    def _write(self, draft: _Draft) -> None:
        stream, messages = draft.stream, draft.messages
        del self._drafts[stream.stream_id, stream.epoch]
        try:
            span = _whole_span(messages) if draft.is_mixed else _span(messages)
            if span is not None:
                newest = messages[-1].decided_at
                heading = Heading(stream.stream_id, stream.epoch, stream.class_names, *span, newest)
                self.ledger.append(heading, messages)
        except Exception as error:  # noqa: BLE001 - a full disk must not end the keeping of what comes when there is room again
            self.lost += len(messages)
            held = self._complaints.admit(type(error).__name__)
            if held is not None:
                self._log.error("decisions can't be kept for truth to come", error=str(error), held_back=held)


def _request_bytes(entry: Entry) -> bytes:
    request = entry[0]
    return request if isinstance(request, bytes) else _serialized(request)


def _serialized(frames: FrameColumns) -> bytes:
    """Columns as a request on the wire."""
    request = _REQUEST()
    request.frames.SetInParent()
    names = ("frame_indices", "capture_times", "detection_counts", "boxes", "scores", "class_ids", "track_ids")
    columns: tuple[NDArray[Any], ...] = tuple(frames)
    for name, column in zip(names, columns, strict=True):
        setattr(request.frames, name, column.tobytes())
    return bytes(request.SerializeToString())


def _span(messages: list[Message]) -> tuple[int, int] | None:
    """The least and the largest index of frames that were decided; None: none was."""
    # Indices of decided frames increase over a stream.
    first = next((found for each in messages if len(found := _decided(each))), None)
    last = next((found for each in reversed(messages) if len(found := _decided(each))), None)
    return None if first is None or last is None else (int(first[0]), int(last[-1]))


def _whole_span(messages: list[Message]) -> tuple[int, int] | None:
    """The same of messages in no order."""
    spans = [span for each in messages if (span := _span([each])) is not None]
    return (min(first for first, _ in spans), max(last for _, last in spans)) if spans else None


def _decided(message: Message) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.frombuffer(_RESPONSE.FromString(message.response).decisions.frame_indices, _INT64)
