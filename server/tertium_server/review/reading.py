"""Questions about cases that change nothing: lists, the state of the queue, one reviewer's pace, and what people answered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import BigInteger, Connection, and_, case, cast, func, or_, select, union_all

from tertium_server.review.footage import Footage
from tertium_server.review.rows import to_case
from tertium_server.review.values import MICROS, Answer, Case, Source, State
from tertium_server.storage import Database
from tertium_server.storage.tables import review

_cases, _votes, _totals = review.cases.c, review.votes.c, review.decided_totals.c
_HOUR = 3600 * MICROS
_DAY = 86_400 * MICROS
_PAGE = 200
_KIND = ("stream_id", "epoch", "class_name", "stratum", "policy_version")


@dataclass(frozen=True, slots=True)
class QueueState:
    """The queue at one moment."""

    waiting: int
    leased: int
    oldest_opened: int
    """Microseconds; 0: none waits."""
    next_deadline: int
    """Microseconds; 0: none waits."""
    votes_last_hour: int


@dataclass(frozen=True, slots=True)
class Reviewed:
    """An answered case, with all that training and tuning want of it."""

    case: Case
    weight: float
    """How many tracks it stands for: 1 / pi."""
    footage: Footage


def list_cases(
    connection: Connection,
    *,
    states: Sequence[State] = (),
    stream: str = "",
    before: tuple[int, str] | None = None,
    most: int = 100,
) -> list[Case]:
    """Cases, newest first; ``before``: opening time and id of the last one already known."""
    query = select(review.cases).order_by(_cases.opened_at.desc(), _cases.id.desc()).limit(most)
    if states:
        query = query.where(_cases.state.in_([state.value for state in states]))
    if stream:
        query = query.where(_cases.stream_id == stream)
    if before is not None:
        opened, name = before
        query = query.where(or_(_cases.opened_at < opened, and_(_cases.opened_at == opened, _cases.id < name)))
    return [to_case(row) for row in connection.execute(query).mappings()]


def gold_cases(connection: Connection) -> list[Case]:
    """Cases whose answer is known, newest first."""
    query = select(review.cases).where(_cases.source == Source.GOLD.value).order_by(_cases.opened_at.desc(), _cases.id)
    return [to_case(row) for row in connection.execute(query).mappings()]


def queue_state(connection: Connection, now: int) -> QueueState:
    """How full the queue is, gold cases left out."""
    leased = func.sum(case((_cases.lease_expires_at > now, 1), else_=0))
    expected = case((_cases.expired_at.is_(None), _cases.deadline_at))
    row = connection.execute(
        select(func.count(), leased, func.min(_cases.opened_at), func.min(expected)).where(
            _cases.closed_at.is_(None), _cases.source != Source.GOLD.value
        )
    ).one()
    recent = connection.execute(
        select(func.count()).select_from(review.votes).where(_votes.cast_at > now - _HOUR, _votes.undone_at.is_(None))
    ).scalar_one()
    return QueueState(row[0], int(row[1] or 0), row[2] or 0, row[3] or 0, recent)


def votes_of(connection: Connection, reviewer: str, since: int) -> int:
    """How many of a reviewer's votes stand that were cast since a time."""
    return connection.execute(
        select(func.count())
        .select_from(review.votes)
        .where(_votes.reviewer == reviewer, _votes.cast_at >= since, _votes.undone_at.is_(None))
    ).scalar_one()


def standing_votes(connection: Connection, name: str) -> int:
    """How many votes stand on a case."""
    return connection.execute(
        select(func.count()).select_from(review.votes).where(_votes.case_id == name, _votes.undone_at.is_(None))
    ).scalar_one()


def has_voted(connection: Connection, name: str, reviewer: str) -> bool:
    """Whether a reviewer's vote stands on a case."""
    query = select(_votes.seq).where(_votes.case_id == name, _votes.reviewer == reviewer, _votes.undone_at.is_(None))
    return connection.execute(query).first() is not None


