"""What alembic runs: migrations on the connection it is given, inside that connection's transaction."""

from alembic import context

from tertium_server.storage.tables import metadata

# No transaction of alembic's own: all migrations of one upgrade happen together or not at all.
context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, compare_type=True)
context.run_migrations()
