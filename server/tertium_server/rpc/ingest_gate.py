"""Who may send frames: where the server has a file of tokens, callers of DecisionService show one with the role ``ingest``.

Looked at once a call, before anything of it is read: no frame of an open stream waits for it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from grpc import aio

from tertium_server.errors import RequestError
from tertium_server.review.access import Gate, Role
from tertium_server.rpc.status import abort

_Handler = Any


class IngestGate(aio.ServerInterceptor):
    """Refuses calls of one service whose caller may not send frames: UNAUTHENTICATED or PERMISSION_DENIED."""

    def __init__(self, gate: Gate, service: str) -> None:
        self._gate = gate
        self._prefix = f"/{service}/"

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[_Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> _Handler:
        """Hands the call on, or to a handler that refuses it."""
        handler = await continuation(handler_call_details)
        if handler is None or not str(handler_call_details.method).startswith(self._prefix):
            return handler
        try:
            self._gate.identify(_token(handler_call_details)).require(Role.INGEST)
        except RequestError as error:
            return _refusing(handler, error)
        return handler


def _token(details: Any) -> str:  # noqa: ANN401 - grpc's stubs leave metadata open
    metadata = dict(details.invocation_metadata or ())
    kind, _, token = str(metadata.get("authorization", "")).partition(" ")
    return token if kind.lower() == "bearer" else ""


def _refusing(handler: _Handler, error: RequestError) -> _Handler:
    """A handler of the same kind that answers with an error."""

    async def refuse(_request: Any, context: Any) -> Any:  # noqa: ANN401 - whatever the method takes and gives
        await abort(context, error)

    async def refuse_stream(_request: Any, context: Any) -> Any:  # noqa: ANN401 - as above
        await abort(context, error)
        yield  # never reached: it makes this a generator, as responses that are streamed are

    kind = "stream" if handler.request_streaming else "unary"
    kind += "_stream" if handler.response_streaming else "_unary"
    make: Callable[..., _Handler] = getattr(grpc, f"{kind}_rpc_method_handler")
    return make(
        refuse_stream if handler.response_streaming else refuse,
        request_deserializer=handler.request_deserializer,
        response_serializer=handler.response_serializer,
    )
