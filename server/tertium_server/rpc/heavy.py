"""Heavy messages, run in threads of their own so that they keep no other stream waiting: the kernels let go of the GIL."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from tertium_server.engine import Workspace

_Result = TypeVar("_Result")


class HeavyWork:
    """A few threads, each with a workspace of its own."""

    def __init__(self, workers: int) -> None:
        self._executor = ThreadPoolExecutor(workers, "tertium-heavy")
        self._local = threading.local()

    async def run(self, work: Callable[[Workspace], _Result]) -> _Result:
        """Runs work in a thread. When the caller is cancelled meanwhile, the work is still waited for: it may be using a stream's state."""
        future = asyncio.get_running_loop().run_in_executor(self._executor, self._with_workspace, work)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            while not future.done():
                try:
                    await asyncio.wait([future])
                except asyncio.CancelledError:
                    continue
            if not future.cancelled():
                future.exception()  # seen: nobody is left to tell
            raise

    def close(self) -> None:
        """Lets the threads go; what has not begun is dropped."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _with_workspace(self, work: Callable[[Workspace], _Result]) -> _Result:
        workspace: Workspace | None = getattr(self._local, "workspace", None)
        if workspace is None:
            workspace = self._local.workspace = Workspace()
        return work(workspace)
