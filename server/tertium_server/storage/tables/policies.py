"""Tables of policies: what was stored, and what stood where since when. Rows are added, never changed."""

from sqlalchemy import BigInteger, Column, Index, String, Table, Text

from tertium_server.storage.tables.base import Identity, Micros, metadata

policies = Table(
    "policies",
    metadata,
    Column("sha256", String(64), primary_key=True, comment="of its content, without number and story"),
    Column("number", BigInteger, nullable=False, unique=True, comment="from 1, in the order of storing"),
    Column("name", String(64), nullable=False),
    Column("author", String(256), nullable=False),
    Column("reason", String(4096), nullable=False),
    Column("created_at", Micros, nullable=False),
    Column("document", Text, nullable=False, comment="the policy file, YAML"),
)
"""One row for each version."""

policy_standing = Table(
    "policy_standing",
    metadata,
    Column("seq", Identity, primary_key=True, autoincrement=True),
    Column("kind", String(16), nullable=False, comment="activate, rollback or shadow"),
    Column("version", String(64), nullable=True, comment="NULL: no policy in the shadow any more"),
    Column("author", String(256), nullable=False),
    Column("reason", String(4096), nullable=False),
    Column("at", Micros, nullable=False),
    Index(None, "kind", "seq"),
)
"""What was put into force, or into the shadow, one row a change. The newest row of its kind holds."""
