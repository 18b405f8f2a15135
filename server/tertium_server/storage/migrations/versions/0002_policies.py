"""Policies: stored versions, and what stood where since when.

Revision 0002, after 0001.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "policies",
        sa.Column("sha256", sa.String(length=64), nullable=False, comment="of its content, without number and story"),
        sa.Column("number", sa.BigInteger(), nullable=False, comment="from 1, in the order of storing"),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("author", sa.String(length=256), nullable=False),
        sa.Column("reason", sa.String(length=4096), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False, comment="the policy file, YAML"),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_policies")),
        sa.UniqueConstraint("number", name=op.f("uq_policies_number")),
    )
    op.create_table(
        "policy_standing",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False, comment="activate, rollback or shadow"),
        sa.Column("version", sa.String(length=64), nullable=True, comment="NULL: no policy in the shadow any more"),
        sa.Column("author", sa.String(length=256), nullable=False),
        sa.Column("reason", sa.String(length=4096), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_policy_standing")),
    )
    op.create_index(op.f("ix_policy_standing_kind_seq"), "policy_standing", ["kind", "seq"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_policy_standing_kind_seq"), table_name="policy_standing")
    op.drop_table("policy_standing")
    op.drop_table("policies")
