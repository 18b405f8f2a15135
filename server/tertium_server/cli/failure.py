"""How a command says that it can't go on."""

from __future__ import annotations

from tertium_server.errors import TertiumError

FAILED, MISUSED, INTERRUPTED = 1, 2, 130
"""Exit codes."""


class CommandError(TertiumError):
    """A command ends with a message for people: what is wrong, and the remedy. Each line of it is one problem."""

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.code = code
        """The exit code."""
