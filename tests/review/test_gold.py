"""Gold cases: cases like any other to whoever answers them, and a measure of how they do."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image
from sqlalchemy import func, select

from tertium_server.errors import InvalidRequestError, PreconditionError
from tertium_server.review.blobs import Blobs
from tertium_server.review.errors import CaseNotFoundError
from tertium_server.review.gallery import Gallery, SentPicture
from tertium_server.review.gold import add_gold, disguised, gold_case, reviewers, shown_times
from tertium_server.review.office import ReviewOffice
from tertium_server.review.values import MICROS, Answer, Source, State, Stratum, Verdict
from tertium_server.storage import Database
from tertium_server.storage.tables import review
from tests.review.builders import Clock, booking, office, open_cases


def gallery_of(store: Database, folder: Path) -> Gallery:
    return Gallery(store, Blobs(str(folder / "blobs")))


def picture() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (40, 30), (200, 10, 10)).save(out, "PNG")
    return out.getvalue()


def answer_all(desk: ReviewOffice, who: str, answer: Answer) -> int:
    count = 0
    while leases := desk.lease(who, 1):
        desk.vote(leases[0].case.id, who, leases[0].token, answer)
        count += 1
    return count


def test_a_gold_case_has_copies_of_all_that_is_shown_and_is_made_once(store: Database, tmp_path: Path) -> None:
    desk, gallery = office(store), gallery_of(store, tmp_path)
    (case,) = open_cases(desk, [booking()])
    gallery.take(case, [SentPicture(3, picture(), (1.0, 2.0, 3.0, 4.0))])
    answer_all(desk, "anna", Answer.NO)
    name, added = add_gold(store, gallery, case, None, desk.clock())
    assert (name, added) == (gold_case(case), True)
    assert add_gold(store, gallery, case, None, desk.clock()) == (name, False)
    made = desk.find(name)
    assert (made.source, made.gold_answer, made.state, made.answer) == (Source.GOLD, Answer.NO, State.OPEN, None)
    gallery.delete(stream="nobody's")
    (copied,) = gallery.pictures(name)
    (original,) = gallery.pictures(case)
    assert (copied.frame_index, copied.crop, copied.key != original.key) == (3, (1.0, 2.0, 3.0, 4.0), True)
    assert gallery.bytes_of(copied) is not None


def test_everybody_gets_it_once_but_for_those_who_know_the_case(store: Database, tmp_path: Path) -> None:
    desk = office(store, gold_share=1.0)
    (case,) = open_cases(desk, [booking()])
    assert answer_all(desk, "anna", Answer.YES) == 1
    add_gold(store, gallery_of(store, tmp_path), case, None, desk.clock())
    assert answer_all(desk, "anna", Answer.YES) == 0
    assert [answer_all(desk, who, Answer.YES) for who in ("bert", "carl", "bert")] == [1, 1, 0]
    made = desk.find(gold_case(case))
    assert (made.state, made.verdict) == (State.OPEN, Verdict.MAYBE)
    with store.read() as connection:
        told = connection.execute(
            select(func.count()).select_from(review.answers).where(review.answers.c.case_id == made.id)
        ).scalar_one()
    assert told == 0


@pytest.mark.parametrize("stratum", [Stratum.MAYBE, Stratum.AUTO_YES, Stratum.AUTO_NO])
@pytest.mark.parametrize("answer", list(Answer))
def test_after_the_vote_it_looks_as_a_case_in_earnest_would(
    store: Database, tmp_path: Path, stratum: Stratum, answer: Answer
) -> None:
    clock = Clock()
    desk = office(store, clock, gold_share=1.0)
    original, earnest = open_cases(desk, [booking(1, stratum), booking(2, stratum)])
    desk.withdraw(original)
    add_gold(store, gallery_of(store, tmp_path), original, Answer.YES, desk.clock())
    clock.pass_by(10_000_000.0)  # long after any deadline
    seen = {}
    for _ in range(2):
        (lease,) = desk.lease("bert", 1)
        assert lease.case.id != original
        opened, due = shown_times(lease.case, clock.now)
        outcome = desk.vote(lease.case.id, "bert", lease.token, answer)
        told = disguised(outcome.case, answer)
        seen[lease.case.id == earnest] = (told.source, told.state, told.answer, told.decided_by), outcome.late
        if lease.case.id != earnest:
            assert due - clock.now == 3600 * MICROS
            assert opened == clock.now
    assert seen[True][0][0] is seen[False][0][0] is stratum.source
    assert seen[True][0][:3] == seen[False][0][:3]
    assert seen[False][1] is False


def test_reviewers_are_measured_by_it(store: Database, tmp_path: Path) -> None:
    clock = Clock()
    desk, gallery = office(store, clock, gold_share=1.0), gallery_of(store, tmp_path)
    for case in open_cases(desk, [booking(k) for k in range(1, 5)]):
        desk.withdraw(case)
        add_gold(store, gallery, case, Answer.YES, desk.clock())
    answers = [Answer.YES, Answer.YES, Answer.NO, Answer.CANNOT_TELL]
    for answer in answers:
        (lease,) = desk.lease("bert", 1)
        clock.pass_by(4.0)
        desk.vote(lease.case.id, "bert", lease.token, answer)
    with store.read() as connection:
        (bert,) = reviewers(connection)
    assert (bert.name, bert.votes, bert.gold_right, bert.gold_wrong, bert.gold_cannot_tell) == ("bert", 4, 2, 1, 1)
    assert bert.mean_seconds == pytest.approx(4.0)


def test_what_cannot_be_gold_is_refused_with_the_reason(store: Database, tmp_path: Path) -> None:
    desk, gallery = office(store), gallery_of(store, tmp_path)
    (case,) = open_cases(desk, [booking()])
    with pytest.raises(PreconditionError, match="nobody has settled"):
        add_gold(store, gallery, case, None, desk.clock())
    with pytest.raises(InvalidRequestError, match="answer"):
        add_gold(store, gallery, case, Answer.CANNOT_TELL, desk.clock())
    with pytest.raises(CaseNotFoundError):
        add_gold(store, gallery, "0" * 32, Answer.YES, desk.clock())
    name, _ = add_gold(store, gallery, case, Answer.YES, desk.clock())
    with pytest.raises(PreconditionError, match="gold"):
        add_gold(store, gallery, name, Answer.YES, desk.clock())
