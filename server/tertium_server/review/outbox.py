"""What others have to be told, written in the transaction of what it tells of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from tertium_server.review.values import Case, DecidedBy, Decision, Verdict
from tertium_server.storage.tables import review

OPENED = "tertium.review.case.opened.v1"
DECIDED = "tertium.review.case.decided.v1"
CLOSED = "tertium.review.case.closed.v1"
WITHDRAWN = "tertium.review.case.withdrawn.v1"
TYPES = (OPENED, DECIDED, CLOSED, WITHDRAWN)
"""Types of events, as CloudEvents names them."""


def answer_stream(
    connection: Connection, case: Case, verdict: Verdict, decided_by: DecidedBy, now: int, *, correction: bool
) -> None:
    """Leaves word for the case's stream."""
    connection.execute(
        review.answers.insert().values(
            case_id=case.id,
            stream_id=case.stream_id,
            epoch=case.epoch,
            track_id=case.track_id,
            class_id=case.class_id,
            frame_index=case.frame_index,
            first_frame=case.first_frame,
            from_verdict=case.verdict.value,
            to_verdict=verdict.value,
            decided_by=decided_by.value,
            correction=correction,
            probability=case.probability,
            policy_version=case.policy_version,
            created_at=now,
        )
    )


def announce_opened(connection: Connection, target: str, cases: Sequence[tuple[str, Decision]], now: int) -> None:
    """Tells of new cases: which tracks, nothing of what the machine thinks of them."""
    rows = [_row(target, OPENED, name, 0, _about(name, decision), now) for name, decision in cases]
    connection.execute(review.outbox.insert(), rows)


def opened_again(target: str, case: Case, now: int) -> dict[str, Any]:
    """The row that tells of a case that waits, once more."""
    row = _row(target, OPENED, case.id, case.revision, _about(case.id, case), now)
    return row | {"event_id": f"{case.id}.{now}.{target}"[:64]}


def announce_decided(
    connection: Connection,
    target: str,
    case: Case,
    verdict: Verdict,
    decided_by: DecidedBy,
    now: int,
    *,
    correction: bool,
) -> None:
    """Tells what holds of a track now."""
    data = _about(case.id, case) | {
        "from_verdict": case.verdict.value,
        "to_verdict": verdict.value,
        "decided_by": decided_by.value,
        "correction": correction,
    }
    connection.execute(review.outbox.insert().values(_row(target, DECIDED, case.id, case.revision + 1, data, now)))


def announce_closed(connection: Connection, target: str, case: Case, now: int) -> None:
    """Tells that a case needs no more votes."""
    data = _about(case.id, case) | {
        "answer": None if case.answer is None else case.answer.value,
        "verdict": case.verdict.value,
        "decided_by": case.decided_by.value,
    }
    connection.execute(review.outbox.insert().values(_row(target, CLOSED, case.id, case.revision, data, now)))


def announce_withdrawn(connection: Connection, target: str, case: Case, now: int) -> None:
    """Tells that a case needs no more votes, for nobody wants to know any more."""
    row = _row(target, WITHDRAWN, case.id, case.revision + 1, _about(case.id, case), now)
    connection.execute(review.outbox.insert().values(row))


def _about(name: str, subject: Case | Decision) -> dict[str, Any]:
    return {
        "case_id": name,
        "stream_id": subject.stream_id,
        "group": subject.group,
        "epoch": str(subject.epoch),
        "track_id": str(subject.track_id),
        "class_name": subject.class_name,
        "first_frame": subject.first_frame,
        "frame_index": subject.frame_index,
        "policy_version": subject.policy_version,
    }


def _row(target: str, kind: str, case: str, revision: int, data: dict[str, Any], now: int) -> dict[str, Any]:
    short = kind.split(".")[-2]
    return {
        "event_id": f"{case}.{revision}.{short}.{target}"[:64],
        "target": target,
        "case_id": case,
        "type": kind,
        "body": data,
        "created_at": now,
        "attempts": 0,
        "next_at": now,
    }
