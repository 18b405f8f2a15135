"""Human review: decisions and their coins, cases, votes, evidence, answers to streams, and what bridges have to send.

Revision 0001, the first.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "answers",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("case_id", sa.String(length=32), nullable=False),
        sa.Column("stream_id", sa.String(length=256), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("track_id", sa.BigInteger(), nullable=False),
        sa.Column("class_id", sa.Integer(), nullable=False),
        sa.Column("frame_index", sa.BigInteger(), nullable=False),
        sa.Column("first_frame", sa.BigInteger(), nullable=False),
        sa.Column("from_verdict", sa.String(length=16), nullable=False),
        sa.Column("to_verdict", sa.String(length=16), nullable=False),
        sa.Column("decided_by", sa.String(length=16), nullable=False),
        sa.Column("correction", sa.Boolean(), nullable=False),
        sa.Column("probability", sa.Float(), nullable=False),
        sa.Column("policy_version", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column(
            "delivered_frame", sa.BigInteger(), nullable=True, comment="last frame of the response it went out with"
        ),
        sa.Column("delivered_epoch", sa.BigInteger(), nullable=True),
        sa.Column("delivered_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_answers")),
    )
    op.create_index(op.f("ix_answers_created_at"), "answers", ["created_at"], unique=False)
    op.create_index(op.f("ix_answers_stream_id_delivered_at"), "answers", ["stream_id", "delivered_at"], unique=False)
    op.create_table(
        "blob_deletions",
        sa.Column("key", sa.String(length=512), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_blob_deletions")),
    )
    op.create_table(
        "bridge_cursors",
        sa.Column("bridge", sa.String(length=16), nullable=False),
        sa.Column("cursor", sa.String(length=64), nullable=False),
        sa.Column("moved_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("bridge", name=op.f("pk_bridge_cursors")),
    )
    op.create_table(
        "cases",
        sa.Column(
            "id", sa.String(length=32), nullable=False, comment="of its decision; gold cases have one of their own"
        ),
        sa.Column("stream_id", sa.String(length=256), nullable=False),
        sa.Column("stream_group", sa.String(length=64), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("track_id", sa.BigInteger(), nullable=False),
        sa.Column("class_id", sa.Integer(), nullable=False),
        sa.Column("class_name", sa.String(length=64), nullable=False),
        sa.Column("policy_version", sa.String(length=64), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False, comment="maybe, audit_yes, audit_no or gold"),
        sa.Column("stratum", sa.String(length=16), nullable=False),
        sa.Column("pi", sa.Float(), nullable=False),
        sa.Column("probability", sa.Float(), nullable=False),
        sa.Column("machine_verdict", sa.String(length=16), nullable=False, comment="no, maybe or yes"),
        sa.Column(
            "default_verdict", sa.String(length=16), nullable=False, comment="what holds when the deadline passes"
        ),
        sa.Column("first_frame", sa.BigInteger(), nullable=False),
        sa.Column("frame_index", sa.BigInteger(), nullable=False, comment="of the decision"),
        sa.Column("decided_at", sa.BigInteger(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("deadline_at", sa.BigInteger(), nullable=False),
        sa.Column(
            "due_rank",
            sa.BigInteger(),
            nullable=False,
            comment="the deadline, coarsely: cases of one rank go by priority",
        ),
        sa.Column("priority", sa.Float(), nullable=False, comment="least first"),
        sa.Column(
            "state", sa.String(length=16), nullable=False, comment="open, second_review, escalated, closed or withdrawn"
        ),
        sa.Column("verdict", sa.String(length=16), nullable=False, comment="what holds now: no, maybe or yes"),
        sa.Column("decided_by", sa.String(length=16), nullable=False, comment="machine, human or deadline"),
        sa.Column(
            "answer", sa.String(length=16), nullable=True, comment="what people settled on: yes, no or cannot_tell"
        ),
        sa.Column("gold_answer", sa.String(length=16), nullable=True),
        sa.Column("expired_at", sa.BigInteger(), nullable=True, comment="when the deadline passed without an answer"),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.Column("double_check", sa.Boolean(), nullable=False, comment="a yes on a maybe needs a second vote"),
        sa.Column("lease_token", sa.String(length=32), nullable=True),
        sa.Column("lease_reviewer", sa.String(length=256), nullable=True),
        sa.Column("lease_granted_at", sa.BigInteger(), nullable=True),
        sa.Column("lease_expires_at", sa.BigInteger(), nullable=True),
        sa.Column("revision", sa.BigInteger(), nullable=False, comment="grows with every change"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cases")),
    )
    op.create_index(op.f("ix_cases_closed_at"), "cases", ["closed_at"], unique=False)
    op.create_index(op.f("ix_cases_lease_reviewer"), "cases", ["lease_reviewer"], unique=False)
    op.create_index(op.f("ix_cases_opened_at"), "cases", ["opened_at"], unique=False)
    op.create_index("ix_cases_queue", "cases", ["state", "source", "due_rank", "priority", "id"], unique=False)
    op.create_index(
        op.f("ix_cases_stream_id_epoch_track_id"), "cases", ["stream_id", "epoch", "track_id"], unique=False
    )
    op.create_table(
        "decisions",
        sa.Column(
            "id",
            sa.String(length=32),
            nullable=False,
            comment="of stream, epoch, track, class and frame: a repeat is the same",
        ),
        sa.Column("stream_id", sa.String(length=256), nullable=False),
        sa.Column("stream_group", sa.String(length=64), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("track_id", sa.BigInteger(), nullable=False, comment="as on the wire"),
        sa.Column("class_name", sa.String(length=64), nullable=False),
        sa.Column("policy_version", sa.String(length=64), nullable=False),
        sa.Column(
            "decided_at", sa.BigInteger(), nullable=False, comment="when the machine decided, by the server's clock"
        ),
        sa.Column("frame_index", sa.BigInteger(), nullable=False),
        sa.Column("stratum", sa.String(length=16), nullable=False, comment="auto_yes, auto_no or maybe"),
        sa.Column("probability", sa.Float(), nullable=False, comment="P(real object), 0 to 1"),
        sa.Column("pi", sa.Float(), nullable=False, comment="probability that the coin chose it, above 0; 1 for maybe"),
        sa.Column("chosen", sa.Boolean(), nullable=False, comment="whether it did: there is a case of the same id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decisions")),
    )
    op.create_index(op.f("ix_decisions_decided_at_class_name"), "decisions", ["decided_at", "class_name"], unique=False)
    op.create_table(
        "outbox",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("event_id", sa.String(length=64), nullable=False),
        sa.Column("target", sa.String(length=16), nullable=False, comment="webhook, or the name of a bridge"),
        sa.Column("case_id", sa.String(length=32), nullable=False),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("given_up_at", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.String(length=512), nullable=True),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_outbox")),
        sa.UniqueConstraint("event_id", name=op.f("uq_outbox_event_id")),
    )
    op.create_index(op.f("ix_outbox_target_sent_at_next_at"), "outbox", ["target", "sent_at", "next_at"], unique=False)
    op.create_table(
        "bridge_tasks",
        sa.Column("bridge", sa.String(length=16), nullable=False),
        sa.Column("case_id", sa.String(length=32), nullable=False),
        sa.Column("external_id", sa.String(length=128), nullable=False),
        sa.Column("pushed_at", sa.BigInteger(), nullable=False),
        sa.Column("withdrawn_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["case_id"], ["cases.id"], name=op.f("fk_bridge_tasks_case_id_cases"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("bridge", "case_id", name=op.f("pk_bridge_tasks")),
        sa.UniqueConstraint("bridge", "external_id", name=op.f("uq_bridge_tasks_bridge_external_id")),
    )
    op.create_table(
        "evidence",
        sa.Column("case_id", sa.String(length=32), nullable=False),
        sa.Column(
            "body", sa.JSON(), nullable=False, comment="frames, boxes, scores, levels: frozen when the case was opened"
        ),
        sa.Column("pictures", sa.String(length=16), nullable=False, comment="none, asked, some or deleted"),
        sa.Column("asked_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_evidence_case_id_cases"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("case_id", name=op.f("pk_evidence")),
    )
    op.create_table(
        "pictures",
        sa.Column("case_id", sa.String(length=32), nullable=False),
        sa.Column("frame_index", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.String(length=512), nullable=False, comment="where it lies in the blob store"),
        sa.Column("media_type", sa.String(length=32), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.Integer(), nullable=False),
        sa.Column("crop", sa.JSON(), nullable=False, comment="x1, y1, x2, y2: the part of the frame it shows, pixels"),
        sa.Column("stored_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_pictures_case_id_cases"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("case_id", "frame_index", name=op.f("pk_pictures")),
    )
    op.create_index(op.f("ix_pictures_stored_at"), "pictures", ["stored_at"], unique=False)
    op.create_table(
        "votes",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("case_id", sa.String(length=32), nullable=False),
        sa.Column("reviewer", sa.String(length=256), nullable=False),
        sa.Column("answer", sa.String(length=16), nullable=False, comment="yes, no or cannot_tell"),
        sa.Column(
            "fenced",
            sa.Boolean(),
            nullable=False,
            comment="came with a token that was stale: it settles nothing by itself",
        ),
        sa.Column(
            "late", sa.Boolean(), nullable=False, comment="came after the deadline, or after the case was closed"
        ),
        sa.Column("origin", sa.String(length=16), nullable=False, comment="api, page or the name of a bridge"),
        sa.Column("cast_at", sa.BigInteger(), nullable=False),
        sa.Column("handling_micros", sa.BigInteger(), nullable=True, comment="from lease to vote"),
        sa.Column("undone_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_votes_case_id_cases"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_votes")),
    )
    op.create_index(op.f("ix_votes_cast_at"), "votes", ["cast_at"], unique=False)
    op.create_index(op.f("ix_votes_reviewer_cast_at"), "votes", ["reviewer", "cast_at"], unique=False)
    op.create_index(
        "uq_votes_standing",
        "votes",
        ["case_id", "reviewer"],
        unique=True,
        sqlite_where=sa.text("undone_at IS NULL"),
        postgresql_where=sa.text("undone_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_index(
        "uq_votes_standing",
        table_name="votes",
        sqlite_where=sa.text("undone_at IS NULL"),
        postgresql_where=sa.text("undone_at IS NULL"),
    )
    op.drop_index(op.f("ix_votes_reviewer_cast_at"), table_name="votes")
    op.drop_index(op.f("ix_votes_cast_at"), table_name="votes")
    op.drop_table("votes")
    op.drop_index(op.f("ix_pictures_stored_at"), table_name="pictures")
    op.drop_table("pictures")
    op.drop_table("evidence")
    op.drop_table("bridge_tasks")
    op.drop_index(op.f("ix_outbox_target_sent_at_next_at"), table_name="outbox")
    op.drop_table("outbox")
    op.drop_index(op.f("ix_decisions_decided_at_class_name"), table_name="decisions")
    op.drop_table("decisions")
    op.drop_index(op.f("ix_cases_stream_id_epoch_track_id"), table_name="cases")
    op.drop_index("ix_cases_queue", table_name="cases")
    op.drop_index(op.f("ix_cases_opened_at"), table_name="cases")
    op.drop_index(op.f("ix_cases_lease_reviewer"), table_name="cases")
    op.drop_index(op.f("ix_cases_closed_at"), table_name="cases")
    op.drop_table("cases")
    op.drop_table("bridge_cursors")
    op.drop_table("blob_deletions")
    op.drop_index(op.f("ix_answers_stream_id_delivered_at"), table_name="answers")
    op.drop_index(op.f("ix_answers_created_at"), table_name="answers")
    op.drop_table("answers")
