"""Tables of live quality: what labelled frames have shown, and which process tells of estimates."""

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table

from tertium_server.storage.tables.base import Micros, metadata

truth_counts = Table(
    "truth_counts",
    metadata,
    Column("stream_id", String(256), primary_key=True),
    Column("epoch", BigInteger, primary_key=True, autoincrement=False),
    Column("frame_index", BigInteger, primary_key=True, autoincrement=False),
    Column("class_name", String(64), primary_key=True, comment="empty: the frame itself"),
    Column("decided_at", Micros, nullable=False, comment="when its decisions were made, by the server's clock"),
    Column("reported_at", Micros, nullable=False),
    Column("tp", Integer, nullable=False, comment="boxes held as YES that are right"),
    Column("fp", Integer, nullable=False, comment="boxes held as YES that are wrong"),
    Column("fn", Integer, nullable=False, comment="objects that no box held as YES shows"),
    Column("maybe_tp", Integer, nullable=False, comment="boxes held as MAYBE that are right"),
    Column("maybe_fp", Integer, nullable=False, comment="boxes held as MAYBE that are wrong"),
    Index(None, "decided_at"),
    Index(None, "reported_at"),
)
"""What each labelled frame has shown, by class. A frame's rows are replaced when its truth is reported again."""

leases = Table(
    "leases",
    metadata,
    Column("name", String(32), primary_key=True, comment="what for"),
    Column("holder", String(256), nullable=False),
    Column("expires_at", Micros, nullable=False),
)
"""Work that one process of those that share the store does."""
