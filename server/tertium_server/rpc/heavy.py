"""Heavy messages, run in threads of their own so that they keep no other stream waiting: the kernels let go of the GIL."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from tertium_server.rpc.desk import Desk

_Result = TypeVar("_Result")
_LARGEST_DESK = (
    1 << 16
)  # detections; a thread that has seen more starts afresh, so that one huge message does not hold its memory for good


class HeavyWork:
    """A few threads, each with a desk of its own."""

    def __init__(self, workers: int) -> None:
        self._executor = ThreadPoolExecutor(workers, "tertium-heavy")
        self._local = threading.local()

    async def run(self, work: Callable[[Desk], _Result]) -> _Result:
        """Runs work in a thread. When the caller is cancelled meanwhile, the work is still waited for: it may be using a stream's state."""
        future = asyncio.get_running_loop().run_in_executor(self._executor, self._at_a_desk, work)
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

    def _at_a_desk(self, work: Callable[[Desk], _Result]) -> _Result:
        desk: Desk | None = getattr(self._local, "desk", None)
        if desk is None or desk.detections > _LARGEST_DESK:
            desk = self._local.desk = Desk()
        return work(desk)
