"""Whole frames put before people: how many objects have no box.

Revision 0004, after 0003.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "frame_audits",
        sa.Column("case_id", sa.String(length=32), nullable=False),
        sa.Column("stream_group", sa.String(length=64), nullable=False),
        sa.Column(
            "decided_at", sa.BigInteger(), nullable=False, comment="when the frame was decided, by the server's clock"
        ),
        sa.Column(
            "pi", sa.Float(), nullable=False, comment="probability that the coin chose it: it stands for 1 / pi frames"
        ),
        sa.Column("shown", sa.Integer(), nullable=False, comment="boxes held as YES or MAYBE, which people saw"),
        sa.Column(
            "expected", sa.Float(), nullable=False, comment="sum of their probabilities: real objects among them"
        ),
        sa.Column("yes", sa.Integer(), nullable=False, comment="boxes held as YES"),
        sa.Column("expected_yes", sa.Float(), nullable=False, comment="sum of their probabilities"),
        sa.Column(
            "missed",
            sa.Integer(),
            nullable=True,
            comment="objects without a shown box, as people say; NULL: not known",
        ),
        sa.Column("answered_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["case_id"], ["cases.id"], name=op.f("fk_frame_audits_case_id_cases"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("case_id", name=op.f("pk_frame_audits")),
    )
    op.create_index(op.f("ix_frame_audits_decided_at"), "frame_audits", ["decided_at"], unique=False)
    op.add_column(
        "votes",
        sa.Column(
            "missed",
            sa.Integer(),
            nullable=True,
            comment="of a frame audit: objects without a box; 0 with the answer no",
        ),
    )


def downgrade() -> None:
    op.drop_column("votes", "missed")
    op.drop_index(op.f("ix_frame_audits_decided_at"), table_name="frame_audits")
    op.drop_table("frame_audits")
