"""Votes, and what they change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, select, update

from tertium_server.errors import InvalidRequestError
from tertium_server.review import outbox
from tertium_server.review.errors import NothingToUndoError, VotedAlreadyError
from tertium_server.review.frame_audits import MOST_MISSED, settle_frame
from tertium_server.review.queue import NOT_LEASED
from tertium_server.review.rows import find_case
from tertium_server.review.rules import Settlement, settle
from tertium_server.review.values import (
    MICROS,
    Answer,
    Ballot,
    Case,
    DecidedBy,
    Outcome,
    Source,
    State,
    Verdict,
)
from tertium_server.storage.tables import review

UNDO_MICROS = 600 * MICROS
"""How long a vote may be taken back."""

_cases, _votes = review.cases.c, review.votes.c
_HUMAN = {Answer.YES: Verdict.YES, Answer.NO: Verdict.NO}


def vote(
    connection: Connection,
    case_id: str,
    reviewer: str,
    token: str,
    ballot: Ballot,
    now: int,
    *,
    targets: Sequence[str] = (),
) -> Outcome:
    """Takes a vote. With a token that is not the case's newest it is kept, and settles nothing until another vote does.

    Raises:
        CaseNotFoundError: There is no such case.
        VotedAlreadyError: The reviewer's vote stands, with another answer.
        InvalidRequestError: ``ballot.missed`` is missing, or is no answer to the question.
    """
    case = find_case(connection, case_id, lock=True)
    answer, missed = ballot.answer, _missed(case, ballot)
    late = case.source is not Source.GOLD and (
        case.state in {State.CLOSED, State.WITHDRAWN} or case.expired_at is not None or now > case.deadline_at
    )
    before = _standing(connection, case_id)
    own = next((row for row in before if row["reviewer"] == reviewer), None)
    if own is not None:
        if own["answer"] != answer or own["missed"] != missed:
            raise VotedAlreadyError(f"you answered {own['answer']} on case {case_id}; undo that first")
        return Outcome(case=case, fenced=own["fenced"], late=own["late"], repeated=True)
    fenced = token != case.lease_token or reviewer != case.lease_reviewer
    handling = None if fenced or case.lease_granted_at is None else max(0, now - case.lease_granted_at)
    row = {"case_id": case_id, "reviewer": reviewer, "answer": answer.value, "origin": ballot.origin, "cast_at": now}
    connection.execute(
        review.votes.insert().values(
            row | {"fenced": fenced, "late": late, "handling_micros": handling, "missed": missed}
        )
    )
    if fenced:
        return Outcome(case=case, fenced=True, late=late)
    answers = [Answer(row["answer"]) for row in before] + [answer]
    _apply(connection, case, _settled(case, answers), now, targets)
    return Outcome(case=find_case(connection, case_id), fenced=False, late=late)


def undo(
    connection: Connection,
    case_id: str,
    reviewer: str,
    now: int,
    *,
    within: int = UNDO_MICROS,
    targets: Sequence[str] = (),
) -> Case:
    """Takes a reviewer's vote back that is younger than ``within`` (microseconds); the case as it stands without it.

    Raises:
        CaseNotFoundError: There is no such case.
        NothingToUndoError: There is no such vote, or it is too old.
    """
    case = find_case(connection, case_id, lock=True)
    done = connection.execute(
        update(review.votes)
        .where(
            _votes.case_id == case_id,
            _votes.reviewer == reviewer,
            _votes.undone_at.is_(None),
            _votes.cast_at > now - within,
        )
        .values(undone_at=now)
    )
    if not done.rowcount:
        raise NothingToUndoError(
            f"you have no vote on case {case_id} that is younger than {within // MICROS // 60} minutes"
        )
    if case.state is State.WITHDRAWN:
        return case
    left = _standing(connection, case_id)
    answers = [Answer(row["answer"]) for row in left] if any(not row["fenced"] for row in left) else []
    elsewhere = case.lease_reviewer not in {None, reviewer}
    _apply(connection, case, _settled(case, answers), now, targets, keep_lease=elsewhere)
    return find_case(connection, case_id)


def withdraw(connection: Connection, case_id: str, now: int, *, targets: Sequence[str] = ()) -> bool:
    """Takes a case out of the queue; False: it was closed or withdrawn before. What holds of its track stays.

    Raises:
        CaseNotFoundError: There is no such case.
    """
    case = find_case(connection, case_id, lock=True)
    if case.state in {State.CLOSED, State.WITHDRAWN}:
        return False
    values = NOT_LEASED | {"state": State.WITHDRAWN.value, "closed_at": now, "revision": _cases.revision + 1}
    connection.execute(update(review.cases).where(_cases.id == case_id).values(values))
    for target in targets if case.source.is_of_track else ():
        outbox.announce_withdrawn(connection, target, case, now)
    return True


def expire(connection: Connection, now: int, *, most: int = 100, targets: Sequence[str] = ()) -> list[Case]:
    """Lets the policy's default hold of cases whose deadline has passed; they stay in the queue, for an answer is still worth knowing."""
    query = (
        select(_cases.id)
        .where(
            _cases.closed_at.is_(None),
            _cases.expired_at.is_(None),
            _cases.source != Source.GOLD.value,
            _cases.deadline_at <= now,
        )
        .order_by(_cases.deadline_at)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    expired: list[Case] = []
    for case_id in connection.execute(query).scalars().all():
        case = find_case(connection, case_id)
        connection.execute(
            update(review.cases).where(_cases.id == case_id).values(expired_at=now, revision=_cases.revision + 1)
        )
        if case.source is Source.MAYBE:
            _decide(connection, case, case.default_verdict, DecidedBy.DEADLINE, now, targets)
        expired.append(find_case(connection, case_id))
    return expired


def _missed(case: Case, ballot: Ballot) -> int | None:
    """How many objects a vote says were missed on a whole frame; None: it says nothing of that.

    Raises:
        InvalidRequestError: It has to, or must not.
    """
    answer, missed = ballot.answer, ballot.missed
    if case.source is not Source.FRAME_AUDIT or answer is Answer.CANNOT_TELL:
        if missed:
            raise InvalidRequestError.of("missed", "only goes with a case of a whole frame, and with yes")
        return None
    if answer is Answer.NO:
        return 0
    if missed is None or not 1 <= missed <= MOST_MISSED:
        raise InvalidRequestError.of("missed", f"has to say how many objects have no box, 1 to {MOST_MISSED}")
    return missed


def _standing(connection: Connection, case_id: str) -> Sequence[RowMapping]:
    query = select(review.votes).where(_votes.case_id == case_id, _votes.undone_at.is_(None)).order_by(_votes.seq)
    return connection.execute(query).mappings().all()


def _settled(case: Case, answers: Sequence[Answer]) -> Settlement:
    if case.source is Source.GOLD:  # its answer is known; every reviewer gets it once
        return Settlement(State.OPEN)
    return settle(case.machine_verdict, answers, double_check_yes=case.double_check)


def _apply(
    connection: Connection,
    case: Case,
    settlement: Settlement,
    now: int,
    targets: Sequence[str],
    *,
    keep_lease: bool = False,
) -> None:
    """Writes where a case stands now, gives its lease up, and tells of what holds now."""
    closed = settlement.state is State.CLOSED
    values: dict[str, Any] = ({} if keep_lease and not closed else NOT_LEASED) | {
        "state": settlement.state.value,
        "answer": None if settlement.answer is None else settlement.answer.value,
        "closed_at": now if closed else None,
        "revision": _cases.revision + 1,
    }
    connection.execute(update(review.cases).where(_cases.id == case.id).values(values))
    if case.source is Source.FRAME_AUDIT:
        settle_frame(connection, find_case(connection, case.id), now)
        return
    verdict, decided_by = _holds(case, settlement)
    _decide(connection, case, verdict, decided_by, now, targets)
    if closed:
        for target in targets:
            outbox.announce_closed(connection, target, find_case(connection, case.id), now)


def _holds(case: Case, settlement: Settlement) -> tuple[Verdict, DecidedBy]:
    """What holds of a case, and who says so."""
    human = None if settlement.answer is None else _HUMAN.get(settlement.answer)
    if human is not None:
        return human, DecidedBy.HUMAN
    undecidable = settlement.state is State.CLOSED or case.expired_at is not None
    if case.source is Source.MAYBE and undecidable:
        return case.default_verdict, DecidedBy.DEADLINE
    return case.machine_verdict, DecidedBy.MACHINE


def _decide(
    connection: Connection, case: Case, verdict: Verdict, decided_by: DecidedBy, now: int, targets: Sequence[str]
) -> None:
    """Has a verdict hold, and tells the stream, unless it held before."""
    if (verdict, decided_by) == (case.verdict, case.decided_by) or case.source is Source.GOLD:
        return
    connection.execute(
        update(review.cases).where(_cases.id == case.id).values(verdict=verdict.value, decided_by=decided_by.value)
    )
    final_before = case.decided_by is not DecidedBy.MACHINE or case.machine_verdict is not Verdict.MAYBE
    correction = final_before and verdict is not case.verdict
    outbox.answer_stream(connection, case, verdict, decided_by, now, correction=correction)
    for target in targets:
        outbox.announce_decided(connection, target, case, verdict, decided_by, now, correction=correction)
