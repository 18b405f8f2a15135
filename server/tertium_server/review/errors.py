"""What can go wrong in human review."""

from __future__ import annotations

from tertium_server.errors import NotFoundError, PreconditionError


class CaseNotFoundError(NotFoundError):
    """There is no such case."""

    def __init__(self, case: str) -> None:
        super().__init__(f"there is no case {case[:64]!a}")


class VotedAlreadyError(PreconditionError):
    """The reviewer's vote on this case stands, with another answer."""


class NothingToUndoError(PreconditionError):
    """There is no vote of the reviewer's that may be taken back."""
