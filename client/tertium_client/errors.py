"""Everything this package raises on purpose.

    TertiumError
    ├── UsageError                 the program that calls has to be changed
    │   ├── InvalidFrameError      a frame that no server would take (also a ValueError)
    │   ├── InvalidSettingsError   a setting that no server would take (also a ValueError)
    │   ├── NobodyReadsError       answers pile up and nobody iterates over them
    │   └── StreamClosedError      the stream was finished or closed before
    ├── RefusedError               the server refused the call: fields at fault in .violations
    │   └── DeniedError            credentials are missing or do not suffice
    ├── OverloadedError            the server has no room: come back after .retry_after seconds
    ├── SupersededError            another call with the same stream_id took over
    ├── DisconnectedError          no connection, and patience (Reconnect) ran out
    ├── ServerError                the server failed in a way that repeating does not mend
    └── ProtocolError              the server's answers break the contract: client and server do not fit

A stream raises what ended it after all answers that came before.
"""

from __future__ import annotations

from dataclasses import dataclass


class TertiumError(Exception):
    """The root of all errors of this package."""


class UsageError(TertiumError):
    """The calling program has to be changed."""


class _FieldError(UsageError, ValueError):
    """One field is at fault."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(field, problem)
        self.field = field
        """The parameter at fault, such as "boxes"."""
        self.problem = problem
        """What is wrong with it, and what to do."""

    def __str__(self) -> str:
        return f"{self.field}: {self.problem}"


class InvalidFrameError(_FieldError):
    """A frame that no server would take. Nothing was sent, and the stream goes on."""


class InvalidSettingsError(_FieldError):
    """A setting of a stream, a client or a batch that no server would take."""


class NobodyReadsError(UsageError):
    """Waiting would last for ever, because only the waiting caller itself could end it."""


class StreamClosedError(UsageError):
    """Frames can't be sent any more: the stream was finished or closed."""


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One field of a request that the server refused."""

    field: str
    """Path of the field in the request, such as "open.class_names"."""
    description: str
    """What is wrong with it."""


class _StatusError(TertiumError):
    """A call ended with a gRPC status."""

    def __init__(self, code: str, message: str, *details: object) -> None:
        super().__init__(code, message, *details)
        self.code = code
        """Name of the gRPC status code, such as "INVALID_ARGUMENT"."""
        self.message = message
        """What the server, or gRPC itself, said."""

    def __str__(self) -> str:
        return f"{self.message} ({self.code})" if self.message else self.code


class RefusedError(_StatusError):
    """The server refused the call; the same call would be refused again."""

    def __init__(self, code: str, message: str, violations: tuple[FieldViolation, ...] = ()) -> None:
        super().__init__(code, message, violations)
        self.violations = violations
        """The fields at fault, where the server named them."""

    def __str__(self) -> str:
        return "\n  ".join(
            [super().__str__(), *(f"{violation.field}: {violation.description}" for violation in self.violations)]
        )


class DeniedError(RefusedError):
    """The server does not know the caller, or the caller may not do this."""


class OverloadedError(_StatusError):
    """The server has no room for this call, or the call is larger than it takes.

    A stream that was open comes back by itself when the server says so (see Reconnect), and raises this only when patience has run out.
    """

    def __init__(self, code: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(code, message, retry_after)
        self.retry_after = retry_after
        """Seconds after which trying again makes sense; None: the server did not say."""


class SupersededError(_StatusError):
    """Another call with the same stream_id took the stream over. Two programs use one name, or this one was started twice."""


class DisconnectedError(_StatusError):
    """The connection broke or could not be made, and no attempt within the limits of Reconnect brought the stream forward."""


class ServerError(_StatusError):
    """The server failed in a way that repeating the call does not mend."""


class ProtocolError(TertiumError):
    """The server's answers break the contract: client and server do not fit, or something between them changes messages."""
