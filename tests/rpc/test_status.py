"""The table from errors to statuses, and the details that come with them."""

from __future__ import annotations

from base64 import b64encode
from typing import Any
from urllib.parse import quote

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]  # nobody's stubs

from tertium_server import errors
from tertium_server.review.errors import CaseNotFoundError, NothingToUndoError, VotedAlreadyError
from tertium_server.rpc.status import STATUS_CODES, Context, abort, status_code, status_of
from tests.rpc.live import ending_of

TABLE = [
    (errors.UnauthenticatedError("who?"), grpc.StatusCode.UNAUTHENTICATED, "who?"),
    (errors.DeniedError("not you"), grpc.StatusCode.PERMISSION_DENIED, "not you"),
    (CaseNotFoundError("x"), grpc.StatusCode.NOT_FOUND, "there is no case 'x'"),
    (VotedAlreadyError("undo"), grpc.StatusCode.FAILED_PRECONDITION, "undo"),
    (NothingToUndoError("none"), grpc.StatusCode.FAILED_PRECONDITION, "none"),
    (
        errors.InvalidRequestError.of("open.stream_id", "is empty"),
        grpc.StatusCode.INVALID_ARGUMENT,
        "open.stream_id: is empty",
    ),
    (
        errors.CheckpointRefusedError("it is damaged"),
        grpc.StatusCode.INVALID_ARGUMENT,
        "open.checkpoint: it is damaged",
    ),
    (errors.LimitExceededError("max_streams", "full", retry_after=5.0), grpc.StatusCode.RESOURCE_EXHAUSTED, "full"),
    (errors.TakenOverError("a newer call"), grpc.StatusCode.ABORTED, "a newer call"),
    (errors.NotReadyError("starting", retry_after=1.0), grpc.StatusCode.UNAVAILABLE, "starting"),
    (errors.DrainingError("stopping", retry_after=1.0), grpc.StatusCode.UNAVAILABLE, "stopping"),
    (errors.OpenTimeoutError("silence"), grpc.StatusCode.DEADLINE_EXCEEDED, "silence"),
    (errors.NotFoundError("no such policy"), grpc.StatusCode.NOT_FOUND, "no such policy"),
    (errors.PreconditionError("nothing is stored"), grpc.StatusCode.FAILED_PRECONDITION, "nothing is stored"),
    (errors.UnavailableError("the store is away", retry_after=5.0), grpc.StatusCode.UNAVAILABLE, "the store is away"),
    (ZeroDivisionError("a secret"), grpc.StatusCode.INTERNAL, "internal error; the server's log has more"),
]


@pytest.mark.parametrize(("error", "code", "message"), TABLE, ids=lambda value: type(value).__name__)
def test_an_error_has_its_status(error: Exception, code: grpc.StatusCode, message: str) -> None:
    status = status_of(error)
    assert (status_code(error), status.code, status.message) == (code, code.value[0], message)


def test_every_kind_of_request_error_is_in_the_table() -> None:
    def leaves(kind: type[errors.RequestError]) -> set[type[errors.RequestError]]:
        below = kind.__subclasses__()
        return {kind}.union(*(leaves(sub) for sub in below)) if below else {kind}

    kinds = leaves(errors.RequestError) - {errors.RequestError}
    assert kinds == {type(error) for error, _, _ in TABLE if isinstance(error, errors.RequestError)}
    assert all(any(issubclass(kind, known) for known in STATUS_CODES) for kind in kinds)


def detail(status: status_pb2.Status, kind: type[Message]) -> Any:
    """The status's detail of a kind; None if it has none."""
    for packed in status.details:
        found = kind()
        if packed.Unpack(found):
            return found
    return None


def test_fields_at_fault_are_told_as_a_bad_request() -> None:
    error = errors.InvalidRequestError(
        errors.Violation("open.epoch", "too large"), errors.Violation("open.group", "too long")
    )
    bad = detail(status_of(error), error_details_pb2.BadRequest)
    assert [(violation.field, violation.description) for violation in bad.field_violations] == [
        ("open.epoch", "too large"),
        ("open.group", "too long"),
    ]


@pytest.mark.parametrize("letter", ["x", "ü", "試", "🎥"])
def test_a_status_fits_into_the_headers_of_a_response_however_much_is_wrong(letter: str) -> None:
    wrong = [errors.Violation(f"open.class_names[{number}]", 100 * letter) for number in range(1000)]
    status = status_of(errors.InvalidRequestError(*wrong))
    written = len(quote(status.message)) + len(b64encode(status.SerializeToString()))
    assert written < 7500
    told = detail(status, error_details_pb2.BadRequest).field_violations
    assert (told[0].field, told[0].description) == ("open.class_names[0]", 100 * letter)
    assert f"and {1000 - len(told)} more" in told[-1].description


async def test_a_caller_learns_of_the_fields_at_fault_however_many_there_are() -> None:
    async def refuse(_: bytes, context: Context) -> bytes:
        error = errors.InvalidRequestError(*(errors.Violation(f"f[{number}]", "is wrong") for number in range(1000)))
        await abort(context, error)
        return b""

    server = grpc.aio.server()
    handlers: dict[str, Any] = {"Refuse": grpc.unary_unary_rpc_method_handler(refuse)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call: Any = channel.unary_unary("/test/Refuse")
        ending = await ending_of(call(b""))
    await server.stop(None)
    assert (ending.code, ending.fields[:2]) == (grpc.StatusCode.INVALID_ARGUMENT, ["f[0]", "f[1]"])


def test_what_may_be_tried_again_says_when() -> None:
    retry = detail(
        status_of(errors.LimitExceededError("max_streams", "full", retry_after=2.5)), error_details_pb2.RetryInfo
    )
    assert retry.retry_delay.ToMilliseconds() == 2500
    assert detail(status_of(errors.TakenOverError("newer")), error_details_pb2.RetryInfo) is None


def test_programs_can_tell_errors_apart_by_reason() -> None:
    info = detail(
        status_of(errors.LimitExceededError("max_streams", "full", retry_after=1)), error_details_pb2.ErrorInfo
    )
    assert (info.reason, info.domain, dict(info.metadata)) == ("LimitExceeded", "tertium", {"limit": "max_streams"})


def test_nothing_is_told_of_a_bug() -> None:
    status = status_of(ZeroDivisionError("a secret"))
    assert "secret" not in status.message
    assert not status.details
