"""All tables of the store, one module a part of the server. Importing this declares them in ``metadata``."""

from tertium_server.storage.tables import policies, quality, review
from tertium_server.storage.tables.base import Identity, Json, Micros, metadata

__all__ = ["Identity", "Json", "Micros", "metadata", "policies", "quality", "review"]
