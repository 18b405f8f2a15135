"""Indices of waiting cases: what is asked of them every few seconds is read from these alone.

Revision 0006, after 0005.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_ASKED = ["source", "state", "lease_expires_at", "opened_at", "expired_at", "deadline_at", "closed_at"]
_INDICES = (
    ("ix_cases_due", ["deadline_at", "source"], sa.text("closed_at IS NULL AND expired_at IS NULL")),
    ("ix_cases_waiting", _ASKED, sa.text("closed_at IS NULL")),
    ("ix_cases_closed_at", ["closed_at"], sa.text("closed_at IS NOT NULL")),
)


def upgrade() -> None:
    # Of all cases, it is what SQLite takes for those that are not closed, and then reads each row.
    op.drop_index("ix_cases_closed_at", table_name="cases")
    for name, columns, where in _INDICES:
        op.create_index(name, "cases", columns, sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    for name, _, where in reversed(_INDICES):
        op.drop_index(name, table_name="cases", sqlite_where=where, postgresql_where=where)
    op.create_index("ix_cases_closed_at", "cases", ["closed_at"])
