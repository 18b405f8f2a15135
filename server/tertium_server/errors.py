"""What can go wrong, as one tree.

TertiumError
    StartError                      the server can't start: exit code 2, one line for people
        ConfigurationError          an option has a value that can't be used
    RequestError                    a caller's request can't be served; rpc/status.py maps it to a gRPC status
        InvalidRequestError         fields at fault, each by name
            CheckpointRefusedError  the checkpoint is damaged, foreign or of another format
        LimitExceededError          the server holds as much as it may; worth another try later
        TakenOverError              a newer call has taken the stream over
        NotReadyError               the kernels are not compiled yet; worth another try soon
        DrainingError               the server is about to stop; worth another try elsewhere
        UnauthenticatedError        the caller does not show who it is
        DeniedError                 the caller's roles do not allow it
        OpenTimeoutError            the caller opened a call and then said nothing
        NotFoundError               what a request names is not there
        PreconditionError           the server is not set up, or not in a state, for what a request asks
        UnavailableError            something that the server itself needs is away; worth another try later

The policy and the engine have errors of their own (PolicyError, SnapshotError); they are turned into these at the edge.
"""

from __future__ import annotations

from dataclasses import dataclass


class TertiumError(Exception):
    """Whatever this server refuses or fails at, knowingly."""


class StartError(TertiumError):
    """The server can't start. The message is one line: what is wrong and what to do."""


class ConfigurationError(StartError):
    """An option has a value that can't be used. Carries the option, where the value came from, and the remedy."""

    def __init__(self, option: str, source: str, problem: str, remedy: str) -> None:
        super().__init__(f"{option} ({source}): {problem}; {remedy}")
        self.option = option
        self.source = source
        self.problem = problem
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Violation:
    """One field at fault."""

    field: str
    """Path of the field in the request, such as ``open.class_names[7]``."""

    description: str
    """What is wrong with it, for people."""

    def __str__(self) -> str:
        return f"{self.field}: {self.description}" if self.field else self.description


class RequestError(TertiumError):
    """A caller's request can't be served."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds after which another try may succeed; None: never as it stands."""


class InvalidRequestError(RequestError):
    """A request has fields out of their range. Carries all of them, not only the first."""

    def __init__(self, *violations: Violation) -> None:
        super().__init__("; ".join(str(violation) for violation in violations))
        self.violations = violations

    @classmethod
    def of(cls, field: str, description: str) -> InvalidRequestError:
        """The error about one field."""
        return cls(Violation(field, description))


class CheckpointRefusedError(InvalidRequestError):
    """The checkpoint is damaged, of another stream, signed with another key, or of another format."""

    def __init__(self, description: str) -> None:
        super().__init__(Violation("open.checkpoint", description))


class LimitExceededError(RequestError):
    """The server holds as much as it may."""

    def __init__(self, limit: str, message: str, *, retry_after: float) -> None:
        super().__init__(message, retry_after=retry_after)
        self.limit = limit
        """The name of the option that sets the limit."""


class TakenOverError(RequestError):
    """A newer call has taken the stream over."""


class NotReadyError(RequestError):
    """The server is still starting."""


class DrainingError(RequestError):
    """The server is about to stop."""


class OpenTimeoutError(RequestError):
    """The caller opened a call and then said nothing."""


class NotFoundError(RequestError):
    """What a request names is not there."""


class PreconditionError(RequestError):
    """The server is not set up, or not in a state, for what a request asks."""


class UnavailableError(RequestError):
    """Something that the server itself needs is away."""


class UnauthenticatedError(RequestError):
    """The caller does not show who it is."""


class DeniedError(RequestError):
    """The caller's roles do not allow it."""
