"""What the tables have in common."""

from sqlalchemy import JSON, BigInteger, Integer, MetaData

metadata = MetaData(
    # Constraints have names of a known form, so that a later migration can find them.
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Micros = BigInteger
"""A point in time: microseconds since the Unix epoch, UTC. Exact, and ordered alike in all databases."""

Identity = BigInteger().with_variant(Integer, "sqlite")
"""A number that the database hands out; SQLite does so for plain INTEGER only."""

Json = JSON
"""A JSON document that is read as a whole."""
