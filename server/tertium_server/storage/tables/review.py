"""Tables of human review: decisions and their audit coins, cases, votes, evidence, answers to streams, and what bridges have to send."""

from sqlalchemy import BigInteger, Boolean, Column, Float, ForeignKey, Index, Integer, String, Table, UniqueConstraint

from tertium_server.storage.tables.base import Identity, Json, Micros, metadata

_ID = String(32)
_NAME = String(256)
_WORD = String(16)

decisions = Table(
    "decisions",
    metadata,
    Column("id", _ID, primary_key=True, comment="of stream, epoch, track, class and frame: a repeat is the same"),
    Column("stream_id", _NAME, nullable=False),
    Column("stream_group", String(64), nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("track_id", BigInteger, nullable=False, comment="as on the wire"),
    Column("class_name", String(64), nullable=False),
    Column("policy_version", String(64), nullable=False),
    Column("decided_at", Micros, nullable=False, comment="when the machine decided, by the server's clock"),
    Column("frame_index", BigInteger, nullable=False),
    Column("stratum", _WORD, nullable=False, comment="auto_yes, auto_no or maybe"),
    Column("probability", Float, nullable=False, comment="P(real object), 0 to 1"),
    Column("pi", Float, nullable=False, comment="probability that the coin chose it, above 0; 1 for maybe"),
    Column("chosen", Boolean, nullable=False, comment="whether it did: there is a case of the same id"),
    # All that is counted of decisions, again and again, is counted from this index alone.
    Index("ix_decisions_quality", "decided_at", "class_name", "stratum", "probability"),
)
"""One row for each track decided lately: the population that audits are a sample of. Older ones are in ``decided_totals``."""

decided_totals = Table(
    "decided_totals",
    metadata,
    Column("day", Integer, primary_key=True, autoincrement=False, comment="of the decision: days since the Unix epoch"),
    Column("stream_id", _NAME, primary_key=True),
    Column("epoch", BigInteger, primary_key=True, autoincrement=False),
    Column("class_name", String(64), primary_key=True),
    Column("stratum", _WORD, primary_key=True),
    Column("policy_version", String(64), primary_key=True),
    Column("tracks", BigInteger, nullable=False, comment="decided, and not in ``decisions`` any more"),
)
"""How many tracks were decided alike: what is left of decisions that have had their time."""

cases = Table(
    "cases",
    metadata,
    Column("id", _ID, primary_key=True, comment="of its decision; gold cases have one of their own"),
    Column("stream_id", _NAME, nullable=False),
    Column("stream_group", String(64), nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("track_id", BigInteger, nullable=False),
    Column("class_id", Integer, nullable=False),
    Column("class_name", String(64), nullable=False),
    Column("policy_version", String(64), nullable=False),
    Column("source", _WORD, nullable=False, comment="maybe, audit_yes, audit_no or gold"),
    Column("stratum", _WORD, nullable=False),
    Column("pi", Float, nullable=False),
    Column("probability", Float, nullable=False),
    Column("machine_verdict", _WORD, nullable=False, comment="no, maybe or yes"),
    Column("default_verdict", _WORD, nullable=False, comment="what holds when the deadline passes"),
    Column("first_frame", BigInteger, nullable=False),
    Column("frame_index", BigInteger, nullable=False, comment="of the decision"),
    Column("decided_at", Micros, nullable=False),
    Column("opened_at", Micros, nullable=False),
    Column("deadline_at", Micros, nullable=False),
    Column("due_rank", BigInteger, nullable=False, comment="the deadline, coarsely: cases of one rank go by priority"),
    Column("priority", Float, nullable=False, comment="least first"),
    Column("state", _WORD, nullable=False, comment="open, second_review, escalated, closed or withdrawn"),
    Column("verdict", _WORD, nullable=False, comment="what holds now: no, maybe or yes"),
    Column("decided_by", _WORD, nullable=False, comment="machine, human or deadline"),
    Column("answer", _WORD, nullable=True, comment="what people settled on: yes, no or cannot_tell"),
    Column("gold_answer", _WORD, nullable=True),
    Column("expired_at", Micros, nullable=True, comment="when the deadline passed without an answer"),
    Column("closed_at", Micros, nullable=True),
    Column("double_check", Boolean, nullable=False, comment="a yes on a maybe needs a second vote"),
    Column("lease_token", _ID, nullable=True),
    Column("lease_reviewer", _NAME, nullable=True),
    Column("lease_granted_at", Micros, nullable=True),
    Column("lease_expires_at", Micros, nullable=True),
    Column("revision", BigInteger, nullable=False, comment="grows with every change"),
    Index("ix_cases_queue", "state", "source", "due_rank", "priority", "id"),
    Index(None, "stream_id", "epoch", "track_id"),
    Index(None, "opened_at"),
    Index(None, "lease_reviewer"),
    # Answers are counted by the time of their decision, again and again: from this index alone.
    Index(
        "ix_cases_quality", "decided_at", "class_name", "stratum", "source", "answer", "verdict", "pi", "probability"
    ),
)
"""One row for each track put before people. The lease is part of it, so that granting one is a single update."""

# What is asked of waiting cases every few seconds has to cost little, however many were never answered: it is read from these alone.
_waiting = cases.c.closed_at.is_(None)
_due = _waiting & cases.c.expired_at.is_(None)
_asked = ("source", "state", "lease_expires_at", "opened_at", "expired_at", "deadline_at", "closed_at")
Index("ix_cases_due", cases.c.deadline_at, cases.c.source, sqlite_where=_due, postgresql_where=_due)
Index("ix_cases_waiting", *(cases.c[name] for name in _asked), sqlite_where=_waiting, postgresql_where=_waiting)
Index("ix_cases_closed_at", cases.c.closed_at, sqlite_where=~_waiting, postgresql_where=~_waiting)

votes = Table(
    "votes",
    metadata,
    Column("seq", Identity, primary_key=True, autoincrement=True),
    Column("case_id", _ID, ForeignKey("cases.id", ondelete="CASCADE"), nullable=False),
    Column("reviewer", _NAME, nullable=False),
    Column("answer", _WORD, nullable=False, comment="yes, no or cannot_tell"),
    Column("fenced", Boolean, nullable=False, comment="came with a token that was stale: it settles nothing by itself"),
    Column("late", Boolean, nullable=False, comment="came after the deadline, or after the case was closed"),
    Column("origin", _WORD, nullable=False, comment="api, page or the name of a bridge"),
    Column("cast_at", Micros, nullable=False),
    Column("handling_micros", BigInteger, nullable=True, comment="from lease to vote"),
    Column("undone_at", Micros, nullable=True),
    Column("missed", Integer, nullable=True, comment="of a frame audit: objects without a box; 0 with the answer no"),
    Index(None, "case_id"),
    Index(None, "reviewer", "cast_at"),
    Index(None, "cast_at"),
)
"""One row for each vote, undone ones too."""

Index(
    "uq_votes_standing",
    votes.c.case_id,
    votes.c.reviewer,
    unique=True,
    sqlite_where=votes.c.undone_at.is_(None),
    postgresql_where=votes.c.undone_at.is_(None),
)
# One vote of a reviewer stands for a case; any number may have been undone.

frame_audits = Table(
    "frame_audits",
    metadata,
    Column("case_id", _ID, ForeignKey("cases.id", ondelete="CASCADE"), primary_key=True),
    Column("stream_group", String(64), nullable=False),
    Column("decided_at", Micros, nullable=False, comment="when the frame was decided, by the server's clock"),
    Column("pi", Float, nullable=False, comment="probability that the coin chose it: it stands for 1 / pi frames"),
    Column("shown", Integer, nullable=False, comment="boxes held as YES or MAYBE, which people saw"),
    Column("expected", Float, nullable=False, comment="sum of their probabilities: real objects among them"),
    Column("yes", Integer, nullable=False, comment="boxes held as YES"),
    Column("expected_yes", Float, nullable=False, comment="sum of their probabilities"),
    Column("missed", Integer, nullable=True, comment="objects without a shown box, as people say; NULL: not known"),
    Column("answered_at", Micros, nullable=True),
    Index(None, "decided_at"),
)
"""Whole frames put before people: what tracks can't tell, for no track was made of it. Frames without pictures never come here."""

evidence = Table(
    "evidence",
    metadata,
    Column("case_id", _ID, ForeignKey("cases.id", ondelete="CASCADE"), primary_key=True),
    Column("body", Json, nullable=False, comment="frames, boxes, scores, levels: frozen when the case was opened"),
    Column("pictures", _WORD, nullable=False, comment="none, asked, some or deleted"),
    Column("asked_at", Micros, nullable=True),
)
"""What a case shows. Apart from the case, whose rows the queue scans."""

pictures = Table(
    "pictures",
    metadata,
    Column("case_id", _ID, ForeignKey("cases.id", ondelete="CASCADE"), primary_key=True),
    Column("frame_index", BigInteger, primary_key=True),
    Column("key", String(512), nullable=False, comment="where it lies in the blob store"),
    Column("media_type", String(32), nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("crop", Json, nullable=False, comment="x1, y1, x2, y2: the part of the frame it shows, pixels"),
    Column("stored_at", Micros, nullable=False),
    Index(None, "stored_at"),
)
"""Pictures of a case, by frame."""

blob_deletions = Table(
    "blob_deletions",
    metadata,
    Column("key", String(512), primary_key=True),
    Column("asked_at", Micros, nullable=False),
)
"""Blobs whose rows are gone, or not there yet, and that are to be deleted from a time on: a crash between the two forgets none."""

answers = Table(
    "answers",
    metadata,
    Column("seq", Identity, primary_key=True, autoincrement=True),
    Column("case_id", _ID, nullable=False),
    Column("stream_id", _NAME, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("track_id", BigInteger, nullable=False),
    Column("class_id", Integer, nullable=False),
    Column("frame_index", BigInteger, nullable=False),
    Column("first_frame", BigInteger, nullable=False),
    Column("from_verdict", _WORD, nullable=False),
    Column("to_verdict", _WORD, nullable=False),
    Column("decided_by", _WORD, nullable=False),
    Column("correction", Boolean, nullable=False),
    Column("probability", Float, nullable=False),
    Column("policy_version", String(64), nullable=False),
    Column("created_at", Micros, nullable=False),
    Column("delivered_frame", BigInteger, nullable=True, comment="last frame of the response it went out with"),
    Column("delivered_epoch", BigInteger, nullable=True),
    Column("delivered_at", Micros, nullable=True),
    Index(None, "case_id"),
    Index(None, "stream_id", "delivered_at"),
    Index(None, "created_at"),
)
"""What streams have to be told, in order."""

outbox = Table(
    "outbox",
    metadata,
    Column("seq", Identity, primary_key=True, autoincrement=True),
    Column("event_id", String(64), nullable=False, unique=True),
    Column("target", _WORD, nullable=False, comment="webhook, or the name of a bridge"),
    Column("case_id", _ID, nullable=False),
    Column("type", String(64), nullable=False),
    Column("body", Json, nullable=False),
    Column("created_at", Micros, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", Micros, nullable=False),
    Column("sent_at", Micros, nullable=True),
    Column("given_up_at", Micros, nullable=True),
    Column("error", String(512), nullable=True),
    Index(None, "target", "sent_at", "next_at"),
)
"""What is still to be sent to others; written in the transaction of what it tells of."""

bridge_tasks = Table(
    "bridge_tasks",
    metadata,
    Column("bridge", _WORD, primary_key=True),
    Column("case_id", _ID, ForeignKey("cases.id", ondelete="CASCADE"), primary_key=True),
    Column("external_id", String(128), nullable=False),
    Column("pushed_at", Micros, nullable=False),
    Column("withdrawn_at", Micros, nullable=True),
    UniqueConstraint("bridge", "external_id"),
    Index(None, "case_id"),
)
"""Which task of a labelling tool is which case."""

bridge_cursors = Table(
    "bridge_cursors",
    metadata,
    Column("bridge", _WORD, primary_key=True),
    Column("cursor", String(64), nullable=False),
    Column("moved_at", Micros, nullable=False),
)
"""Up to where a labelling tool's changes were read."""
