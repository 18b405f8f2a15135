"""Whether the server takes streams, and what it waits for if not."""

from __future__ import annotations

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

    @property
    def ready(self) -> bool:
        """Whether new streams are taken."""
        return self.kernels and not self.draining

    def to_json(self) -> dict[str, object]:
        """As /readyz shows it."""
        return {
            "ready": self.ready,
            "kernels": "compiled" if self.kernels else "compiling",
            "draining": self.draining,
            "streams": self.streams,
        }
