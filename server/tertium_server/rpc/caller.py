"""Calls from this program to a running server, for commands."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self

import grpc
from google.rpc import error_details_pb2  # type: ignore[import-untyped]  # nobody's stubs
from grpc_status import rpc_status

from tertium_server.errors import TertiumError

_SECONDS = 30.0


class CallError(TertiumError):
    """A server refused a call, or is not there. Each line of the message is one problem."""

    def __init__(self, message: str, *, needs_token: bool = False) -> None:
        super().__init__(message)
        self.needs_token = needs_token
        """It got no token, or one that it does not know."""


class Caller:
    """``with Caller("HOST:PORT", "tertium.v1.ReviewService") as call``: calls of one service. May be used from any number of threads."""

    def __init__(
        self, address: str, service: str, token: str = "", credentials: grpc.ChannelCredentials | None = None
    ) -> None:
        self._address = address
        self._service = service
        self._metadata = (("authorization", f"Bearer {token}"),) if token else ()
        self._channel = (
            grpc.insecure_channel(address) if credentials is None else grpc.secure_channel(address, credentials)
        )

    def unary(self, method: str, request: Any, response: Any) -> Any:  # noqa: ANN401  # messages of any method
        """The response to one request; ``response`` is its class.

        Raises:
            CallError: the server refused, or is not there.
        """
        call: Callable[..., Any] = self._channel.unary_unary(
            f"/{self._service}/{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=response.FromString,
        )
        return self._called(call, request, _SECONDS)

    def stream(self, method: str, requests: Iterable[Any], response: Any) -> Any:  # noqa: ANN401  # likewise
        """The response to a stream of requests, however long they take to come.

        Raises:
            CallError: the server refused, or is not there.
        """
        call: Callable[..., Any] = self._channel.stream_unary(
            f"/{self._service}/{method}",
            request_serializer=_serialized,
            response_deserializer=response.FromString,
        )
        return self._called(call, iter(requests), None)

    def _called(self, call: Callable[..., Any], request: Any, seconds: float | None) -> Any:  # noqa: ANN401  # likewise
        try:
            return call(request, timeout=seconds, metadata=self._metadata)
        except grpc.RpcError as error:
            needs_token = error.code() is grpc.StatusCode.UNAUTHENTICATED
            raise CallError(
                "\n".join(_problems(error, self._address, self._service)), needs_token=needs_token
            ) from error

    def close(self) -> None:
        """Hangs up."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _serialized(request: Any) -> bytes:  # noqa: ANN401  # a message of any kind
    data: bytes = request.SerializeToString()
    return data


def _problems(error: Any, address: str, service: str) -> list[str]:  # noqa: ANN401 - grpc's errors are calls, too
    status = rpc_status.from_call(error)
    for detail in [] if status is None else status.details:
        bad = error_details_pb2.BadRequest()
        if detail.Unpack(bad):
            return [f"{each.field}: {each.description}" for each in bad.field_violations]
    if error.code() is grpc.StatusCode.UNAVAILABLE and status is None:
        return [f"server {address}: is not there ({error.details()}); name a running one with --server HOST:PORT"]
    if error.code() is grpc.StatusCode.UNIMPLEMENTED and status is None:
        remedy = "with --no-review a server has neither review nor quality, and an older one has less: name another with --server HOST:PORT"
        return [f"server {address}: has no such call of {service} ({error.details()}); {remedy}"]
    return [f"server {address}: {error.details()}"]
