"""Watching a folder for files that change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

from watchfiles import awatch

_QUIET_MILLISECONDS = 50
_LONGEST_MILLISECONDS = 400


async def changes_in(folder: Path, stopping: asyncio.Event, seconds: float) -> AsyncGenerator[None]:
    """Yields after every burst of changes in a folder, until told to stop; and every so many seconds, for not all file systems tell of changes.

    Any file's change counts: what an editor, git or Kubernetes does to put a file in place of another goes by many names.
    """
    async for _ in awatch(
        folder,
        stop_event=stopping,
        watch_filter=None,
        debounce=_LONGEST_MILLISECONDS,
        step=_QUIET_MILLISECONDS,
        recursive=False,
        rust_timeout=round(seconds * 1000),
        yield_on_timeout=True,
    ):
        yield
