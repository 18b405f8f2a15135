"""The standard gRPC server metrics, counted around every method."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from inspect import isasyncgenfunction
from time import perf_counter
from typing import Any

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from grpc import aio

from tertium_server.metrics import CallMetrics, MethodCounts

_CODE_NAMES = {
    code: "OK" if code is grpc.StatusCode.OK else "".join(part.capitalize() for part in code.name.split("_"))
    for code in grpc.StatusCode
} | {grpc.StatusCode.CANCELLED: "Canceled"}
"""The names of Go's codes, which the metrics' label grpc_code carries everywhere."""

CODES = tuple(_CODE_NAMES.values())

_KINDS = {
    (False, False): "unary",
    (False, True): "server_stream",
    (True, False): "client_stream",
    (True, True): "bidi_stream",
}
"""What a method is called that streams requests, responses, both or neither."""

# Types of grpc's that its stubs leave open.
_Handler = Any
_Behavior = Callable[[Any, Any], Any]


class CallCounter(aio.ServerInterceptor):
    """Counts the calls of the methods it was told of, by wrapping each handler once."""

    def __init__(self, metrics: CallMetrics) -> None:
        self._metrics = metrics
        self._counts: dict[str, MethodCounts] = {}
        self._counting_themselves: set[str] = set()
        self._wrapped: dict[str, _Handler] = {}

    def add(self, service: ServiceDescriptor, counting_themselves: Collection[str] = ()) -> dict[str, MethodCounts]:
        """Makes the counts of a service's methods, by name. ``counting_themselves``: those whose servicer counts their messages."""
        made = {}
        for method in service.methods:
            path = f"/{service.full_name}/{method.name}"
            kind = _KINDS[method.client_streaming, method.server_streaming]
            made[method.name] = self._counts[path] = self._metrics.method(kind, service.full_name, method.name)
            if method.name in counting_themselves:
                self._counting_themselves.add(path)
        return made

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[_Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> _Handler:
        """Hands the call to its method's wrapped handler."""
        path: str = handler_call_details.method
        if path in self._wrapped:
            return self._wrapped[path]
        handler = await continuation(handler_call_details)
        counts = self._counts.get(path)
        if handler is None or counts is None:  # no such method: a label for every typing error would be one too many
            return handler
        self._wrapped[path] = _wrap(handler, counts, counts_messages=path not in self._counting_themselves)
        return self._wrapped[path]


def _wrap(handler: _Handler, counts: MethodCounts, *, counts_messages: bool) -> _Handler:
    kind = "stream" if handler.request_streaming else "unary"
    kind += "_stream" if handler.response_streaming else "_unary"
    behavior: _Behavior = getattr(handler, kind)
    make: Callable[..., _Handler] = getattr(grpc, f"{kind}_rpc_method_handler")
    if counts_messages:
        behavior = _count_messages(behavior, counts, kind)
    return make(
        _count_calls(behavior, counts),
        request_deserializer=handler.request_deserializer,
        response_serializer=handler.response_serializer,
    )


def _count_calls(behavior: _Behavior, counts: MethodCounts) -> _Behavior:
    async def counted(request: Any, context: Any) -> Any:  # noqa: ANN401 - whatever the method takes and gives
        counts.started += 1
        started = perf_counter()
        code = grpc.StatusCode.UNKNOWN
        try:
            response = await behavior(request, context)
            code = context.code() or grpc.StatusCode.OK
        except asyncio.CancelledError:
            code = grpc.StatusCode.CANCELLED
            raise
        except aio.AbortError:
            code = context.code()
            raise
        else:
            return response
        finally:
            counts.handled[_CODE_NAMES[code]] += 1
            counts.handling.observe(perf_counter() - started)

    return counted


def _count_messages(behavior: _Behavior, counts: MethodCounts, kind: str) -> _Behavior:
    """A coroutine function that does what the behavior does, and counts messages each way."""
    writes = isasyncgenfunction(behavior)

    async def counted(request: Any, context: Any) -> Any:  # noqa: ANN401 - as above
        if kind.startswith("stream"):
            request = _count_requests(request, counts)
        else:
            counts.received += 1
        context = _CountingContext(context, counts)
        if writes:
            async for response in behavior(request, context):
                await context.write(response)
            return None
        response = await behavior(request, context)
        if kind.endswith("unary"):
            counts.sent += 1
        return response

    return counted


async def _count_requests(requests: AsyncIterator[Any], counts: MethodCounts) -> AsyncIterator[Any]:
    async for request in requests:
        counts.received += 1
        yield request


class _CountingContext:
    """A servicer's context whose writes are counted."""

    def __init__(self, context: Any, counts: MethodCounts) -> None:  # noqa: ANN401 - grpc's own class is private
        self._context = context
        self._counts = counts

    async def write(self, message: Any) -> None:  # noqa: ANN401 - any message
        await self._context.write(message)
        self._counts.sent += 1

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - the rest of the context
        return getattr(self._context, name)
