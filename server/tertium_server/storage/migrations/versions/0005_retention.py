"""Retention: totals of decided tracks, which are kept when the tracks' own rows are not, and indices by case.

Revision 0005, after 0004.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_OF_CASES = ("votes", "answers", "bridge_tasks")
"""What hangs on a case is found by it, to go with it."""


def upgrade() -> None:
    op.create_table(
        "decided_totals",
        sa.Column(
            "day",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="of the decision: days since the Unix epoch",
        ),
        sa.Column("stream_id", sa.String(length=256), nullable=False),
        sa.Column("epoch", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("class_name", sa.String(length=64), nullable=False),
        sa.Column("stratum", sa.String(length=16), nullable=False),
        sa.Column("policy_version", sa.String(length=64), nullable=False),
        sa.Column("tracks", sa.BigInteger(), nullable=False, comment="decided, and not in ``decisions`` any more"),
        sa.PrimaryKeyConstraint(
            "day", "stream_id", "epoch", "class_name", "stratum", "policy_version", name=op.f("pk_decided_totals")
        ),
    )
    for table in _OF_CASES:
        op.create_index(op.f(f"ix_{table}_case_id"), table, ["case_id"], unique=False)


def downgrade() -> None:
    for table in reversed(_OF_CASES):
        op.drop_index(op.f(f"ix_{table}_case_id"), table_name=table)
    op.drop_table("decided_totals")
