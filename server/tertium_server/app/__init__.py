"""The server as a process: everything wired together, from start to drain."""

from tertium_server.app.process import EXIT_BAD_START, EXIT_OK, main, run
from tertium_server.app.service import Service

__all__ = ["EXIT_BAD_START", "EXIT_OK", "Service", "main", "run"]
