"""gRPC statuses: which are worth another attempt, and the typed errors of the others."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass

import grpc

from tertium_client._wire import WireError, fields
from tertium_client.errors import (
    DeniedError,
    FieldViolation,
    OverloadedError,
    RefusedError,
    ServerError,
    SupersededError,
    TertiumError,
)

_log = logging.getLogger("tertium_client")

RETRYABLE = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.INTERNAL})
"""What a server that stops, a proxy or a network makes of a call. No proxy repeats a stream that has begun; this client does."""

_REFUSED = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)
_DENIED = frozenset({grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED})

_DETAILS_KEY = "grpc-status-details-bin"
_BAD_REQUEST = "google.rpc.BadRequest"
_RETRY_INFO = "google.rpc.RetryInfo"


@dataclass(frozen=True, slots=True)
class Status:
    """How a call ended."""

    code: grpc.StatusCode
    message: str
    details: bytes = b""
    """A serialized google.rpc.Status; empty where there is none."""

    @classmethod
    def of(
        cls, code: grpc.StatusCode | None, message: str | None, trailers: Iterable[tuple[str, str | bytes]] | None
    ) -> Status:
        """The status of a call that ended, as sync and asyncio calls tell it."""
        details = next((value for key, value in trailers or () if key == _DETAILS_KEY), b"")
        return cls(code or grpc.StatusCode.UNKNOWN, message or "", details if isinstance(details, bytes) else b"")

    @property
    def retryable(self) -> bool:
        """Another attempt may succeed."""
        return self.code in RETRYABLE

    @property
    def passes_after(self) -> float | None:
        """Seconds after which a limit that was met may be gone, as the server says; None: it does not say so, or there is none."""
        after = self.retry_after() if self.code is grpc.StatusCode.RESOURCE_EXHAUSTED else None
        return None if after is None else max(0.0, after)

    def error(self) -> TertiumError:
        """The typed error of a status that is not worth another attempt."""
        name = self.code.name
        if self.code in _DENIED:
            return DeniedError(name, self.message, self.violations())
        if self.code in _REFUSED:
            return RefusedError(name, self.message, self.violations())
        if self.code is grpc.StatusCode.RESOURCE_EXHAUSTED:
            return OverloadedError(name, self.message, self.retry_after())
        if self.code is grpc.StatusCode.ABORTED:
            return SupersededError(name, self.message)
        return ServerError(name, self.message)

    def violations(self) -> tuple[FieldViolation, ...]:
        """The fields that google.rpc.BadRequest names."""
        return tuple(
            FieldViolation(_text(violation, 1), _text(violation, 2))
            for request in self._details_of(_BAD_REQUEST)
            for violation in _messages(request, 1)
        )

    def retry_after(self) -> float | None:
        """Seconds of google.rpc.RetryInfo."""
        for information in self._details_of(_RETRY_INFO):
            for duration in _messages(information, 1):
                values = {number: value for number, value in fields(duration) if isinstance(value, int)}
                return _signed(values.get(1, 0)) + _signed(values.get(2, 0)) / 1e9
        return None

    def _details_of(self, name: str) -> list[bytes]:
        """The details of one type, as bytes. What can't be read is as good as absent: the error is raised all the same."""
        try:
            return [
                content
                for wrapped in _messages(self.details, 3)
                if _text(wrapped, 1).rpartition("/")[2] == name
                for content in _messages(wrapped, 2)
                if _readable(content)
            ]
        except WireError as error:
            _log.debug("the details of %s can't be read: %s", self.code.name, error)
            return []


def _messages(message: bytes, number: int) -> list[bytes]:
    return [value for found, value in fields(message) if found == number and isinstance(value, bytes)]


def _text(message: bytes, number: int) -> str:
    return next(iter(_messages(message, number)), b"").decode("utf-8", "replace")


def _signed(number: int) -> int:
    """A varint of type int64 or int32, which are written alike."""
    return number - (1 << 64) if number >> 63 else number


def _readable(message: bytes) -> bool:
    """All of it can be read, down to the two levels that details have."""
    for _, value in fields(message):
        if isinstance(value, bytes):
            for _ in fields(value):
                pass
    return True
