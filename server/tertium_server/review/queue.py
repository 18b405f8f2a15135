"""Who gets which case, and for how long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, exists, func, or_, select, update

from tertium_server.review.identity import new_token
from tertium_server.review.rows import to_case
from tertium_server.review.values import MICROS, WAITING, Lease, Source
from tertium_server.storage.tables import review

_cases, _votes = review.cases.c, review.votes.c
_AUDITS = (Source.AUDIT_YES, Source.AUDIT_NO, Source.FRAME_AUDIT)
_ALL = tuple(Source)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueRules:
    """How cases are handed out."""

    lease_seconds: float = 300.0
    """How long a case is kept for a reviewer who says nothing."""

    audit_share: float = 0.2
    """Share of the feed that is kept for audits, so that many maybes do not starve them: 0 to 1."""

    gold_share: float = 0.02
    """Share of the feed that is kept for gold cases, where there are any: 0 to 1."""

    most_leases: int = 16
    """Cases one reviewer may hold at a time."""


def lease(connection: Connection, reviewer: str, draw: float, rules: QueueRules, now: int) -> Lease | None:
    """The next case for a reviewer; None: there is none. ``draw``: a number in [0, 1) that says whose turn it is."""
    held = connection.execute(
        select(func.count()).where(_cases.lease_reviewer == reviewer, _cases.lease_expires_at > now)
    ).scalar_one()
    if held >= rules.most_leases:
        return None
    for sources in _turns(draw, rules):
        granted = _grant(connection, _cases.id == _best(reviewer, sources, now).scalar_subquery(), reviewer, rules, now)
        if granted is not None:
            return granted
    return None


def lease_again(connection: Connection, case: str, reviewer: str, rules: QueueRules, now: int) -> Lease | None:
    """A certain case for a reviewer who has just taken a vote back; None: it is closed, or somebody else has it."""
    condition = and_(_cases.id == case, _is_waiting(), _is_free(now))
    return _grant(connection, condition, reviewer, rules, now)


def _grant(connection: Connection, condition: Any, reviewer: str, rules: QueueRules, now: int) -> Lease | None:  # noqa: ANN401
    expires = now + round(rules.lease_seconds * MICROS)
    values = {
        "lease_token": new_token(),
        "lease_reviewer": reviewer,
        "lease_granted_at": now,
        "lease_expires_at": expires,
        "revision": _cases.revision + 1,
    }
    statement = update(review.cases).where(condition).values(values).returning(*review.cases.c)
    row = connection.execute(statement).mappings().one_or_none()
    if row is None:
        return None
    case = to_case(row)
    return Lease(case=case, token=str(case.lease_token), expires_at=expires)


def renew(connection: Connection, case: str, reviewer: str, token: str, rules: QueueRules, now: int) -> int | None:
    """Keeps a lease for longer; until when, or None: it no longer holds."""
    expires = now + round(rules.lease_seconds * MICROS)
    done = connection.execute(
        update(review.cases)
        .where(_is_held(case, reviewer, token), _cases.lease_expires_at > now)
        .values(lease_expires_at=expires)
    )
    return expires if done.rowcount else None


def release(connection: Connection, case: str, reviewer: str, token: str) -> bool:
    """Gives a case back; False: the lease no longer held."""
    done = connection.execute(
        update(review.cases).where(_is_held(case, reviewer, token)).values(**NOT_LEASED, revision=_cases.revision + 1)
    )
    return bool(done.rowcount)


NOT_LEASED: dict[str, Any] = {
    "lease_token": None,
    "lease_reviewer": None,
    "lease_granted_at": None,
    "lease_expires_at": None,
}
"""The lease's columns of a case that nobody has."""


def _turns(draw: float, rules: QueueRules) -> Sequence[Sequence[Source]]:
    """Which sources are tried, in order: where those whose turn it is have nothing, the others are next."""
    if draw < rules.gold_share:
        return ((Source.GOLD,), _AUDITS, (Source.MAYBE,))
    if draw < rules.gold_share + (1 - rules.gold_share) * rules.audit_share:
        return (_AUDITS, (Source.MAYBE,))
    return ((Source.MAYBE,), _AUDITS)


def _best(reviewer: str, sources: Sequence[Source], now: int) -> Any:  # noqa: ANN401 - a select of one column
    voted = exists().where(_votes.case_id == _cases.id, _votes.reviewer == reviewer, _votes.undone_at.is_(None))
    # Who has voted on the case that a gold one was made of knows its answer.
    same = review.cases.alias("same").c
    knows = exists().where(
        same.stream_id == _cases.stream_id, same.epoch == _cases.epoch, same.track_id == _cases.track_id,
        _votes.case_id == same.id, _votes.reviewer == reviewer, _votes.undone_at.is_(None),
    )  # fmt: skip
    return (
        select(_cases.id)
        .where(
            _is_waiting(),
            _cases.source.in_([source.value for source in sources]),
            _is_free(now),
            ~(knows if Source.GOLD in sources else voted),
        )
        .order_by(_cases.due_rank, _cases.priority, _cases.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )


def _is_waiting() -> Any:  # noqa: ANN401 - a condition
    return _cases.state.in_([state.value for state in WAITING])


def _is_free(now: int) -> Any:  # noqa: ANN401 - a condition
    return or_(_cases.lease_expires_at.is_(None), _cases.lease_expires_at <= now)


def _is_held(case: str, reviewer: str, token: str) -> Any:  # noqa: ANN401 - a condition
    return and_(_cases.id == case, _cases.lease_reviewer == reviewer, _cases.lease_token == token)