def votes_from(connection: Connection, name: str, origin: str) -> dict[str, Answer]:
    """The votes that stand on a case and came one way, by reviewer."""
    query = select(_votes.reviewer, _votes.answer).where(
        _votes.case_id == name, _votes.origin == origin, _votes.undone_at.is_(None)
    )
    return {reviewer: Answer(answer) for reviewer, answer in connection.execute(query).all()}


def cases_by_state(connection: Connection, now: int) -> dict[tuple[str, str], int]:
    """Numbers of waiting cases by source and state; ``leased`` in place of the state where somebody has it."""
    state = case((_cases.lease_expires_at > now, "leased"), else_=_cases.state)
    query = select(_cases.source, state, func.count()).where(_cases.closed_at.is_(None)).group_by(_cases.source, state)
    return {(source, name): count for source, name, count in connection.execute(query).all()}


def answers_by_source(connection: Connection) -> dict[tuple[str, str], int]:
    """Numbers of answered cases by source and answer."""
    query = (
        select(_cases.source, _cases.answer, func.count())
        .where(_cases.answer.is_not(None))
        .group_by(_cases.source, _cases.answer)
    )
    return {(source, answer): count for source, answer, count in connection.execute(query).all()}


def oldest_by_source(connection: Connection) -> dict[str, int]:
    """When the oldest waiting case of each source was opened."""
    query = select(_cases.source, func.min(_cases.opened_at)).where(_cases.closed_at.is_(None)).group_by(_cases.source)
    return {row[0]: row[1] for row in connection.execute(query)}


@dataclass(frozen=True, slots=True)
class DecidedTracks:
    """How many tracks of a kind were decided: the population that answers are a sample of."""

    stream_id: str
    epoch: int
    class_name: str
    stratum: str
    policy_version: str
    count: int


def decided_tracks(connection: Connection) -> list[DecidedTracks]:
    """All decided tracks, counted by stream, epoch, class, stratum and policy: those with rows of their own, and those of totals."""
    parts = [
        select(*kind, tracks.label("tracks")).group_by(*kind)
        for table, tracks in ((review.decisions, func.count()), (review.decided_totals, func.sum(_totals.tracks)))
        for kind in [[table.c[name] for name in _KIND]]
    ]
    both = union_all(*parts).subquery().c
    kinds = [both[name] for name in _KIND]
    query = select(*kinds, cast(func.sum(both.tracks), BigInteger).label("count")).group_by(*kinds)
    return [DecidedTracks(**row) for row in connection.execute(query).mappings()]


def decided_since(connection: Connection) -> int:
    """When the first of the tracks was decided that are counted, microseconds, or the day began; 0: none is."""
    tracks = connection.execute(select(func.min(review.decisions.c.decided_at))).scalar()
    day = connection.execute(select(func.min(_totals.day))).scalar()
    return min((moment for moment in (tracks, None if day is None else day * _DAY) if moment is not None), default=0)


def reviewed(store: Database, *, closed_from: int = 0, stream: str = "") -> Iterator[Reviewed]:
    """Cases that people answered yes or no, the least certain first. Read page by page: however many there are, memory is that of a few."""
    after: tuple[float, str] | None = None
    while True:
        query = (
            select(review.cases, review.evidence.c.body)
            .outerjoin(review.evidence, review.evidence.c.case_id == _cases.id)
            .where(
                _cases.state == State.CLOSED.value,
                _cases.answer.in_([Answer.YES.value, Answer.NO.value]),
                _cases.source != Source.FRAME_AUDIT.value,
                _cases.closed_at >= closed_from,
            )
            .order_by(_cases.priority, _cases.id)
            .limit(_PAGE)
        )
        if stream:
            query = query.where(_cases.stream_id == stream)
        if after is not None:
            priority, name = after
            query = query.where(or_(_cases.priority > priority, and_(_cases.priority == priority, _cases.id > name)))
        with store.read() as connection:
            rows = connection.execute(query).mappings().all()
        for row in rows:
            found = to_case(row)
            yield Reviewed(found, 1.0 / found.pi, Footage.from_json(row["body"] or {}))
        if len(rows) < _PAGE:
            return
        after = (rows[-1]["priority"], rows[-1]["id"])
