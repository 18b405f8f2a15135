"""What can be wrong with the store."""

from __future__ import annotations

from tertium_server.errors import TertiumError


class StoreError(TertiumError):
    """The store can't do what it was asked to."""


class StoreUnavailableError(StoreError):
    """The store is away, locked for too long, full, or can't be written. The same may succeed later."""
