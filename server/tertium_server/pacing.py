"""How threads of slow work leave room for the path of frames."""

from __future__ import annotations

import time
from collections.abc import Callable

_SHARE = 0.25
"""Of one processor's time, while there is something to do."""
_STRETCH_SECONDS = 0.002
"""Work too short to be in anybody's way."""

Rest = Callable[[], None]
"""Called between two pieces of work."""


def go_on() -> None:
    """No rest at all: for tests, and for work that is left when a server stops."""


class Pacer:
    """Gives one thread rests, each as long as makes its work a quarter of the time.

    The thread of the event loop gives the interpreter's lock away whenever it waits for a message. One that computes meanwhile keeps the lock for
    five milliseconds at a time, and hundreds of messages may come in while a few dozen cases are made. Rests between pieces let the loop catch up.
    """

    def __init__(self) -> None:
        self._rested_at = 0.0

    def rest(self) -> None:
        """Sleeps, if enough was worked since the last rest. To be called by the one thread only."""
        worked = time.thread_time() - self._rested_at
        if worked >= _STRETCH_SECONDS:
            time.sleep(worked * (1.0 / _SHARE - 1.0))
            self._rested_at = time.thread_time()
