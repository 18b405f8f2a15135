"""Error details, read by hand, against the packages that callers do not need."""

from __future__ import annotations

import pickle

import grpc
import pytest
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]  # generated, without stubs
from grpc_status import rpc_status
from hypothesis import given
from hypothesis import strategies as st

from tertium_client import FieldViolation, OverloadedError, RefusedError
from tertium_client._status import Status
from tertium_client._wire import WireError, delimited, fields, flag, varint


def status(code: grpc.StatusCode, *details: Message) -> Status:
    """As the server's grpc-status package writes it."""
    packed: list[any_pb2.Any] = []
    for detail in details:
        packed.append(any_pb2.Any())
        packed[-1].Pack(detail)
    wire = rpc_status.to_status(status_pb2.Status(code=code.value[0], message="no", details=packed))
    return Status.of(wire.code, wire.details, wire.trailing_metadata)


def bad_request(*violations: tuple[str, str]) -> error_details_pb2.BadRequest:
    request = error_details_pb2.BadRequest()
    for field, description in violations:
        request.field_violations.add(field=field, description=description, reason="REASON")
    return request


def test_violations_of_fields_are_read_among_other_details() -> None:
    other = error_details_pb2.DebugInfo(detail="d", stack_entries=["a", "b"])
    found = status(
        grpc.StatusCode.INVALID_ARGUMENT,
        other,
        bad_request(("open.class_names", "äö"), ("open.epoch", "")),
        bad_request(("x", "y")),
    )
    error = found.error()
    assert isinstance(error, RefusedError)
    assert error.violations == (
        FieldViolation("open.class_names", "äö"),
        FieldViolation("open.epoch", ""),
        FieldViolation("x", "y"),
    )
    assert str(error) == "no (INVALID_ARGUMENT)\n  open.class_names: äö\n  open.epoch: \n  x: y"


@given(seconds=st.integers(-315_576_000_000, 315_576_000_000), nanos=st.integers(0, 999_999_999))
def test_any_time_to_come_back_is_read(seconds: int, nanos: int) -> None:
    nanos = -nanos if seconds < 0 else nanos
    information = error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=seconds, nanos=nanos))
    error = status(grpc.StatusCode.RESOURCE_EXHAUSTED, information).error()
    assert isinstance(error, OverloadedError)
    assert error.retry_after == pytest.approx(seconds + nanos / 1e9)


def test_without_details_errors_have_none() -> None:
    refused = Status.of(grpc.StatusCode.INVALID_ARGUMENT, None, None).error()
    assert isinstance(refused, RefusedError)
    assert refused.violations == ()
    assert str(refused) == "INVALID_ARGUMENT"
    overloaded = status(grpc.StatusCode.RESOURCE_EXHAUSTED).error()
    assert isinstance(overloaded, OverloadedError)
    assert overloaded.retry_after is None


@given(noise=st.binary(max_size=60), wrapped=st.booleans())
def test_details_that_are_none_do_no_harm(*, noise: bytes, wrapped: bool) -> None:
    if wrapped:
        detail = delimited(1, b"type.googleapis.com/google.rpc.BadRequest") + delimited(2, noise)
        noise = delimited(3, detail) + delimited(3, delimited(1, b"x/google.rpc.RetryInfo") + delimited(2, noise))
    for code in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED):
        assert Status.of(code, "m", [("grpc-status-details-bin", noise)]).error().args[1] == "m"


@given(st.integers(0, 2**64 - 1))
def test_numbers_survive_the_wire(number: int) -> None:
    assert list(fields(varint(5 << 3) + varint(number))) == [(5, number)]


def test_fields_that_are_not_wanted_are_stepped_over() -> None:
    message = varint(1 << 3 | 5) + b"abcd" + varint(2 << 3 | 1) + b"12345678" + flag(3) + delimited(200, b"")
    assert list(fields(message)) == [(1, b"abcd"), (2, b"12345678"), (3, 1), (200, b"")]


@pytest.mark.parametrize("message", [b"\x80", b"\x0a\x05abc", b"\x0b", b"\x80" * 11, b"\x09abc"])
def test_bytes_that_are_no_message_are_refused(message: bytes) -> None:
    with pytest.raises(WireError):
        list(fields(message))


def test_errors_can_be_sent_to_other_processes() -> None:
    refused = status(grpc.StatusCode.INVALID_ARGUMENT, bad_request(("f", "d"))).error()
    again = pickle.loads(pickle.dumps(refused))  # noqa: S301  # our own
    assert isinstance(again, RefusedError)
    assert again.violations == (FieldViolation("f", "d"),)
    assert str(again) == str(refused)
