"""Whole frames as cases: chosen by the coin, answered by a number, and no part of anything that is said of tracks."""

from __future__ import annotations

import io
from typing import Any

import pytest
from sqlalchemy import func, select

from tertium_server.errors import InvalidRequestError
from tertium_server.review.exporting import write_jsonl
from tertium_server.review.frame_audits import FrameAudit, ShownBox, chosen_frames, frame_case, frames_audited
from tertium_server.review.office import ReviewOffice
from tertium_server.review.reading import reviewed
from tertium_server.review.values import Answer, Outcome, Source, State
from tertium_server.storage import Database
from tertium_server.storage.tables import review
from tests.review.builders import START, Clock, booking, office, open_cases

BOXES = (ShownBox(1.0, 2.0, 30.0, 40.0, 0.75, is_yes=True), ShownBox(50.0, 2.0, 80.0, 40.0, 0.5, is_yes=False))


def audit(frame: int = 100, **changes: Any) -> FrameAudit:
    values: dict[str, Any] = {
        "stream_id": "gate",
        "group": "default",
        "epoch": 7,
        "frame_index": frame,
        "capture_time": 10**9 * frame,
        "policy_version": "0-test",
        "decided_at": START,
        "pi": 0.01,
        "deadline": 3600.0,
        "boxes": BOXES,
        "frame_width": 640,
        "frame_height": 360,
    }
    return FrameAudit(**(values | changes))


def row_of(store: Database, case: str) -> dict[str, Any]:
    with store.read() as connection:
        return dict(
            connection.execute(select(review.frame_audits).where(review.frame_audits.c.case_id == case))
            .mappings()
            .one()
        )


def answered(desk: ReviewOffice, answer: Answer, missed: int | None = None, who: str = "anna") -> Outcome:
    (lease,) = desk.lease(who)
    return desk.vote(lease.case.id, who, lease.token, answer, missed=missed)


def count(store: Database, table: Any) -> int:
    with store.read() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def test_the_coin_keeps_its_share_and_falls_alike_again() -> None:
    frames = range(100_000)
    chosen = chosen_frames("gate", 7, frames, "salt", 0.01)
    # 1,000 expected, standard deviation 31.5: within five of them.
    assert abs(len(chosen) - 1000) < 158
    pieces = [chosen_frames("gate", 7, range(first, first + 1000), "salt", 0.01) for first in range(0, 100_000, 1000)]
    assert [frame for piece in pieces for frame in piece] == chosen
    assert set(chosen) < set(chosen_frames("gate", 7, frames, "salt", 0.02))
    assert not chosen_frames("gate", 7, frames, "salt", 0.0)
    others = [
        chosen_frames(*where, frames, salt, 0.01)
        for where, salt in ((("yard", 7), "salt"), (("gate", 8), "salt"), (("gate", 7), "x"))
    ]
    # Independent of another stream, epoch or salt: 10 frames in common expected.
    assert all(len(set(chosen) & set(other)) < 30 for other in others)


def test_a_frame_is_a_case_once_with_its_probability_and_what_is_shown(store: Database) -> None:
    desk = office(store)
    assert [desk.book_frame(audit()), desk.book_frame(audit())] == [True, False]
    case = desk.find(frame_case("gate", 7, 100))
    assert (case.source, case.pi, case.frame_index, case.track_id) == (Source.FRAME_AUDIT, 0.01, 100, 0)
    row = row_of(store, case.id)
    assert (row["shown"], row["expected"], row["yes"], row["expected_yes"]) == (2, 1.25, 1, 0.75)
    assert (row["pi"], row["missed"], row["decided_at"]) == (0.01, None, START)
    assert count(store, review.decisions) == 0  # no track was decided


@pytest.mark.parametrize(("answer", "missed", "told"), [(Answer.YES, 3, 3), (Answer.NO, None, 0), (Answer.NO, 0, 0)])
def test_one_answer_is_enough_and_is_a_number(store: Database, answer: Answer, missed: int | None, told: int) -> None:
    clock = Clock()
    desk = office(store, clock)
    desk.book_frame(audit())
    outcome = answered(desk, answer, missed)
    assert (outcome.case.state, outcome.case.answer) == (State.CLOSED, answer)
    assert row_of(store, outcome.case.id)["missed"] == told
    with store.read() as connection:
        assert frames_audited(connection, START, START + 1) == [(0.01, 2, 1.25, told)]
        assert frames_audited(connection, START + 1, START + 2) == []


def test_who_cannot_tell_says_no_number(store: Database) -> None:
    desk = office(store)
    desk.book_frame(audit())
    assert answered(desk, Answer.CANNOT_TELL).case.state is State.OPEN
    outcome = answered(desk, Answer.CANNOT_TELL, who="bert")
    assert outcome.case.state is State.CLOSED
    assert row_of(store, outcome.case.id)["missed"] is None


@pytest.mark.parametrize(
    ("answer", "missed"), [(Answer.YES, None), (Answer.YES, 0), (Answer.YES, 1001), (Answer.CANNOT_TELL, 2)]
)
def test_a_number_that_makes_no_sense_is_refused_by_name(store: Database, answer: Answer, missed: int | None) -> None:
    desk = office(store)
    desk.book_frame(audit())
    with pytest.raises(InvalidRequestError, match="missed"):
        answered(desk, answer, missed)
    assert count(store, review.votes) == 0


def test_a_track_takes_no_number(store: Database) -> None:
    desk = office(store)
    open_cases(desk, [booking()])
    with pytest.raises(InvalidRequestError, match="missed"):
        answered(desk, Answer.YES, 2)


def test_a_vote_that_is_taken_back_takes_its_number_along(store: Database) -> None:
    desk = office(store)
    desk.book_frame(audit())
    case = answered(desk, Answer.YES, 4).case.id
    lease = desk.undo(case, "anna")
    assert lease is not None
    assert row_of(store, case)["missed"] is None
    desk.vote(case, "anna", lease.token, Answer.NO)
    assert row_of(store, case)["missed"] == 0


def test_nothing_of_it_reaches_streams_others_or_exports(store: Database) -> None:
    desk = office(store)
    desk.targets = ("webhook",)
    desk.book_frame(audit())
    answered(desk, Answer.YES, 1)
    desk.book_frame(audit(200))
    desk.withdraw(frame_case("gate", 7, 200))
    assert desk.undelivered(["gate"]) == []
    assert count(store, review.outbox) == 0
    out = io.StringIO()
    assert write_jsonl(reviewed(store), out) == 0


def test_frames_come_in_the_audits_share_of_the_feed(store: Database) -> None:
    desk = office(store, audit_share=0.5, most_leases=1000)
    open_cases(desk, [booking(k) for k in range(1, 200)])
    for frame in range(200):
        desk.book_frame(audit(frame))
    sources = [lease.case.source for lease in desk.lease("anna", 100)]
    assert 25 < sources.count(Source.FRAME_AUDIT) < 75


def test_a_deadline_that_passes_says_nothing(store: Database) -> None:
    clock = Clock()
    desk = office(store, clock)
    desk.book_frame(audit())
    clock.pass_by(4000.0)
    (case,) = desk.expire()
    assert case.state is State.OPEN
    assert desk.undelivered(["gate"]) == []
    assert row_of(store, case.id)["missed"] is None
