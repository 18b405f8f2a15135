"""The client for threads."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Self, Unpack
from weakref import WeakSet

import grpc

from tertium.v1 import decision_service_pb2
from tertium_client._batch import BatchCall, BatchResult, BatchState
from tertium_client._channel import DECIDE, DECIDE_BATCH, Attempts, Connection, ConnectionOptions
from tertium_client._encode import Frame
from tertium_client._recording import ClientRecording, Record
from tertium_client._session import Session
from tertium_client._settings import OpenOptions, split_options
from tertium_client._stream import Stream
from tertium_client._stream_facts import closed_client
from tertium_client.errors import UsageError


class Client:
    """A connection to a Tertium server, for any number of streams and threads.

        with Client("127.0.0.1:7413") as client, client.open("gate", class_names={0: "person"}, nominal_fps=30) as stream:
            for answer in stream.decide(frames):
                if answer.decisions is not None:
                    print(answer.frame_index, answer.decisions.verdicts)

    The connection is made with the first call. Options:

    - `credentials`: as grpc.ssl_channel_credentials(…) makes them; without, the connection is not encrypted.
    - `metadata`: pairs sent with each call, such as ("authorization", "Bearer …").
    - `reconnect`: a Reconnect, which says how breaks are mended.
    - `keepalive`: seconds of silence after which the connection is probed while a stream is open (30; 10 or more; 0: never).
    - `max_message_bytes`: the largest answer that is taken (16 MiB).
    - `channel_options`: further options of the gRPC channel, which win over those made of the ones above.
    - `record`: a folder to record in what streams send, or a tertium.recording.Recorder; see docs/recording.md. No sender ever waits for it.

    Raises:
        InvalidSettingsError: an option is outside its range.
    """

    def __init__(self, address: str, *, record: Record | None = None, **options: Unpack[ConnectionOptions]) -> None:
        self._connection = Connection(address=address, **options)
        self._recording = ClientRecording(record)
        self._streams: WeakSet[Stream] = WeakSet()
        self._lock = threading.Lock()
        """Guards the streams: none is added once the client is closed."""
        self._closed = False
        self._process = os.getpid()
        self._channel = _channel(self._connection)
        self._decide = self._channel.stream_stream(
            DECIDE, request_serializer=_as_is, response_deserializer=decision_service_pb2.DecideResponse.FromString
        )
        self._decide_batch = self._channel.unary_unary(
            DECIDE_BATCH,
            request_serializer=_as_is,
            response_deserializer=decision_service_pb2.DecideBatchResponse.FromString,
        )

    def __repr__(self) -> str:
        return f"Client({self._connection.address!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def open(self, stream_id: str, **options: Unpack[OpenOptions]) -> Stream:
        """Opens a stream and waits until the server has opened it.

        `batch` frames go in one message where so many come within `batch_delay` seconds; it changes nothing but speed. `max_in_flight` frames
        at most await their answers. The other options are the fields of StreamSettings.

        Raises:
            InvalidSettingsError: an option is outside its range.
            RefusedError: the server refused an option.
            OverloadedError: the server has no room for another stream now; see retry_after.
            DisconnectedError: no server answered within Reconnect.connect_within.
            StreamClosedError: the client was closed, before or while it waited.
        """
        settings, flow = split_options(stream_id, options)
        connection = self._connection
        session = Session(
            settings, flow, connection.reconnect, time.monotonic(), self._recording.recorder, connection.peer
        )
        self._check_process()
        with self._lock:
            self._check_open()
            stream = Stream(session, self._decide, self._connection.call_metadata(stream_id))
            self._streams.add(stream)
        try:
            stream.wait_until_open()
        except BaseException:  # Ctrl-C, too: nobody else could end it
            stream.abort()
            raise
        return stream

    def decide_batch(
        self, state: BatchState, frames: Iterable[Frame], *, end_of_stream: bool = False, timeout: float | None = None
    ) -> BatchResult:
        """Decides frames in one call; the state says which came before. See BatchState.start. `timeout` in seconds is that of one attempt.

        Raises:
            InvalidFrameError: a frame does not fit the stream.
            RefusedError: the server refused an option or the state.
            OverloadedError: the server has no room now (see retry_after), or takes no call so large.
            DisconnectedError: no attempt within Reconnect.connect_within succeeded.
            StreamClosedError: the client was closed.
        """
        self._check_process()
        call = BatchCall.of(state, frames, end_of_stream=end_of_stream)
        request, metadata = call.request(), self._connection.call_metadata(state.settings.stream_id)
        attempts = Attempts(self._connection, time.monotonic())
        while True:
            self._check_open()
            try:
                return call.result(self._decide_batch(request, metadata=metadata, timeout=timeout))
            except grpc.RpcError as error:
                time.sleep(attempts.delay_after(error, time.monotonic()))

    def close(self) -> None:
        """Closes the connection. Streams that are still open are broken off: reading them raises StreamClosedError."""
        if os.getpid() != self._process:
            return  # a fork of the process that has the connection
        with self._lock:
            self._closed = True
            streams = list(self._streams)
        for stream in streams:
            stream.client_closes()
        self._channel.close()
        self._recording.close()

    def _check_process(self) -> None:
        if os.getpid() != self._process:
            raise UsageError(
                f"the client was made by process {self._process}, and this is process {os.getpid()}, forked from it: make one in each process"
            )

    def _check_open(self) -> None:
        if self._closed:
            raise closed_client()


def _channel(connection: Connection) -> grpc.Channel:
    if connection.credentials is None:
        return grpc.insecure_channel(connection.address, connection.options())
    return grpc.secure_channel(connection.address, connection.credentials, connection.options())


def _as_is(request: bytes) -> bytes:
    """Requests come encoded."""
    return request
