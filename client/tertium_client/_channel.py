"""How a server is reached: the same for both clients."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypedDict
from urllib.parse import quote

import grpc

from tertium_client._backoff import Backoff, Reconnect
from tertium_client._peer import Peer
from tertium_client._status import Status
from tertium_client.errors import InvalidSettingsError

DECIDE = "/tertium.v1.DecisionService/Decide"
DECIDE_BATCH = "/tertium.v1.DecisionService/DecideBatch"

STREAM_KEY = "x-stream-key"
"""Metadata by which proxies choose the server of a stream, so that all its calls meet the same one while it lives."""

_MOST_PORT = 65535

Metadata = tuple[tuple[str, str | bytes], ...]


class ConnectionOptions(TypedDict, total=False):
    """The keyword arguments of both clients: see Connection, where each is described."""

    credentials: grpc.ChannelCredentials | None
    metadata: Iterable[tuple[str, str | bytes]]
    reconnect: Reconnect
    keepalive: float
    max_message_bytes: int
    channel_options: Iterable[tuple[str, str | int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Where the server is and how to speak to it."""

    address: str
    """HOST:PORT, or any other name that gRPC resolves (`dns:///…`, `unix:…`)."""
    credentials: grpc.ChannelCredentials | None = None
    """As grpc.ssl_channel_credentials() makes them; None: without TLS."""
    metadata: Iterable[tuple[str, str | bytes]] = field(default=(), repr=False)
    """Sent with each call, such as ("authorization", "Bearer …"). Not shown by repr."""
    reconnect: Reconnect = field(default_factory=Reconnect)
    """How breaks are mended."""
    keepalive: float = 30.0
    """Seconds of silence after which the connection is probed while a stream is open, 10 or more; 0: never."""
    max_message_bytes: int = 16 * 2**20
    """The largest answer that is taken."""
    channel_options: Iterable[tuple[str, str | int]] = ()
    """Further options of the gRPC channel; they win over those made of the values above."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "metadata", tuple(self.metadata))
        object.__setattr__(self, "channel_options", tuple(self.channel_options))
        _check_address(self.address)
        if self.keepalive and not self.keepalive >= 10:  # noqa: PLR2004  # servers take more frequent probes for an attack
            raise InvalidSettingsError("keepalive", f"{self.keepalive} is not 0 (never) and not 10 seconds or more")
        if self.max_message_bytes < 1:
            raise InvalidSettingsError("max_message_bytes", f"{self.max_message_bytes} is not 1 byte or more")

    def options(self) -> list[tuple[str, str | int]]:
        """The options of the gRPC channel."""
        reconnect = self.reconnect
        options: dict[str, str | int] = {
            "grpc.max_receive_message_length": self.max_message_bytes,
            # A channel that waits longer between its own attempts than Reconnect does would make most of ours fail without having tried.
            "grpc.initial_reconnect_backoff_ms": max(100, round(reconnect.first_delay * 1000)),
            "grpc.min_reconnect_backoff_ms": 1000,
            "grpc.max_reconnect_backoff_ms": max(1000, round(reconnect.longest_delay * 1000)),
            # Streams are repeated by this package, from the checkpoint; gRPC's own retries would repeat them from their beginning.
            "grpc.enable_retries": 0,
        }
        if self.keepalive:
            options |= {
                "grpc.keepalive_time_ms": round(self.keepalive * 1000),
                "grpc.keepalive_timeout_ms": 10_000,
                "grpc.http2.max_pings_without_data": 0,
            }
        return list((options | dict(self.channel_options)).items())

    @property
    def peer(self) -> Peer:
        """The server as errors name it."""
        return Peer(self.address, encrypted=self.credentials is not None)

    def call_metadata(self, stream_id: str) -> Metadata:
        """The metadata of a call that belongs to a stream. Names that are not ASCII are written with percent signs, as in an URL."""
        key = stream_id if stream_id.isascii() else quote(stream_id)
        return ((STREAM_KEY, key), *self.metadata)


def _check_address(address: str) -> None:
    if not address:
        raise InvalidSettingsError("address", "empty: give HOST:PORT")
    if address.startswith(("http://", "https://", "grpc://", "grpcs://")):
        raise InvalidSettingsError(
            "address", "is a URL: give HOST:PORT; TLS is what credentials=grpc.ssl_channel_credentials() is for"
        )
    port = address.rpartition(":")[2]
    if port.isdecimal() and int(port) > _MOST_PORT:  # gRPC would take what is left of it after a division
        raise InvalidSettingsError("address", f"its port does not lie between 1 and {_MOST_PORT}")


class Attempts:
    """The attempts of a unary call: how long to wait before the next one, and what to raise when there is none."""

    def __init__(
        self, connection: Connection, now: float, uniform: Callable[[float, float], float] = random.uniform
    ) -> None:
        self._peer = connection.peer
        self._backoff = Backoff(connection.reconnect, now, uniform)

    def delay_after(self, error: grpc.RpcError | grpc.aio.AioRpcError, now: float) -> float:
        """Seconds to wait before the next attempt.

        Raises:
            TertiumError: the error is not worth another attempt, or patience ran out.
        """
        status = status_of(error)
        # A time-out is that of one attempt: the call may be repeated, for the same state and frames give the same answer.
        if not status.retryable and status.code is not grpc.StatusCode.DEADLINE_EXCEEDED:
            raise self._peer.refusal(status) from error
        delay = self._backoff.next_delay(now)
        if delay is None:
            raise self._peer.lost(status, self._backoff.attempts + 1) from error
        return delay


def status_of(error: grpc.RpcError) -> Status:
    """The status that a failed call carries; sync and asyncio calls tell it by the same names."""
    if not isinstance(error, grpc.Call | grpc.aio.AioRpcError):
        return Status(grpc.StatusCode.UNKNOWN, str(error))
    trailers: Sequence[tuple[str, str | bytes]] = tuple(error.trailing_metadata() or ())
    return Status.of(error.code(), error.details(), trailers)
