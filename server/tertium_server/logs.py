"""Structured logs: JSON for machines, lines for people, on standard error."""

from __future__ import annotations

import logging
import sys
import time
from typing import Any, Literal

import structlog

Logger = structlog.typing.FilteringBoundLogger

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure_logs(
    level: Literal["debug", "info", "warning", "error"], form: Literal["auto", "json", "console"]
) -> None:
    """Sets up logging for the process; called once, by whoever runs it."""
    people = form == "console" or (form == "auto" and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderers: list[Any] = (
        [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
        if people
        else [structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer(default=str)]
    )
    structlog.configure(
        processors=[*shared, *renderers],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    # What libraries say (asyncio, grpc, uvicorn) comes out in the same form.
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(_LEVELS[level], logging.WARNING))


def get_logger(name: str) -> Logger:
    """A logger that says which part of the server speaks."""
    logger: Logger = structlog.get_logger(component=name)
    return logger


class Throttle:
    """Lets one line through for each key in a while, and tells how many it held back: a broken caller must not fill a disk."""

    def __init__(self, seconds: float = 10.0, most_keys: int = 1000) -> None:
        self._seconds = seconds
        self._most_keys = most_keys
        self._next: dict[str, float] = {}
        self._held: dict[str, int] = {}

    def admit(self, key: str) -> int | None:
        """How many lines of this key were held back since the last one that went through; None: hold this one back too."""
        now = time.monotonic()
        if now < self._next.get(key, now):
            self._held[key] = self._held.get(key, 0) + 1
            return None
        if len(self._next) >= self._most_keys:
            self._next.clear()
            self._held.clear()
        self._next[key] = now + self._seconds
        return self._held.pop(key, 0)
