"""Frames, what the scripted server makes of them, and both clients under one set of methods."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterable, Sequence
from types import TracebackType
from typing import Any, Self

import numpy as np

from tertium.v1 import decision_service_pb2
from tertium_client import Answer, AsyncClient, BatchResult, BatchState, Client, Frame, Reconnect, Stream
from tertium_client._decode import answers
from tertium_client._encode import FrameEncoder, frames_message
from tertium_client._settings import StreamSettings
from tests.client.scripted_server import REFUSED_LEFT_EDGE, HashEngine
from tests.servers import PATIENCE

CLASSES = {0: "person", 3: "car"}
SOON = Reconnect(first_delay=0.001, longest_delay=0.01, give_up_after=PATIENCE, connect_within=PATIENCE)
"""Tests do not wait for servers to recover."""
DEFAULTS: dict[str, Any] = {"reconnect": SOON}

Told = tuple[Any, ...]


def frames(count: int, *, seed: int = 0, refused: float = 0.0, first: int = 0) -> list[Frame]:
    """Frames with 0 to 3 detections and gaps between their indices; some are refused by the scripted server."""
    draw = np.random.default_rng(seed)
    out: list[Frame] = []
    index = first
    for _ in range(count):
        detections = int(draw.integers(0, 4))
        boxes = np.cumsum(draw.random((detections, 4)) * 100 + 1, axis=1)
        if detections and draw.random() < refused:
            boxes[0, 0] = REFUSED_LEFT_EDGE
        class_ids = draw.choice([0, 3], detections)
        out.append(Frame(boxes, draw.random(detections), class_ids, frame_index=index, capture_time=index * 33_000_000))
        index += int(draw.integers(1, 3))
    return out


def told(answer: Answer) -> Told:
    """All that an answer says, comparable."""
    decisions = answer.decisions
    decided: Told | None = None
    if decisions is not None:
        arrays = (decisions.track_ids, decisions.probabilities, decisions.verdicts)
        decided = (decisions.frame_index, decisions.policy_version, *(array.tobytes() for array in arrays))
    return answer.frame_index, decided, answer.events, answer.notices


def expected(sent: Sequence[Frame], *, finished: bool = True) -> list[Told]:
    """What an undisturbed stream of the scripted server answers."""
    settings = StreamSettings(stream_id="undisturbed", class_names=CLASSES)
    encoder, engine = FrameEncoder(settings), HashEngine()
    out: list[Answer] = []
    for frame in sent:
        assert frame.frame_index is not None
        encoded = encoder.encode(frame, index=frame.frame_index, most_detections=0)
        request = decision_service_pb2.DecideBatchRequest()
        request.frames.ParseFromString(frames_message([encoded]))
        out += answers(engine.advance_all(request.frames, -1), [encoded.index], settings, [encoded])
    if finished:
        out += answers(engine.finish(), [], settings)
    return [told(answer) for answer in out]


class Kind(ABC):
    """A client and its streams, with the same methods whichever it is. Scenarios are coroutines that use nothing else."""

    name: str

    @abstractmethod
    def client(self, address: str, **options: Any) -> Any:
        """A client for a server."""

    @abstractmethod
    async def together(self, *scenarios: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """Runs scenarios at the same time: in threads or in tasks."""


class Threads(Kind):
    name = "threads"

    def client(self, address: str, **options: Any) -> ThreadsClient:
        return ThreadsClient(Client(address, **(DEFAULTS | options)))

    async def together(self, *scenarios: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        errors: list[BaseException] = []

        def run(scenario: Callable[[], Coroutine[Any, Any, Any]]) -> None:
            try:
                asyncio.run(scenario())
            except BaseException as error:  # noqa: BLE001  # raised below, in the test's own thread
                errors.append(error)

        threads = [threading.Thread(target=run, args=(scenario,)) for scenario in scenarios]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]


class Tasks(Kind):
    name = "asyncio"

    def client(self, address: str, **options: Any) -> AsyncClient:
        return AsyncClient(address, **(DEFAULTS | options))

    async def together(self, *scenarios: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        await asyncio.gather(*(asyncio.create_task(scenario()) for scenario in scenarios))


class ThreadsClient:
    """Client with the methods of AsyncClient. They block: a scenario has its event loop for itself."""

    def __init__(self, client: Client) -> None:
        self.inner = client

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.inner.__exit__(kind, error, trace)

    def open(self, stream_id: str, **options: Any) -> ThreadsOpening:
        return ThreadsOpening(self.inner, stream_id, options)

    async def decide_batch(self, state: BatchState, frames: Iterable[Frame], **options: Any) -> BatchResult:
        return self.inner.decide_batch(state, frames, **options)

    async def close(self) -> None:
        self.inner.close()


class ThreadsOpening:
    """Opens a stream when it is awaited or entered."""

    def __init__(self, client: Client, stream_id: str, options: dict[str, Any]) -> None:
        self._client = client
        self._stream_id = stream_id
        self._options = options

    def __await__(self) -> Generator[Any, None, ThreadsStream]:
        return self._open().__await__()

    async def _open(self) -> ThreadsStream:
        return ThreadsStream(self._client.open(self._stream_id, **self._options))

    async def __aenter__(self) -> ThreadsStream:
        self._stream = await self._open()
        return self._stream

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.inner.__exit__(kind, error, trace)


class ThreadsStream:
    """Stream with the methods of AsyncStream."""

    def __init__(self, stream: Stream) -> None:
        self.inner = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def __aiter__(self) -> AsyncIterator[Answer]:
        for answer in self.inner:
            yield answer

    async def send(self, *arguments: Any, **options: Any) -> int:
        return self.inner.send(*arguments, **options)

    async def receive(self, timeout: float | None = None) -> Answer | None:  # noqa: ASYNC109  # the method under test has it
        return self.inner.receive(timeout)

    async def drain(self) -> AsyncIterator[Answer]:
        for answer in self.inner.drain():
            yield answer

    async def decide(self, frames: Iterable[Frame], **options: Any) -> AsyncIterator[Answer]:
        for answer in self.inner.decide(frames, **options):
            yield answer

    async def close(self, timeout: float = 10.0) -> None:  # noqa: ASYNC109  # the method under test has it
        self.inner.close(timeout)

    async def abort(self) -> None:
        self.inner.abort()


KINDS = (Threads(), Tasks())
