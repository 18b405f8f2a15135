"""Cases from their opening to their answer, on SQLite and on PostgreSQL."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, func, select

from tertium_server.review.errors import CaseNotFoundError, NothingToUndoError, VotedAlreadyError
from tertium_server.review.reading import cases_by_state, oldest_by_source, queue_state
from tertium_server.review.values import Answer, DecidedBy, Source, State, Stratum, Verdict
from tertium_server.storage import Database
from tertium_server.storage.tables import review
from tests.review.builders import Clock, booking, id_of, office, terms
from tests.stores import sqlite_store


def rows(store: Database, table: str) -> int:
    with store.read() as connection:
        return connection.execute(select(func.count()).select_from(getattr(review, table))).scalar_one()


class TestBooking:
    def test_a_maybe_is_a_case_with_nothing_decided(self, store: Database) -> None:
        desk = office(store)
        maybe = booking()
        assert desk.book([maybe]) == [id_of(maybe.decision)]
        case = desk.find(id_of(maybe.decision))
        assert (case.source, case.state, case.verdict) == (Source.MAYBE, State.OPEN, Verdict.MAYBE)
        assert (case.decided_by, case.pi, case.probability) == (DecidedBy.MACHINE, 1.0, 0.4)
        assert case.deadline_at == case.opened_at + 3_600_000_000

    def test_a_repeat_is_no_second_case(self, store: Database) -> None:
        desk = office(store)
        desk.book([booking(), booking()])
        assert desk.book([booking()]) == []
        # Another process saw the track end before it became a case there: the first decision stands.
        assert desk.book([booking(1, Stratum.AUTO_YES)]) == []
        assert [rows(store, table) for table in ("decisions", "cases", "evidence")] == [1, 1, 1]

    def test_confident_answers_are_booked_and_the_coin_chooses_among_them(self, store: Database) -> None:
        desk = office(store)
        rules = terms(audit_yes=0.2, audit_no=0.05, salt="s")
        bookings = [booking(k, Stratum.AUTO_YES, rules=rules) for k in range(400)]
        bookings += [booking(k, Stratum.AUTO_NO, rules=rules) for k in range(400, 800)]
        chosen = desk.book(bookings)
        with store.read() as connection:
            found = connection.execute(select(review.decisions)).mappings().all()
        assert len(found) == 800
        assert {row["id"] for row in found if row["chosen"]} == set(chosen)
        assert {(row["stratum"], row["pi"]) for row in found} == {("auto_yes", 0.2), ("auto_no", 0.05)}
        assert {desk.find(case).source for case in chosen} == {Source.AUDIT_YES, Source.AUDIT_NO}
        # Another store, the same coin.
        assert 40 < len(chosen) < 160

    def test_evidence_is_frozen_with_the_case(self, store: Database) -> None:
        desk = office(store)
        (case,) = desk.book([booking()])
        with store.read() as connection:
            body = connection.execute(select(review.evidence.c.body).where(review.evidence.c.case_id == case)).scalar()
        assert body == {"frames": []}


class TestLeases:
    def test_a_case_is_one_reviewers_until_the_lease_expires(self, store: Database) -> None:
        clock = Clock()
        desk = office(store, clock, lease_seconds=300)
        (case,) = desk.book([booking()])
        (lease,) = desk.lease("anna")
        assert lease.case.id == case
        assert desk.lease("bert") == []
        clock.pass_by(299)
        assert desk.lease("bert") == []
        clock.pass_by(1)
        (second,) = desk.lease("bert")
        assert second.case.id == case
        assert second.token != lease.token

    def test_a_heartbeat_keeps_it(self, store: Database) -> None:
        clock = Clock()
        desk = office(store, clock, lease_seconds=300)
        desk.book([booking()])
        (lease,) = desk.lease("anna")
        clock.pass_by(200)
        assert desk.renew(lease.case.id, "anna", lease.token) == clock.now + 300_000_000
        clock.pass_by(200)
        assert desk.lease("bert") == []
        clock.pass_by(100)
        assert desk.renew(lease.case.id, "anna", lease.token) is None
        assert desk.renew(lease.case.id, "bert", lease.token) is None

    def test_what_is_given_back_is_free_at_once(self, store: Database) -> None:
        desk = office(store)
        desk.book([booking()])
        (lease,) = desk.lease("anna")
        assert not desk.release(lease.case.id, "bert", lease.token)
        assert desk.release(lease.case.id, "anna", lease.token)
        assert not desk.release(lease.case.id, "anna", lease.token)
        assert [each.case.id for each in desk.lease("bert")] == [lease.case.id]

    def test_nobody_gets_a_case_that_they_have_voted_on(self, store: Database) -> None:
        desk = office(store)
        desk.book([booking(1, Stratum.AUTO_YES)])
        (lease,) = desk.lease("anna")
        assert desk.vote(lease.case.id, "anna", lease.token, Answer.NO).case.state is State.SECOND_REVIEW
        assert desk.lease("anna") == []
        assert len(desk.lease("bert")) == 1

    def test_nobody_holds_more_than_a_few(self, store: Database) -> None:
        desk = office(store, most_leases=3)
        desk.book([booking(k) for k in range(5)])
        assert len(desk.lease("anna", 5)) == 3
        assert len(desk.lease("bert", 5)) == 2

    def test_what_is_due_first_comes_first_and_then_what_is_least_certain(self, store: Database) -> None:
        desk = office(store)
        later, soon = terms(deadline=7200), terms(deadline=600)
        desk.book([booking(1, probability=0.5, rules=later), booking(2, probability=0.2), booking(3, probability=0.45)])
        desk.book([booking(4, probability=0.21, rules=soon)])
        assert [lease.case.track_id for lease in desk.lease("anna", 4)] == [4, 3, 2, 1]

    def test_audits_keep_their_share_of_a_busy_feed(self, store: Database) -> None:
        desk = office(store, audit_share=0.25, most_leases=1000)
        desk.book([booking(k) for k in range(300)])
        desk.book([booking(k, Stratum.AUTO_YES, rules=terms(deadline=1e6)) for k in range(300, 600)])
        leases = desk.lease("anna", 100)
        audits = sum(lease.case.source.is_audit for lease in leases)
        assert 8 <= audits <= 42  # four standard deviations of a binomial

    def test_where_one_kind_has_run_out_the_other_is_served(self, store: Database) -> None:
        desk = office(store, audit_share=0.5)
        desk.book([booking(k) for k in range(6)])
        assert len(desk.lease("anna", 6)) == 6
        desk.book([booking(k, Stratum.AUTO_NO) for k in range(6, 12)])
        assert len(desk.lease("bert", 6)) == 6


class TestVotes:
    def test_one_vote_settles_a_maybe_and_the_stream_is_told(self, store: Database) -> None:
        desk = office(store)
        (case,) = desk.book([booking()])
        (lease,) = desk.lease("anna")
        outcome = desk.vote(case, "anna", lease.token, Answer.YES)
        assert (outcome.fenced, outcome.late) == (False, False)
        found = outcome.case
        assert (found.state, found.answer, found.verdict) == (State.CLOSED, Answer.YES, Verdict.YES)
        assert found.decided_by is DecidedBy.HUMAN
        (told,) = desk.undelivered(["gate"])
        assert (told.case_id, told.track_id, told.epoch) == (case, 1, 7)
        assert (told.from_verdict, told.to_verdict, told.decided_by) == (Verdict.MAYBE, Verdict.YES, DecidedBy.HUMAN)
        assert not told.correction

    def test_an_audit_that_agrees_is_closed_and_one_against_needs_two(self, store: Database) -> None:
        desk = office(store)
        agreed, doubted = desk.book([booking(1, Stratum.AUTO_YES), booking(2, Stratum.AUTO_YES)])
        tokens = {lease.case.id: lease.token for lease in desk.lease("anna", 2)}
        assert desk.vote(agreed, "anna", tokens[agreed], Answer.YES).case.state is State.CLOSED
        assert desk.vote(doubted, "anna", tokens[doubted], Answer.NO).case.verdict is Verdict.YES
        (lease,) = desk.lease("bert")
        final = desk.vote(doubted, "bert", lease.token, Answer.NO).case
        assert (final.state, final.verdict, final.decided_by) == (State.CLOSED, Verdict.NO, DecidedBy.HUMAN)
        told = {answer.case_id: answer for answer in desk.undelivered(["gate"])}
        assert (told[agreed].correction, told[agreed].to_verdict) == (False, Verdict.YES)
        assert (told[doubted].correction, told[doubted].to_verdict) == (True, Verdict.NO)

    def test_a_third_vote_breaks_a_tie(self, store: Database) -> None:
        desk = office(store)
        (case,) = desk.book([booking(1, Stratum.AUTO_NO)])
        states = []
        for reviewer, answer in (("anna", Answer.YES), ("bert", Answer.NO), ("cleo", Answer.NO)):
            (lease,) = desk.lease(reviewer)
            states.append(desk.vote(case, reviewer, lease.token, answer).case.state)
        assert states == [State.SECOND_REVIEW, State.ESCALATED, State.CLOSED]
        assert desk.find(case).verdict is Verdict.NO

    def test_a_stale_token_is_kept_and_settles_nothing_until_another_vote_does(self, store: Database) -> None:
        clock = Clock()
        desk = office(store, clock, lease_seconds=300)
        (case,) = desk.book([booking(1, Stratum.AUTO_YES)])
        (stale,) = desk.lease("anna")
        clock.pass_by(301)
        (fresh,) = desk.lease("bert")
        outcome = desk.vote(case, "anna", stale.token, Answer.NO)
        assert (outcome.fenced, outcome.case.state) == (True, State.OPEN)
        assert desk.find(case).lease_reviewer == "bert"
        closing = desk.vote(case, "bert", fresh.token, Answer.NO)
        assert (closing.fenced, closing.case.state, closing.case.verdict) == (False, State.CLOSED, Verdict.NO)

    def test_an_expired_lease_that_nobody_else_took_still_counts(self, store: Database) -> None:
        clock = Clock()
        desk = office(store, clock, lease_seconds=300)
        (case,) = desk.book([booking()])
        (lease,) = desk.lease("anna")
        clock.pass_by(1000)
        assert desk.vote(case, "anna", lease.token, Answer.YES).case.state is State.CLOSED

    def test_anothers_token_is_stale(self, store: Database) -> None:
        desk = office(store)
        (case,) = desk.book([booking()])
        (lease,) = desk.lease("anna")
        assert desk.vote(case, "bert", lease.token, Answer.YES).fenced
        assert desk.find(case).state is State.OPEN

    def test_a_repeat_is_the_same_vote_and_a_contradiction_is_refused(self, store: Database) -> None:
        desk = office(store)
        (case,) = desk.book([booking()])
        (lease,) = desk.lease("anna")
        desk.vote(case, "anna", lease.token, Answer.YES)
        assert desk.vote(case, "anna", lease.token, Answer.YES).repeated
        with pytest.raises(VotedAlreadyError, match="undo"):
            desk.vote(case, "anna", lease.token, Answer.NO)
        assert rows(store, "votes") == 1
        assert len(desk.undelivered(["gate"])) == 1

    def test_who_can_not_tell_leaves_the_case_to_another(self, store: Database) -> None:
        desk = office(store)
        (case,) = desk.book([booking(rules=terms(default_verdict=Verdict.NO))])
        outcomes = [
            desk.vote(case, reviewer, desk.lease(reviewer)[0].token, Answer.CANNOT_TELL)
            for reviewer in ("anna", "bert")
        ]
        outcome = outcomes[-1]
        assert (outcome.case.state, outcome.case.answer) == (State.CLOSED, Answer.CANNOT_TELL)
        assert (outcome.case.verdict, outcome.case.decided_by) == (Verdict.NO, DecidedBy.DEADLINE)

    def test_there_is_no_voting_on_what_is_not_there(self, store: Database) -> None:
        with pytest.raises(CaseNotFoundError):
            office(store).vote("0" * 32, "anna", "", Answer.YES)

    def test_a_gold_case_measures_each_reviewer_and_never_closes(self, store: Database) -> None:
        desk = office(store, gold_share=1.0)
        (case,) = desk.book([booking()])
        with store.write() as connection:
            connection.execute(review.cases.update().values(source="gold", gold_answer="yes"))
        for reviewer in ("anna", "bert"):
            (lease,) = desk.lease(reviewer)
            assert desk.vote(case, reviewer, lease.token, Answer.NO).case.state is State.OPEN
        assert desk.lease("anna") == []
        assert desk.undelivered(["gate"]) == []


class TestUndo:
    def test_a_vote_taken_back_opens_the_case_to_the_same_reviewer(self, store: Database) -> None:
        desk = office(store)
        (case,) = desk.book([booking()])
        (lease,) = desk.lease("anna")
        desk.vote(case, "anna", lease.token, Answer.YES)
        again = desk.undo(case, "anna")
        assert again is not None
        assert (again.case.state, again.case.verdict, again.case.decided_by) == (
            State.OPEN,
            Verdict.MAYBE,
            DecidedBy.MACHINE,
        )
        desk.vote(case, "anna", again.token, Answer.NO)
        told = desk.undelivered(["gate"])
        assert [(each.to_verdict, each.correction) for each in told] == [
            (Verdict.YES, False),
            (Verdict.MAYBE, True),
            (Verdict.NO, False),
        ]

    def test_a_vote_that_is_too_old_or_not_there_stays(self, store: Database) -> None:
        clock = Clock()
        desk = office(store, clock)
        (case,) = desk.book([booking()])
        with pytest.raises(NothingToUndoError):
            desk.undo(case, "anna")
        (lease,) = desk.lease("anna")
        desk.vote(case, "anna", lease.token, Answer.YES)
        clock.pass_by(601)
        with pytest.raises(NothingToUndoError):
            desk.undo(case, "anna")
        assert desk.find(case).state is State.CLOSED

    def test_anothers_lease_outlives_it(self, store: Database) -> None:
        desk = office(store)
        (case,) = desk.book([booking(1, Stratum.AUTO_YES)])
        (lease,) = desk.lease("anna")
        desk.vote(case, "anna", lease.token, Answer.NO)
        (others,) = desk.lease("bert")
        assert desk.undo(case, "anna") is None
        assert not desk.vote(case, "bert", others.token, Answer.YES).fenced


class TestDeadlines:
    def test_the_default_holds_after_the_deadline_and_an_answer_corrects_it(self, store: Database) -> None:
        clock = Clock()
        desk = office(store, clock)
        (case,) = desk.book([booking(rules=terms(deadline=60, default_verdict=Verdict.NO))])
        clock.pass_by(59)
        assert desk.expire() == []
        clock.pass_by(1)
        assert [each.id for each in desk.expire()] == [case]
        assert desk.expire() == []
        found = desk.find(case)
        assert (found.state, found.verdict, found.decided_by) == (State.OPEN, Verdict.NO, DecidedBy.DEADLINE)
        (lease,) = desk.lease("anna")
        assert desk.vote(case, "anna", lease.token, Answer.YES).late
        told = desk.undelivered(["gate"])
        assert [(each.to_verdict, each.decided_by, each.correction) for each in told] == [
            (Verdict.NO, DecidedBy.DEADLINE, False),
            (Verdict.YES, DecidedBy.HUMAN, True),
        ]

    def test_an_audit_that_nobody_answers_leaves_the_machines_verdict(self, store: Database) -> None:
        clock = Clock()
        desk = office(store, clock)
        (case,) = desk.book([booking(1, Stratum.AUTO_YES, rules=terms(deadline=60, default_verdict=Verdict.NO))])
        clock.pass_by(61)
        assert len(desk.expire()) == 1
        assert (desk.find(case).verdict, desk.find(case).decided_by) == (Verdict.YES, DecidedBy.MACHINE)
        assert desk.undelivered(["gate"]) == []


class TestWithdrawal:
    def test_a_case_that_is_withdrawn_is_handed_out_no_more(self, store: Database) -> None:
        desk = office(store)
        (case,) = desk.book([booking()])
        (lease,) = desk.lease("anna")
        assert desk.withdraw(case)
        assert not desk.withdraw(case)
        assert desk.lease("bert") == []
        outcome = desk.vote(case, "anna", lease.token, Answer.YES)
        assert (outcome.fenced, outcome.late, outcome.case.state) == (True, True, State.WITHDRAWN)


class TestDelivery:
    def test_what_was_delivered_is_not_sent_again_unless_it_never_arrived(self, store: Database) -> None:
        desk = office(store)
        (case,) = desk.book([booking()])
        (lease,) = desk.lease("anna")
        desk.vote(case, "anna", lease.token, Answer.YES)
        (told,) = desk.undelivered(["gate", "yard"])
        assert desk.undelivered(["yard"]) == []
        assert desk.undelivered(["gate"], after=told.seq) == []
        desk.mark_delivered([told.seq], epoch=7, frame=100)
        assert desk.undelivered(["gate"]) == []
        desk.take_back("gate", 7, 100)
        assert desk.undelivered(["gate"]) == []
        desk.take_back("gate", 8, 0)
        assert desk.undelivered(["gate"]) == []
        desk.take_back("gate", 7, 99)
        assert desk.undelivered(["gate"]) == [told]


def test_what_is_asked_of_waiting_cases_every_few_seconds_is_read_from_indices_alone(tmp_path: Path) -> None:
    store = sqlite_store(tmp_path)
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if "FROM cases" in statement:
            asked.append((statement, parameters))

    event.listen(store.engine, "before_cursor_execute", note)
    office(store).expire()
    with store.read() as connection:
        cases_by_state(connection, 1)
        oldest_by_source(connection)
        queue_state(connection, 1)
        event.remove(store.engine, "before_cursor_execute", note)
        plans = [
            connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()[0][3]
            for statement, parameters in asked
        ]
    assert "USING INDEX ix_cases_due (deadline_at<?)" in plans[0]
    assert ["USING COVERING INDEX ix_cases_waiting" in plan for plan in plans[1:]] == [True] * 3
    store.close()
