"""Whether the server takes streams, and what it waits for if not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Readiness:
    """The state of the server, at one moment."""

    kernels: bool
    """The kernels are compiled."""

    draining: bool
    """The server is about to stop."""

    streams: int
    """Streams open."""

    review: Mapping[str, object] | None = None
    """How review stands; streams are taken however it does. None: this server does none."""

    @property
    def ready(self) -> bool:
        """Whether new streams are taken."""
        return self.kernels and not self.draining

    def to_json(self) -> dict[str, object]:
        """As /readyz shows it."""
        state: dict[str, object] = {
            "ready": self.ready,
            "kernels": "compiled" if self.kernels else "compiling",
            "draining": self.draining,
            "streams": self.streams,
        }
        return state if self.review is None else state | {"review": dict(self.review)}
