"""Where policies are kept: each under its content hash and a number, never changed, with the history of what was in force."""

from tertium_server.policy.store.database import DatabaseStore
from tertium_server.policy.store.folder import FolderStore
from tertium_server.policy.store.late import LateStore
from tertium_server.policy.store.values import BUILT_IN, Activation, PolicyStore, Record, Standing

__all__ = ["BUILT_IN", "Activation", "DatabaseStore", "FolderStore", "LateStore", "PolicyStore", "Record", "Standing"]
