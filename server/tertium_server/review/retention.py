"""Retention: what the store holds row by row for a while only, so that it does not grow for ever.

- Decided tracks become totals by day: whoever asks for older ones asks how many were decided alike (docs/adr/0008).
- Events go when they were sent, or given up, and some days have passed.
- Closed cases go when the operator says so, and all that hangs on them; then the totals of days before them, which nothing is a sample of any more.

A few hundred rows a transaction, and nothing is removed but in the transaction that keeps what has to be kept of it: it may end anywhere, and any
number of servers may do it beside each other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Float,
    Table,
    column,
    delete,
    exists,
    func,
    literal_column,
    or_,
    select,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite

from tertium_server.review.gallery import forget_pictures
from tertium_server.review.values import MICROS, Source, State, now_micros
from tertium_server.storage import Database
from tertium_server.storage.tables import review

LEAST_DAYS = 8.0
"""Estimates look back a week, and clocks of servers differ."""
TABLES = (review.decisions, review.decided_totals, review.cases, review.answers, review.outbox)
"""Those that grow."""

_DAY = 86_400 * MICROS
_ROWS = 500
_CASES = 50
"""Each with its evidence, which may be large."""
_decisions, _totals, _cases, _answers, _events, _tasks = (
    review.decisions.c, review.decided_totals.c, review.cases.c, review.answers.c, review.outbox.c, review.bridge_tasks.c,
)  # fmt: skip
_Step = Callable[[Connection], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionRules:
    """How many days things are kept."""

    decision_days: float = LEAST_DAYS
    """A decided track by itself, and an event that was sent; at least LEAST_DAYS."""

    case_days: float | None = None
    """A case after it was closed, at least a day more than decisions; None: for good."""


class Retention:
    """See the module. ``targets``: those who are told of cases; ``removed``: told a table, and how many of its rows are gone."""

    def __init__(
        self,
        store: Database,
        rules: RetentionRules,
        targets: Sequence[str] = (),
        *,
        removed: Callable[[str, int], None] = lambda _table, _rows: None,
        clock: Callable[[], int] = now_micros,
    ) -> None:
        self._store = store
        self._rules = rules
        self._targets = targets
        self._removed = removed
        self._clock = clock

    def work(self) -> bool:
        """Removes some of what has had its time; whether there is more of it.

        Raises:
            StoreUnavailableError: The store is away. What was removed before is removed.
        """
        more = False
        for table, most, step in self._steps(self._clock()):
            with self._store.write() as connection:
                rows = step(connection)
            self._removed(table.name, rows)
            more = more or rows >= most
        return more

    def _steps(self, now: int) -> Iterator[tuple[Table, int, _Step]]:
        """What is to be done: of which table, how many rows at most, and how."""
        old = now - round(self._rules.decision_days * _DAY)
        yield review.decisions, _ROWS, partial(sum_up, before=old, most=_ROWS)
        for target in self._targets:
            yield review.outbox, _ROWS, partial(forget_events, target=target, before=old, most=_ROWS)
        if self._rules.case_days is not None:
            settled = now - round(self._rules.case_days * _DAY)
            yield review.cases, _CASES, partial(forget_cases, before=settled, most=_CASES)
            # The day in which that time lies, too: some of its cases may be gone.
            yield review.decided_totals, _ROWS, partial(forget_totals, before=settled // _DAY + 1)


def sum_up(connection: Connection, before: int, most: int) -> int:
    """Has the oldest of the tracks that were decided before a time (microseconds) be totals; how many."""
    kind = (
        _decisions.stream_id,
        _decisions.epoch,
        _decisions.class_name,
        _decisions.stratum,
        _decisions.policy_version,
    )
    query = (
        select(_decisions.id, _decisions.decided_at, *kind)
        .where(_decisions.decided_at < before)
        .order_by(_decisions.decided_at)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    rows = connection.execute(query).all()
    if not rows:
        return 0
    counts = Counter((row.decided_at // _DAY, *row[2:]) for row in rows)
    insert: Any = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    new = insert(review.decided_totals)
    key = review.decided_totals.primary_key.columns.keys()
    more = new.on_conflict_do_update(index_elements=key, set_={"tracks": _totals.tracks + new.excluded.tracks})
    # In order: two servers that add to the same totals would else wait for each other.
    connection.execute(more, [dict(zip(key, cell, strict=True)) | {"tracks": count} for cell, count in sorted(counts.items())])  # fmt: skip
    return connection.execute(delete(review.decisions).where(_decisions.id.in_([row.id for row in rows]))).rowcount


def forget_events(connection: Connection, target: str, before: int, most: int) -> int:
    """Deletes the oldest of the events that were sent to a target, and of those given up, before a time (microseconds); how many."""
    sent = select(_events.seq).where(_events.target == target, _events.sent_at < before).order_by(_events.sent_at)
    given_up = (
        select(_events.seq)
        # The time when it was due lies before that when it was given up, and has an index.
        .where(_events.target == target, _events.sent_at.is_(None), _events.next_at < before, _events.given_up_at < before)
        .order_by(_events.next_at)
    )  # fmt: skip
    rows = [
        row
        for query in (sent, given_up)
        for row in connection.execute(query.limit(most).with_for_update(skip_locked=True)).scalars()
    ]
    return connection.execute(delete(review.outbox).where(_events.seq.in_(rows))).rowcount if rows else 0


def forget_cases(connection: Connection, before: int, most: int) -> int:
    """Deletes the oldest of the cases that were closed, or withdrawn, before a time (microseconds), and all that hangs on them; how many.

    Those stay whose stream is still to be told of an answer, of which a labelling tool still has a task, and of which a gold case was made: who voted
    on them must not get it.
    """
    gold = review.cases.alias("gold").c
    untold = exists().where(_answers.case_id == _cases.id, _answers.delivered_at.is_(None))
    elsewhere = exists().where(_tasks.case_id == _cases.id, _tasks.withdrawn_at.is_(None))
    copied = exists().where(
        gold.stream_id == _cases.stream_id, gold.epoch == _cases.epoch, gold.track_id == _cases.track_id,
        gold.source == Source.GOLD.value,
    )  # fmt: skip
    query = (
        select(_cases.id)
        .where(
            _cases.state.in_([State.CLOSED.value, State.WITHDRAWN.value]),
            _cases.closed_at < before,
            ~or_(untold, elsewhere, copied),
        )
        .order_by(_cases.closed_at)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    names = connection.execute(query).scalars().all()
    if not names:
        return 0
    forget_pictures(connection, review.pictures.c.case_id.in_(names))
    told = _answers.case_id.in_(names) & _answers.delivered_at.is_not(None)
    connection.execute(delete(review.answers).where(told))
    return connection.execute(delete(review.cases).where(_cases.id.in_(names))).rowcount


def forget_totals(connection: Connection, before: int) -> int:
    """Deletes the totals of the oldest day, if it lies before a day (since the Unix epoch); how many."""
    oldest = select(func.min(_totals.day)).scalar_subquery()
    return connection.execute(delete(review.decided_totals).where(_totals.day == oldest, _totals.day < before)).rowcount


def rows_held(connection: Connection) -> dict[str, int]:
    """About how many rows the tables hold that grow: to count them would be to read them all.

    PostgreSQL has estimates; SQLite numbers its rows, and the oldest are the first to go.
    """
    about = _span if connection.dialect.name == "sqlite" else _estimate
    row = connection.execute(select(*(about(table).label(table.name) for table in TABLES))).mappings().one()
    return {name: max(0, round(count or 0)) for name, count in row.items()}


def _span(table: Table) -> ColumnElement[int]:
    number: ColumnElement[int] = literal_column("rowid", BigInteger)
    newest, oldest = (select(end(number)).select_from(table).scalar_subquery() for end in (func.max, func.min))
    return newest - oldest + 1


def _estimate(table: Table) -> ColumnElement[float]:
    catalogue = column("reltuples", Float)
    known = select(catalogue).select_from(text("pg_class")).where(column("oid") == func.to_regclass(table.name))
    return known.scalar_subquery()
