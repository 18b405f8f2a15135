"""Gold cases: cases whose answer is known, by which reviewers are measured. To a reviewer they are cases like any other."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, case, func, select

from tertium_server.errors import InvalidRequestError, PreconditionError
from tertium_server.review.gallery import Gallery, SentPicture
from tertium_server.review.rows import find_case
from tertium_server.review.rules import settle
from tertium_server.review.values import Answer, Case, DecidedBy, Source, State, Verdict
from tertium_server.storage import Database
from tertium_server.storage.tables import review

_HOLDS = {Answer.YES: Verdict.YES, Answer.NO: Verdict.NO}
_MICROS = 1e-6


@dataclass(frozen=True, slots=True)
class Reviewer:
    """How somebody answers."""

    name: str
    votes: int
    """That stand, those on gold cases among them."""
    gold_right: int
    gold_wrong: int
    gold_cannot_tell: int
    mean_seconds: float | None
    """From lease to vote."""


def gold_case(case_id: str) -> str:
    """The id of the gold case that is made of a case."""
    return hashlib.blake2b(case_id.encode(), digest_size=16, person=b"tertium gold").hexdigest()


def add_gold(store: Database, gallery: Gallery, case_id: str, answer: Answer | None, now: int) -> tuple[str, bool]:
    """Makes a gold case of a case, with copies of its evidence and pictures. Its id, and whether it is new.

    ``answer``: the right one; None: what people settled on.

    Raises:
        CaseNotFoundError: There is no such case.
        PreconditionError: It is of no track, or nobody has settled on an answer.
        InvalidRequestError: The answer is neither yes nor no.
    """
    name = gold_case(case_id)
    with store.write() as connection:
        original = find_case(connection, case_id)
        known = _known_answer(original, answer)
        if connection.execute(select(review.cases.c.id).where(review.cases.c.id == name)).first() is not None:
            return name, False
        body = connection.execute(select(review.evidence.c.body).where(review.evidence.c.case_id == case_id)).scalar()
        connection.execute(review.cases.insert().values(_row(connection, name, original, known, now)))
        connection.execute(
            review.evidence.insert().values(case_id=name, body=body or {}, pictures="none", asked_at=None)
        )
    pictures = [(each, gallery.bytes_of(each)) for each in gallery.pictures(case_id)]
    gallery.take(
        name, [SentPicture(each.frame_index, data, _corners(each.crop)) for each, data in pictures if data is not None]
    )
    return name, True


def disguised(subject: Case, answer: Answer) -> Case:
    """A case as its reviewer may see it after the vote: a gold one looks as if it had been asked in earnest."""
    if subject.source is not Source.GOLD:
        return subject
    settled = settle(subject.machine_verdict, [answer], double_check_yes=subject.double_check)
    changed = replace(subject, source=subject.stratum.source, state=settled.state, answer=settled.answer)
    holds = None if settled.answer is None else _HOLDS.get(settled.answer)
    return changed if holds is None else replace(changed, verdict=holds, decided_by=DecidedBy.HUMAN)


def shown_times(subject: Case, now: int) -> tuple[int, int]:
    """When a case was opened and is due, as its reviewer may see it, microseconds: a gold case is always fresh."""
    if subject.source is not Source.GOLD:
        return subject.opened_at, subject.deadline_at
    opened = subject.lease_granted_at or now
    return opened, opened + subject.deadline_at - subject.opened_at


def reviewers(connection: Connection) -> list[Reviewer]:
    """Everybody who has voted, by name."""
    votes, cases = review.votes.c, review.cases.c
    is_gold = cases.source == Source.GOLD.value

    def count(condition: Any) -> Any:  # noqa: ANN401 - conditions and columns
        return func.sum(case((condition, 1), else_=0))

    tells = votes.answer != Answer.CANNOT_TELL.value
    query = (
        select(
            votes.reviewer,
            func.count(),
            count(is_gold & tells & (votes.answer == cases.gold_answer)),
            count(is_gold & tells & (votes.answer != cases.gold_answer)),
            count(is_gold & (votes.answer == Answer.CANNOT_TELL.value)),
            func.avg(votes.handling_micros),
        )
        .join(review.cases, cases.id == votes.case_id)
        .where(votes.undone_at.is_(None))
        .group_by(votes.reviewer)
        .order_by(votes.reviewer)
    )
    return [
        Reviewer(name, total, int(right), int(wrong), int(unsure), None if mean is None else float(mean) * _MICROS)
        for name, total, right, wrong, unsure, mean in connection.execute(query).all()
    ]


def _known_answer(original: Case, answer: Answer | None) -> Answer:
    if not original.source.is_of_track:
        raise PreconditionError(
            f"case {original.id} is {original.source.value}; gold cases are made of cases of tracks"
        )
    if answer is Answer.CANNOT_TELL:
        raise InvalidRequestError.of("answer", "has to be yes or no")
    known = answer or original.answer
    if known is None or known is Answer.CANNOT_TELL:
        raise PreconditionError(f"nobody has settled on an answer of case {original.id}; give the right one")
    return known


def _row(connection: Connection, name: str, original: Case, answer: Answer, now: int) -> dict[str, Any]:
    columns = review.cases.c
    row = dict(connection.execute(select(review.cases).where(columns.id == original.id)).mappings().one())
    span = original.deadline_at - original.opened_at
    return row | {
        "id": name,
        "source": Source.GOLD.value,
        "gold_answer": answer.value,
        "pi": 1.0,
        "opened_at": now,
        "deadline_at": now + span,
        "due_rank": 0,
        "state": State.OPEN.value,
        "verdict": original.machine_verdict.value,
        "decided_by": DecidedBy.MACHINE.value,
        "answer": None,
        "expired_at": None,
        "closed_at": None,
        "lease_token": None,
        "lease_reviewer": None,
        "lease_granted_at": None,
        "lease_expires_at": None,
        "revision": 0,
    }


def _corners(crop: tuple[float, ...]) -> tuple[float, float, float, float]:
    match crop:
        case (x1, y1, x2, y2):
            return x1, y1, x2, y2
        case _:
            return 0.0, 0.0, 0.0, 0.0
