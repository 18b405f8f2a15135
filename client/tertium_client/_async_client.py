"""The client for asyncio."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator, Iterable
from types import TracebackType
from typing import Any, Self, Unpack
from weakref import WeakSet

import grpc
import grpc.aio

from tertium.v1 import decision_service_pb2
from tertium_client._async_stream import AsyncStream, Decide
from tertium_client._batch import BatchCall, BatchResult, BatchState
from tertium_client._channel import DECIDE, DECIDE_BATCH, Attempts, Connection, ConnectionOptions
from tertium_client._encode import Frame
from tertium_client._recording import ClientRecording, Record
from tertium_client._session import Session
from tertium_client._settings import Flow, OpenOptions, StreamSettings, split_options
from tertium_client._stream_facts import closed_client
from tertium_client.errors import UsageError

_DecideBatch = grpc.aio.UnaryUnaryMultiCallable[bytes, decision_service_pb2.DecideBatchResponse]


class AsyncClient:
    """A connection to a Tertium server, for any number of streams of one event loop.

        async with AsyncClient("127.0.0.1:7413") as client, client.open("gate", class_names={0: "person"}, nominal_fps=30) as stream:
            async for answer in stream.decide(frames):
                if answer.decisions is not None:
                    print(answer.frame_index, answer.decisions.verdicts)

    The connection is made with the first call. The options are those of Client.
    """

    def __init__(self, address: str, *, record: Record | None = None, **options: Unpack[ConnectionOptions]) -> None:
        self._connection = Connection(address=address, **options)
        self._recording = ClientRecording(record)
        self._streams: WeakSet[AsyncStream] = WeakSet()
        self._channel: grpc.aio.Channel | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    def __repr__(self) -> str:
        return f"AsyncClient({self._connection.address!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def open(self, stream_id: str, **options: Unpack[OpenOptions]) -> Opening:
        """Opens a stream, as `async with client.open(…) as stream` or `stream = await client.open(…)`. Options and errors: see Client.open."""
        settings, flow = split_options(stream_id, options)
        return Opening(self, settings, flow)

    async def start(self, settings: StreamSettings, flow: Flow) -> AsyncStream:
        """Opens a stream with settings that were checked."""
        connection = self._connection
        session = Session(
            settings, flow, connection.reconnect, time.monotonic(), self._recording.recorder, connection.peer
        )
        decide: Decide = self._connected().stream_stream(
            DECIDE, request_serializer=_as_is, response_deserializer=decision_service_pb2.DecideResponse.FromString
        )
        stream = AsyncStream(session, decide, self._connection.call_metadata(settings.stream_id))
        self._streams.add(stream)
        await stream.wait_until_open()
        return stream

    async def decide_batch(
        self,
        state: BatchState,
        frames: Iterable[Frame],
        *,
        end_of_stream: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109  # as above
    ) -> BatchResult:
        """Decides frames in one call; the state says which came before. See Client.decide_batch."""
        call = BatchCall.of(state, frames, end_of_stream=end_of_stream)
        decide_batch: _DecideBatch = self._connected().unary_unary(
            DECIDE_BATCH,
            request_serializer=_as_is,
            response_deserializer=decision_service_pb2.DecideBatchResponse.FromString,
        )
        request, metadata = call.request(), self._connection.call_metadata(state.settings.stream_id)
        attempts = Attempts(self._connection, time.monotonic())
        while True:
            self._connected()
            try:
                return call.result(await decide_batch(request, metadata=metadata, timeout=timeout))
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if self._closed and task is not None and not task.cancelling():  # the call was cancelled, by close()
                    raise closed_client() from None
                raise
            except grpc.RpcError as error:
                await asyncio.sleep(attempts.delay_after(error, time.monotonic()))

    async def close(self) -> None:
        """Closes the connection. Streams that are still open are broken off: reading them raises StreamClosedError."""
        self._closed = True
        for stream in list(self._streams):
            await stream.client_closes()
        if self._channel is not None:
            await self._channel.close()
        if self._recording.recorder is not None:
            await asyncio.to_thread(self._recording.close)

    def _connected(self) -> grpc.aio.Channel:
        """The channel; made here because it belongs to the event loop that is running.

        Raises:
            StreamClosedError: the client was closed.
            UsageError: another event loop runs.
        """
        if self._closed:
            raise closed_client()
        loop = asyncio.get_running_loop()
        if self._channel is None:
            connection = self._connection
            self._loop = loop
            if connection.credentials is None:
                self._channel = grpc.aio.insecure_channel(connection.address, connection.options())
            else:
                self._channel = grpc.aio.secure_channel(
                    connection.address, connection.credentials, connection.options()
                )
        if self._loop is not loop:
            raise UsageError(
                "the client belongs to the event loop that it was first used in: make one in each, inside of what asyncio.run() runs"
            )
        return self._channel


class Opening:
    """A stream about to be opened: to be awaited, or entered with `async with`."""

    def __init__(self, client: AsyncClient, settings: StreamSettings, flow: Flow) -> None:
        self._client = client
        self._settings = settings
        self._flow = flow
        self._stream: AsyncStream | None = None

    def __await__(self) -> Generator[Any, None, AsyncStream]:
        return self._client.start(self._settings, self._flow).__await__()

    async def __aenter__(self) -> AsyncStream:
        self._stream = await self
        return self._stream

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream is not None:
            await self._stream.__aexit__(kind, error, trace)


def _as_is(request: bytes) -> bytes:
    """Requests come encoded."""
    return request
