"""From errors to gRPC statuses: the one table, with the google.rpc details that tell a caller's program what to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]  # nobody's stubs

from tertium_server.errors import (
    DeniedError,
    DrainingError,
    InvalidRequestError,
    LimitExceededError,
    NotFoundError,
    NotReadyError,
    OpenTimeoutError,
    PreconditionError,
    RequestError,
    TakenOverError,
    UnauthenticatedError,
    UnavailableError,
    Violation,
)

Context = grpc.aio.ServicerContext[Any, Any]

DOMAIN = "tertium"
"""google.rpc.ErrorInfo.domain of all our errors."""

_DETAILS_KEY = "grpc-status-details-bin"
_MOST_TEXT = 800
_MOST_VIOLATIONS = 2000
"""Bytes of an error's text, and of its fields at fault. A status travels in headers, of which gRPC takes 8 KiB for certain, twice and in more
characters than it has: one that is longer is lost, with its code."""

STATUS_CODES: dict[type[RequestError], grpc.StatusCode] = {
    InvalidRequestError: grpc.StatusCode.INVALID_ARGUMENT,
    LimitExceededError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    TakenOverError: grpc.StatusCode.ABORTED,
    NotReadyError: grpc.StatusCode.UNAVAILABLE,
    DrainingError: grpc.StatusCode.UNAVAILABLE,
    OpenTimeoutError: grpc.StatusCode.DEADLINE_EXCEEDED,
    NotFoundError: grpc.StatusCode.NOT_FOUND,
    PreconditionError: grpc.StatusCode.FAILED_PRECONDITION,
    UnavailableError: grpc.StatusCode.UNAVAILABLE,
    UnauthenticatedError: grpc.StatusCode.UNAUTHENTICATED,
    DeniedError: grpc.StatusCode.PERMISSION_DENIED,
}
"""The code of each kind of error; that of a subclass is its base's."""


def status_code(error: Exception) -> grpc.StatusCode:
    """The code an error ends a call with: INTERNAL for whatever we did not mean to raise."""
    for kind in type(error).__mro__:
        if kind in STATUS_CODES:
            return STATUS_CODES[kind]
    return grpc.StatusCode.INTERNAL


def status_of(error: Exception) -> status_pb2.Status:
    """The whole status, with details. Of an error we did not mean to raise nothing is told: it may hold what is nobody's business."""
    code = status_code(error)
    number: int = code.value[0]
    if not isinstance(error, RequestError):
        return status_pb2.Status(code=number, message="internal error; the server's log has more")
    message = _cut(str(error), _MOST_TEXT)
    return status_pb2.Status(code=number, message=message, details=[_packed(detail) for detail in _details(error)])


def _details(error: RequestError) -> Iterator[Message]:
    info = error_details_pb2.ErrorInfo(reason=type(error).__name__.removesuffix("Error"), domain=DOMAIN)
    if isinstance(error, LimitExceededError):
        info.metadata["limit"] = error.limit
    yield info
    if isinstance(error, InvalidRequestError):
        violations = [
            error_details_pb2.BadRequest.FieldViolation(field=violation.field, description=violation.description)
            for violation in _first(error.violations)
        ]
        yield error_details_pb2.BadRequest(field_violations=violations)
    if error.retry_after is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromNanoseconds(round(error.retry_after * 1e9))
        yield retry


def _first(violations: Sequence[Violation]) -> Iterator[Violation]:
    """As many as there is room for, and how many more there are."""
    room = _MOST_VIOLATIONS
    for place, violation in enumerate(violations):
        field, description = _cut(violation.field, _MOST_TEXT // 4), _cut(violation.description, _MOST_TEXT)
        room -= len(field.encode()) + len(description.encode())
        if room < 0:
            left = len(violations) - place - 1
            yield Violation(field, f"is wrong, too, and {left} more are; mend these first")
            return
        yield Violation(field, description)


def _cut(text: str, most: int) -> str:
    """A text, cut to so many bytes."""
    data = text.encode()
    return text if len(data) <= most else f"{data[:most].decode(errors='ignore')}…"


def _packed(detail: Message) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(detail)
    return packed


async def abort(context: Context, error: Exception) -> None:
    """Ends a call with an error's status. Never returns: grpc raises its AbortError."""
    status = status_of(error)
    await context.abort(status_code(error), status.message, ((_DETAILS_KEY, status.SerializeToString()),))
