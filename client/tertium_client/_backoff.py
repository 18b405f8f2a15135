"""When to try again: exponential back-off with full jitter, until patience runs out."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, fields

from tertium_client.errors import InvalidSettingsError

_ANSWERED_WITHIN = 10.0
"""Seconds for a server to answer a frame, where a break is final: it counts as broken then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconnect:
    """How a broken connection is mended. Times in seconds.

    The n-th attempt without progress comes after a random delay between 0 and min(longest_delay, first_delay · 2^n): thousand cameras that lost
    one server do not come back in step. Progress is an answer not had before, or, while no answer is owed, a stream that opens.

    A server that was connected, and has no room for the stream now (RESOURCE_EXHAUSTED) but says when to come back, is taken at its word: the next
    attempt comes after that time and the random delay, and patience is the same.
    """

    first_delay: float = 0.1
    """The longest delay before the first attempt."""
    longest_delay: float = 5.0
    """The longest delay before any attempt."""
    give_up_after: float = 300.0
    """A stream without progress for so long raises DisconnectedError. 0: the first break is final, and so are ten seconds without an answer."""
    connect_within: float = 15.0
    """The same while a stream, or the call of a batch, has never been answered: a wrong address shows itself soon."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not (math.isfinite(value) and value >= 0):
                raise InvalidSettingsError(f"reconnect.{field.name}", f"{value} is no time: give seconds, 0 or more")


class Backoff:
    """The delays of one stream. Times are seconds of any clock that only goes forwards."""

    def __init__(
        self, limits: Reconnect, now: float, uniform: Callable[[float, float], float] = random.uniform
    ) -> None:
        self._limits = limits
        self._uniform = uniform
        self._progress_at = now
        self._ever_connected = False
        self._attempts = 0

    @property
    def attempts(self) -> int:
        """Attempts since the last progress."""
        return self._attempts

    @property
    def progress_at(self) -> float:
        """When something new came last, or patience began."""
        return self._progress_at

    @property
    def silent_until(self) -> float:
        """When a connection that stands counts as broken, because its server owes an answer."""
        return self.deadline if self._limits.give_up_after else self._progress_at + _ANSWERED_WITHIN

    @property
    def deadline(self) -> float:
        """When patience runs out, unless there is progress before."""
        return self._progress_at + (self._limits.give_up_after if self._ever_connected else self._limits.connect_within)

    def connected(self, now: float) -> None:
        """The server answered for the first time: from now on the longer patience holds."""
        if not self._ever_connected:
            self._ever_connected = True
            self._progress_at = now

    def waits(self, now: float) -> None:
        """Patience begins anew: nothing was owed until now."""
        self._progress_at = max(self._progress_at, now)

    def progressed(self, now: float) -> None:
        """Something new came."""
        self._progress_at = now
        self._attempts = 0

    def next_delay(self, now: float, connected_for: float = 0.0, at_least: float = 0.0) -> float | None:
        """Seconds to wait before the next attempt, `at_least` so many as patience allows; None: give up.

        A connection that held for a while starts the delays anew.
        """
        left = self.deadline - now
        if left <= 0:
            return None
        if connected_for > self._limits.longest_delay:
            self._attempts = 0
        # The power overflows after a thousand attempts; 2^64 first delays are longer than any longest one.
        ceiling = min(self._limits.longest_delay, self._limits.first_delay * 2.0 ** min(self._attempts, 64))
        self._attempts += 1
        return min(at_least + self._uniform(0.0, ceiling), left)
