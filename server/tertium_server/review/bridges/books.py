"""What is kept of a bridge in the store: which task is which case, how far changes were read, and what is still to be done."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, and_, delete, exists, select, update

from tertium_server.review import outbox
from tertium_server.review.rows import to_case
from tertium_server.review.values import WAITING, Case, Source
from tertium_server.storage.tables import review

_tasks, _rows, _cases, _cursors = (
    review.bridge_tasks.c,
    review.outbox.c,
    review.cases.c,
    review.bridge_cursors.c,
)


def due_of(connection: Connection, bridge: str, now: int, most: int) -> Sequence[RowMapping]:
    """What is to be told to a tool now, oldest first."""
    query = (
        select(review.outbox)
        .where(_rows.target == bridge, _rows.sent_at.is_(None), _rows.given_up_at.is_(None), _rows.next_at <= now)
        .order_by(_rows.seq)
        .limit(most)
    )
    return connection.execute(query).mappings().all()


def claim(connection: Connection, row: RowMapping, next_at: int) -> bool:
    """Notes an attempt before it is made, so that a crash in it leaves a trace; False: another process makes it."""
    done = connection.execute(
        update(review.outbox)
        .where(_rows.seq == row["seq"], _rows.attempts == row["attempts"], _rows.sent_at.is_(None))
        .values(attempts=row["attempts"] + 1, next_at=next_at)
    )
    return bool(done.rowcount)


def postpone(connection: Connection, row: RowMapping, next_at: int) -> None:
    """Nothing was tried; it is due later."""
    connection.execute(update(review.outbox).where(_rows.seq == row["seq"]).values(next_at=next_at))


def done(connection: Connection, row: RowMapping, now: int) -> None:
    """A tool was told."""
    connection.execute(update(review.outbox).where(_rows.seq == row["seq"]).values(sent_at=now, error=None))


def failed(connection: Connection, row: RowMapping, problem: str, given_up_at: int | None) -> None:
    """A tool could not be told; ``given_up_at``: it will not be tried again."""
    values = {"error": problem[:512], "given_up_at": given_up_at}
    connection.execute(update(review.outbox).where(_rows.seq == row["seq"]).values(values))


def task_of(connection: Connection, bridge: str, case: str) -> str | None:
    """The task that a tool has of a case now."""
    return connection.execute(
        select(_tasks.external_id).where(_tasks.bridge == bridge, _tasks.case_id == case, _tasks.withdrawn_at.is_(None))
    ).scalar_one_or_none()


def open_tasks(connection: Connection, bridge: str) -> dict[str, str]:
    """Cases by the tasks that a tool should have."""
    query = select(_tasks.external_id, _tasks.case_id).where(_tasks.bridge == bridge, _tasks.withdrawn_at.is_(None))
    return {task: case for task, case in connection.execute(query).all()}  # noqa: C416 - rows are no pairs


def keep_task(connection: Connection, bridge: str, case: str, external_id: str, now: int) -> None:
    """A tool has this task of a case, in place of any other it had."""
    connection.execute(delete(review.bridge_tasks).where(_tasks.bridge == bridge, _tasks.case_id == case))
    connection.execute(
        review.bridge_tasks.insert().values(
            bridge=bridge, case_id=case, external_id=external_id, pushed_at=now, withdrawn_at=None
        )
    )


def drop_tasks(connection: Connection, bridge: str, tasks: Collection[str], now: int) -> None:
    """A tool does not have these tasks any more."""
    connection.execute(
        update(review.bridge_tasks)
        .where(_tasks.bridge == bridge, _tasks.external_id.in_(sorted(tasks)), _tasks.withdrawn_at.is_(None))
        .values(withdrawn_at=now)
    )


def cursor_of(connection: Connection, bridge: str) -> str:
    """Up to where changes were read; "": nothing was."""
    query = select(_cursors.cursor).where(_cursors.bridge == bridge)
    return connection.execute(query).scalar_one_or_none() or ""


def move_cursor(connection: Connection, bridge: str, cursor: str, now: int) -> None:
    """Changes were read up to here."""
    connection.execute(delete(review.bridge_cursors).where(_cursors.bridge == bridge))
    connection.execute(review.bridge_cursors.insert().values(bridge=bridge, cursor=cursor, moved_at=now))


def push_again(connection: Connection, bridge: str, now: int, most: int) -> list[str]:
    """Has cases pushed that wait and that the tool neither has nor is about to get: older than the bridge, opened anew, or deleted there."""
    there = exists().where(_tasks.bridge == bridge, _tasks.case_id == _cases.id, _tasks.withdrawn_at.is_(None))
    on_its_way = exists().where(
        _rows.target == bridge,
        _rows.case_id == _cases.id,
        _rows.type == outbox.OPENED,
        _rows.sent_at.is_(None),
        _rows.given_up_at.is_(None),
    )
    query = (
        select(review.cases)
        .where(
            and_(
                _cases.state.in_([state.value for state in WAITING]),
                _cases.source.not_in([Source.GOLD.value, Source.FRAME_AUDIT.value]),
            ),
            ~there,
            ~on_its_way,
        )
        .order_by(_cases.due_rank, _cases.priority)
        .limit(most)
    )
    cases: list[Case] = [to_case(row) for row in connection.execute(query).mappings()]
    rows: list[dict[str, Any]] = [outbox.opened_again(bridge, case, now) for case in cases]
    if rows:
        connection.execute(review.outbox.insert(), rows)
    return [case.id for case in cases]
