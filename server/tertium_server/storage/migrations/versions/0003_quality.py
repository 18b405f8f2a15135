"""Live quality: labelled frames, leases, and indices from which decisions and answers are counted.

Revision 0003, after 0002.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "truth_counts",
        sa.Column("stream_id", sa.String(length=256), nullable=False),
        sa.Column("epoch", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("frame_index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("class_name", sa.String(length=64), nullable=False, comment="empty: the frame itself"),
        sa.Column(
            "decided_at", sa.BigInteger(), nullable=False, comment="when its decisions were made, by the server's clock"
        ),
        sa.Column("reported_at", sa.BigInteger(), nullable=False),
        sa.Column("tp", sa.Integer(), nullable=False, comment="boxes held as YES that are right"),
        sa.Column("fp", sa.Integer(), nullable=False, comment="boxes held as YES that are wrong"),
        sa.Column("fn", sa.Integer(), nullable=False, comment="objects that no box held as YES shows"),
        sa.Column("maybe_tp", sa.Integer(), nullable=False, comment="boxes held as MAYBE that are right"),
        sa.Column("maybe_fp", sa.Integer(), nullable=False, comment="boxes held as MAYBE that are wrong"),
        sa.PrimaryKeyConstraint("stream_id", "epoch", "frame_index", "class_name", name=op.f("pk_truth_counts")),
    )
    op.create_index(op.f("ix_truth_counts_decided_at"), "truth_counts", ["decided_at"], unique=False)
    op.create_index(op.f("ix_truth_counts_reported_at"), "truth_counts", ["reported_at"], unique=False)
    op.create_table(
        "leases",
        sa.Column("name", sa.String(length=32), nullable=False, comment="what for"),
        sa.Column("holder", sa.String(length=256), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
    )
    op.drop_index("ix_decisions_decided_at_class_name", table_name="decisions")
    op.create_index(
        "ix_decisions_quality", "decisions", ["decided_at", "class_name", "stratum", "probability"], unique=False
    )
    op.create_index(
        "ix_cases_quality",
        "cases",
        ["decided_at", "class_name", "stratum", "source", "answer", "verdict", "pi", "probability"],
        unique=False,
    )


def downgrade() -> None:
    op.drop_index("ix_cases_quality", table_name="cases")
    op.drop_index("ix_decisions_quality", table_name="decisions")
    op.create_index("ix_decisions_decided_at_class_name", "decisions", ["decided_at", "class_name"], unique=False)
    op.drop_table("leases")
    op.drop_table("truth_counts")
