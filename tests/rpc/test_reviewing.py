"""Review beside the path of frames: cases come of what streams decide, and answers go back to them. Streams and link in this process, no server."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import event, select

from tertium.v1 import decisions_pb2, evidence_pb2
from tertium_server.policy import Policy
from tertium_server.policy.keeper import InForce
from tertium_server.review.blobs import Blobs
from tertium_server.review.clerk import Clerk
from tertium_server.review.footage import Footage
from tertium_server.review.gallery import Gallery
from tertium_server.review.office import ReviewOffice
from tertium_server.review.spool import Spool
from tertium_server.review.values import Answer, Case, Source
from tertium_server.rpc.desk import Desk
from tertium_server.rpc.reviewing import ReviewLimits, ReviewLink
from tertium_server.rpc.stream import SILENCE, TOO_HEAVY, Stream
from tertium_server.rpc.terms import StreamTerms
from tertium_server.storage import Database
from tertium_server.storage.tables import review
from tests.policies import plain_data
from tests.review.builders import office
from tests.rpc.builders import FRAME_NANOSECONDS, Frames, Held, Request, Response, make_stream, one_frame, terms
from tests.stores import sqlite_store

Event = decisions_pb2.TrackEvent
BOX = (100.0, 100.0, 160.0, 240.0)


def policy(**rules: Any) -> Policy:
    """All confident answers are audited, and doubt becomes a case after a second."""
    return Policy.model_validate(
        plain_data() | {"review": {"open_after": 1.0, "audit_yes": 1.0, "audit_no": 1.0} | rules}
    )


class Set:
    """An office with its link, worked by hand."""

    def __init__(self, folder: Path, store: Database) -> None:
        self.store = store
        self.office: ReviewOffice = office(store)
        self.clerk = Clerk(self.office, Spool(folder / "spool", 1 << 20))
        self.office.on_answers = self.clerk.nudge
        self.gallery = Gallery(store, Blobs(str(folder / "blobs")))
        self.link = ReviewLink(self.office, self.clerk, self.gallery)
        self.desk = Desk()

    def terms(self, **rules: Any) -> StreamTerms:
        return terms(policies=Held(InForce(policy(**rules))), review=self.link)

    def open(self, stream_terms: StreamTerms | None = None, **changes: Any) -> Stream:
        stream = make_stream(stream_terms or self.terms(), **changes)
        stream.attach_review()
        return stream

    def play(self, stream: Stream, messages: Sequence[Frames]) -> list[Response]:
        return [self.send(stream, Request(frames=message)) for message in messages]

    def send(self, stream: Stream, request: Request) -> Response:
        """As the service does it."""
        data = request.SerializeToString()
        response = stream.answer(data, self.desk)
        if response is TOO_HEAVY:
            response = stream.answer_heavy(data, self.desk)
        return Response() if response is SILENCE else Response.FromString(stream.reviewed(data, response))

    def end(self, stream: Stream) -> Response:
        response = Response.FromString(stream.say_goodbye(self.desk))
        stream.settle()
        stream.leave()
        return response

    def work(self) -> None:
        self.link.work()
        self.link.work()  # what the first round has read becomes due in the second
        self.clerk.work()

    def cases(self) -> list[Case]:
        self.work()
        with self.store.read() as connection:
            ids = connection.execute(select(review.cases.c.id).order_by(review.cases.c.first_frame)).scalars().all()
        return [self.office.find(case) for case in ids]

    def answer(self, case: str, answer: Answer, reviewer: str = "anna") -> None:
        (lease,) = [each for each in self.office.lease(reviewer, 16) if each.case.id == case]
        self.office.vote(case, reviewer, lease.token, answer)


@pytest.fixture
def setup(tmp_path: Path) -> Iterator[Set]:
    store = sqlite_store(tmp_path)
    yield Set(tmp_path, store)
    store.close()


def doubtful(first: int, last: int) -> list[Frames]:
    """One object with scores that leave it in doubt."""
    return [one_frame(index, [(*BOX, 0.2)]) for index in range(first, last)]


def confident(first: int, last: int) -> list[Frames]:
    return [one_frame(index, [(*BOX, 0.97)]) for index in range(first, last)]


def nothing(first: int, last: int) -> list[Frames]:
    return [one_frame(index, []) for index in range(first, last)]


def started(responses: Sequence[Response]) -> list[Any]:
    return [event for response in responses for event in response.events]


def test_a_track_in_doubt_for_long_enough_is_a_case_with_its_frames(setup: Set) -> None:
    stream = setup.open()
    told = started(setup.play(stream, doubtful(0, 60)))
    assert told[0].to_verdict == decisions_pb2.VERDICT_MAYBE
    (case,) = setup.cases()
    assert (case.source, case.stream_id, case.epoch) == (Source.MAYBE, "camera", stream.epoch)
    assert (case.track_id, case.frame_index) == (told[0].track_id, told[0].frame_index)
    assert case.class_name == "person"
    footage = setup.gallery.footage(case.id)
    # From the track's first frame to where it was looked at.
    assert [frame.index for frame in footage.frames] == list(range(case.first_frame, 60))
    assert footage.frames[5].box == BOX
    assert footage.frames[5].score == pytest.approx(0.2)
    assert footage.frames[5].time == 5 * FRAME_NANOSECONDS
    assert (footage.frame_width, footage.frame_height) == (640, 360)


def test_the_frozen_probabilities_are_those_that_were_sent(setup: Set) -> None:
    stream = setup.open()
    responses = setup.play(stream, doubtful(0, 60))
    (case,) = setup.cases()
    sent = [round(response.decisions.probabilities[0], 6) for response in responses]  # as far as they are kept
    frames = setup.gallery.footage(case.id).frames
    assert [frame.probability for frame in frames] == sent[case.first_frame :]


def test_a_confident_track_is_audited_when_it_ends(setup: Set) -> None:
    stream = setup.open()
    setup.play(stream, confident(0, 40))
    assert setup.cases() == []
    setup.end(stream)
    (case,) = setup.cases()
    assert (case.source, case.pi) == (Source.AUDIT_YES, 1.0)


def test_the_reviewing_thread_may_rest_after_each_track(setup: Set) -> None:
    stream = setup.open()
    setup.play(stream, [one_frame(index, [(*BOX, 0.97), (400.0, 100.0, 460.0, 240.0, 0.97)]) for index in range(40)])
    setup.end(stream)
    decided: list[int] = []
    setup.link.work(lambda: decided.append(setup.clerk.state.waiting))
    assert sorted(set(decided) - {0}) == [1, 2]


class Rests:
    """In place of a pacer."""

    def __init__(self) -> None:
        self.taken = 0

    def rest(self) -> None:
        self.taken += 1


def rests_taken(setup: Set, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Has the link work; how many rests it had taken, after each report but the last, behind which none waits."""
    pacer = Rests()
    monkeypatch.setattr(setup.link, "_pacer", pacer)
    taken = list[int]()

    def rest() -> None:
        setup.link._rest()  # pyright: ignore[reportPrivateUsage]
        if setup.link._backlog.entries:  # pyright: ignore[reportPrivateUsage]
            taken.append(pacer.taken)

    setup.link.work(rest)
    assert taken
    return taken


@pytest.mark.parametrize(("waited", "rests"), [(0.0, True), (60.0, False)])
def test_there_is_no_time_for_rests_when_reports_have_waited_long(
    setup: Set, monkeypatch: pytest.MonkeyPatch, waited: float, *, rests: bool
) -> None:
    for number in range(3):
        stream = setup.open(stream_id=f"camera {number}")
        setup.play(stream, confident(0, 40))
        setup.end(stream)
    later = time.monotonic() + waited
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert all((taken > 0) is rests for taken in rests_taken(setup, monkeypatch))


@pytest.mark.parametrize(("frames", "rests"), [(40, True), (400, False)])
def test_there_is_no_time_for_rests_when_the_film_of_a_report_is_passing(
    setup: Set, monkeypatch: pytest.MonkeyPatch, frames: int, *, rests: bool
) -> None:
    setup.link.limits = ReviewLimits(film_bytes=40_000)
    for number in range(3):
        setup.play(setup.open(stream_id=f"recording {number}"), confident(0, frames))
    assert all((taken > 0) is rests for taken in rests_taken(setup, monkeypatch))


def unlikely(first: int, last: int) -> list[Frames]:
    """An object with scores that never get it out of NO."""
    return [one_frame(index, [(*BOX, 0.02)]) for index in range(first, last)]


def test_tracks_that_nobody_was_told_of_are_decisions_and_some_are_audited(setup: Set) -> None:
    tracks = set()
    for epoch in range(1, 41):
        stream = setup.open(epoch=epoch)
        told = setup.play(stream, unlikely(0, 12)) + setup.play(stream, nothing(12, 80))
        assert not started(told)
        tracks.add(told[0].decisions.track_ids[0])
    cases = setup.cases()
    # The coin favours those in doubt, and these are far from it.
    (share,) = {case.pi for case in cases}
    assert 0.0 < share < 1.0
    assert share == policy().review.audit_of_dismissed(cases[0].probability)
    assert 0 < len(cases) < len(tracks) == 40
    assert {case.track_id for case in cases} <= tracks
    assert {(case.source, case.first_frame) for case in cases} == {(Source.AUDIT_NO, 0)}
    assert len(setup.gallery.footage(cases[0].id).frames) == 12
    with setup.store.read() as connection:
        rows = connection.execute(select(review.decisions)).all()
    assert {row.track_id for row in rows} == tracks
    assert {(row.stratum, row.pi) for row in rows} == {("auto_no", share)}


def test_a_flash_that_nobody_was_told_of_is_no_decision(setup: Set) -> None:
    stream = setup.open()
    setup.play(stream, unlikely(0, 2) + nothing(2, 80))
    setup.end(stream)
    assert setup.cases() == []
    with setup.store.read() as connection:
        assert connection.execute(select(review.decisions.c.id)).all() == []


def test_how_frames_are_batched_does_not_matter(setup: Set) -> None:
    first = setup.open(stream_id="one")
    setup.play(first, doubtful(0, 20) + confident(20, 90) + nothing(90, 160))
    second = setup.open(stream_id="two")
    for start, kind in ((0, doubtful), (20, confident), (90, nothing)):
        joined = Frames()
        for message in kind(start, {0: 20, 20: 90, 90: 160}[start]):
            joined.MergeFrom(message)
        setup.send(second, Request(frames=joined))
    found = {
        (case.stream_id, case.source, case.frame_index, case.first_frame, round(case.probability, 6))
        for case in setup.cases()
    }
    ones, twos = ({each[1:] for each in found if each[0] == name} for name in ("one", "two"))
    assert ones == twos
    assert ones


def test_a_resumed_stream_gives_the_same_cases_and_none_twice(setup: Set) -> None:
    stream_terms = setup.terms()
    stream = setup.open(stream_terms, checkpoint_interval=10)
    responses = setup.play(stream, doubtful(0, 25))
    checkpoint = next(each.checkpoint for each in reversed(responses) if each.HasField("checkpoint"))
    assert checkpoint.last_frame == 19
    stream.leave()
    again = setup.open(stream_terms, checkpoint=checkpoint.state, last_answered_frame=24)
    setup.play(again, doubtful(20, 60))
    setup.end(again)
    assert len(setup.cases()) == 1


def test_what_a_killed_server_did_not_book_its_heir_books(setup: Set, tmp_path: Path) -> None:
    # The first server dies with everything it had in memory, after its caller got the answers to frames 20 to 89.
    mortal = Set(tmp_path / "mortal", setup.store)
    stream_terms = mortal.terms()
    stream = mortal.open(stream_terms, checkpoint_interval=20)
    mortal.play(stream, confident(0, 20))
    checkpoint = mortal.play(stream, confident(20, 40))[-1].checkpoint
    told = started(mortal.play(stream, nothing(40, 90)))
    assert told[-1].type == Event.TYPE_ENDED
    heir = setup.open(setup.terms(), checkpoint=checkpoint.state, last_answered_frame=89)
    setup.play(heir, nothing(40, 91))
    (case,) = setup.cases()
    assert case.source.is_audit


def test_a_track_that_was_in_doubt_before_a_crash_is_still_a_case(setup: Set, tmp_path: Path) -> None:
    mortal = Set(tmp_path / "mortal", setup.store)
    stream = mortal.open(mortal.terms(open_after=2.0), checkpoint_interval=10)
    checkpoint = mortal.play(stream, doubtful(0, 20))[-1].checkpoint
    assert checkpoint.last_frame == 19
    heir = setup.open(setup.terms(open_after=2.0), checkpoint=checkpoint.state, last_answered_frame=19)
    setup.play(heir, doubtful(20, 100))
    (case,) = setup.cases()
    assert case.source is Source.MAYBE
    # Named alike by the one that died and by its heir.
    mortal.play(stream, doubtful(20, 100))
    assert [each.id for each in mortal.cases()] == [case.id]


def test_only_an_epoch_that_goes_on_has_answers_looked_for(setup: Set, tmp_path: Path) -> None:
    stream_terms = setup.terms()
    looked_for = list[str]()
    event.listen(
        setup.store.engine,
        "before_cursor_execute",
        lambda *given: looked_for.append(given[2]) if "delivered_at IS NOT NULL" in given[2] else None,
    )
    stream = setup.open(stream_terms, epoch=0)
    setup.work()
    assert looked_for == []
    (checkpoint,) = [each.checkpoint for each in setup.play(stream, doubtful(0, 100)) if each.HasField("checkpoint")]
    again = setup.open(stream_terms, epoch=0, checkpoint=checkpoint.state, last_answered_frame=99)
    setup.work()
    assert again.epoch == stream.epoch
    assert [statement.split(None, 1)[0] for statement in looked_for] == ["UPDATE"]
    heir = Set(tmp_path / "heir", setup.store)
    heir.open(heir.terms(), epoch=0, checkpoint=checkpoint.state, last_answered_frame=99)
    heir.work()
    assert [statement.split(None, 1)[0] for statement in looked_for[1:]] == ["UPDATE", "SELECT"]


def test_an_answer_goes_back_to_the_stream(setup: Set) -> None:
    stream = setup.open()
    setup.play(stream, doubtful(0, 60))
    (case,) = setup.cases()
    setup.answer(case.id, Answer.NO)
    setup.work()
    responses = setup.play(stream, doubtful(60, 63))
    (event,) = started(responses)
    assert event.type == Event.TYPE_REVIEWED
    assert (event.track_id, event.case_id) == (case.track_id, case.id)
    assert (event.from_verdict, event.to_verdict) == (decisions_pb2.VERDICT_MAYBE, decisions_pb2.VERDICT_NO)
    assert event.decided_by == decisions_pb2.DECIDED_BY_HUMAN
    assert not event.correction
    setup.work()
    assert setup.office.undelivered(["camera"]) == []


def verdicts(responses: Sequence[Response]) -> list[int]:
    return [verdict for response in responses for verdict in response.decisions.verdicts]


@pytest.mark.parametrize(("answer", "expected"), [(Answer.NO, 1), (Answer.YES, 3)])
def test_the_boxes_of_a_track_follow_what_people_decided(setup: Set, answer: Answer, expected: int) -> None:
    stream = setup.open()
    setup.play(stream, doubtful(0, 60))
    (case,) = setup.cases()
    setup.answer(case.id, answer)
    setup.work()
    told = setup.play(stream, doubtful(60, 61))
    assert len(started(told)) == 1
    later = setup.play(stream, doubtful(61, 80))
    assert set(verdicts(later)) == {expected}
    assert {each for response in later for each in response.decisions.track_verdicts} == {expected}
    # Another track's boxes do not.
    both = [one_frame(index, [(*BOX, 0.2), (400.0, 100.0, 460.0, 240.0, 0.97)]) for index in range(80, 100)]
    last = setup.play(stream, both)[-1]
    assert list(last.decisions.verdicts) == [expected, 3]


def test_what_people_decided_is_outdated_when_the_evidence_has_moved_far_against_it(setup: Set) -> None:
    stream = setup.open()
    setup.play(stream, doubtful(0, 60))
    (case,) = setup.cases()
    setup.answer(case.id, Answer.NO)
    setup.work()
    setup.play(stream, doubtful(60, 61))
    later = verdicts(setup.play(stream, confident(61, 400)))
    # For a while it holds against the evidence, and then no more; once gone, it does not come back.
    assert later[0] == 1
    assert later[-1] == 3
    assert later == sorted(later)


def test_a_vote_taken_back_leaves_the_track_to_the_machine(setup: Set) -> None:
    stream, plain = setup.open(), make_stream(terms(policies=Held(InForce(policy()))))
    setup.play(stream, doubtful(0, 60))
    (case,) = setup.cases()
    setup.answer(case.id, Answer.NO)
    setup.work()
    setup.play(stream, doubtful(60, 61))
    assert set(verdicts(setup.play(stream, doubtful(61, 70)))) == {1}
    setup.office.undo(case.id, "anna")
    setup.work()
    setup.play(stream, doubtful(70, 71))
    later = setup.play(stream, doubtful(71, 80))
    machine = [
        Response.FromString(plain.answer(Request(frames=message).SerializeToString(), setup.desk))
        for message in doubtful(0, 80)
    ]
    assert verdicts(later) == verdicts(machine[71:])


def test_a_pipeline_that_was_away_is_told_when_it_is_back(setup: Set) -> None:
    stream = setup.open()
    setup.play(stream, doubtful(0, 60))
    setup.end(stream)
    (case,) = setup.cases()
    setup.answer(case.id, Answer.YES)
    setup.work()
    # A new epoch, after a restart of the camera.
    back = setup.open(epoch=8)
    setup.work()
    (event,) = started(setup.play(back, nothing(0, 2)))
    assert (event.type, event.track_id) == (Event.TYPE_REVIEWED, case.track_id)


class Answered:
    """A camera whose caller has the answers of 60 frames, and a case of it that was answered since: the answer goes out with the next response."""

    def __init__(self, setup: Set) -> None:
        self._setup = setup
        self._terms = setup.terms()
        self.stream = setup.open(self._terms, checkpoint_interval=10)
        responses = setup.play(self.stream, doubtful(0, 60))
        self._checkpoint = next(each.checkpoint for each in reversed(responses) if each.HasField("checkpoint"))
        (self.case,) = setup.cases()
        setup.answer(self.case.id, Answer.YES)
        setup.work()

    def open_again(self, last_answered_frame: int) -> Stream:
        """The stream, resumed from its last checkpoint."""
        self._setup.work()
        again = self._setup.open(
            self._terms, checkpoint=self._checkpoint.state, last_answered_frame=last_answered_frame
        )
        self._setup.work()
        return again


def test_an_answer_that_never_arrived_is_sent_again(setup: Set) -> None:
    camera = Answered(setup)
    lost = setup.play(camera.stream, doubtful(60, 61))
    assert len(started(lost)) == 1
    (event,) = started(setup.play(camera.open_again(59), doubtful(60, 61)))
    assert event.case_id == camera.case.id
    # And once it has arrived, no more.
    assert started(setup.play(camera.open_again(60), doubtful(60, 70))) == []


def test_an_answer_that_went_with_a_refusal_alone_is_sent_again(setup: Set) -> None:
    camera = Answered(setup)
    (lost,) = setup.play(camera.stream, doubtful(30, 31))  # a frame that was there before
    assert len(lost.events) == len(lost.notices) == 1
    assert not lost.decisions.frame_indices
    (event,) = started(setup.play(camera.open_again(59), doubtful(60, 61)))
    assert event.case_id == camera.case.id


def test_an_answer_that_comes_while_the_goodbye_is_written_is_not_lost(setup: Set) -> None:
    stream = setup.open()
    setup.play(stream, doubtful(0, 60))
    (case,) = setup.cases()
    stream.say_goodbye(setup.desk)
    setup.answer(case.id, Answer.YES)
    setup.work()
    stream.settle()
    stream.leave()
    setup.work()
    back = setup.open(epoch=8)
    setup.work()
    (event,) = started(setup.play(back, nothing(0, 2)))
    assert event.case_id == case.id


def test_an_answer_comes_at_the_latest_with_the_goodbye(setup: Set) -> None:
    stream = setup.open()
    setup.play(stream, doubtful(0, 60))
    (case,) = setup.cases()
    setup.answer(case.id, Answer.NO)
    setup.work()
    events = setup.end(stream).events
    assert [event.type for event in events] == [Event.TYPE_ENDED, Event.TYPE_REVIEWED]


def jpeg(color: tuple[int, int, int] = (10, 200, 10)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (60, 140), color).save(out, "JPEG")
    return out.getvalue()


def test_pictures_are_asked_for_and_kept(setup: Set) -> None:
    stream = setup.open()
    setup.play(stream, doubtful(0, 60))
    (case,) = setup.cases()
    (request,) = setup.play(stream, doubtful(60, 61))[0].evidence_requests
    assert (request.request_id, request.track_id) == (case.id, case.track_id)
    assert 1 <= len(request.frame_indices) <= 6
    assert len(request.boxes) == 4 * len(request.frame_indices)
    assert set(request.frame_indices) <= set(range(60))
    pictures = [
        evidence_pb2.Picture(frame_index=frame, format=evidence_pb2.Picture.FORMAT_JPEG, data=jpeg(), crop=BOX)
        for frame in request.frame_indices
    ]
    evidence = evidence_pb2.Evidence(request_id=request.request_id, pictures=pictures)
    assert stream.answer_heavy(Request(evidence=evidence).SerializeToString(), setup.desk) is SILENCE
    setup.work()
    assert [each.frame_index for each in setup.gallery.pictures(case.id)] == sorted(request.frame_indices)


def test_pictures_that_nobody_asked_for_are_refused(setup: Set) -> None:
    stream = setup.open()
    setup.play(stream, doubtful(0, 60))
    (case,) = setup.cases()
    for name in ("x" * 32, "../../etc", case.id[:-1] + "x"):
        response = setup.send(stream, Request(evidence=evidence_pb2.Evidence(request_id=name)))
        assert [notice.code for notice in response.notices] == [decisions_pb2.Notice.CODE_UNEXPECTED]
    # Another stream's case is none of its business.
    other = setup.open(stream_id="other")
    response = setup.send(other, Request(evidence=evidence_pb2.Evidence(request_id=case.id)))
    assert len(response.notices) == 1


def test_a_stream_that_broke_for_good_leaves_its_doubts_as_cases(setup: Set, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = setup.open(setup.terms(open_after=100.0))
    setup.play(stream, doubtful(0, 40))
    assert setup.cases() == []
    stream.leave()
    monkeypatch.setattr("tertium_server.rpc.reviewing._LEFT_ALONE_SECONDS", -1.0)
    assert [case.source for case in setup.cases()] == [Source.MAYBE]


def test_a_new_epoch_ends_the_doubts_of_the_one_before(setup: Set) -> None:
    stream = setup.open(setup.terms(open_after=100.0))
    setup.play(stream, doubtful(0, 40))
    setup.open(epoch=9)
    assert [case.epoch for case in setup.cases()] == [stream.epoch]


def test_review_changes_no_decision(setup: Set) -> None:
    messages = doubtful(0, 50) + confident(50, 80) + nothing(80, 130)
    reviewed = setup.open()
    plain = make_stream(terms(policies=Held(InForce(policy()))))
    for message in messages:
        data = Request(frames=message).SerializeToString()
        expected = Response.FromString(plain.answer(data, setup.desk))
        found = setup.send(reviewed, Request(frames=message))
        setup.work()
        del found.evidence_requests[:]
        assert found.decisions == expected.decisions
        assert found.events == expected.events


def test_a_server_without_review_asks_nobody(setup: Set) -> None:
    stream = make_stream(terms(policies=Held(InForce(policy()))))
    stream.attach_review()
    assert stream.review is None
    setup.play(stream, doubtful(0, 60))
    assert setup.cases() == []


def test_film_is_bounded(setup: Set) -> None:
    link = ReviewLink(setup.office, setup.clerk, setup.gallery, ReviewLimits(film_bytes=20_000))
    stream = setup.open(terms(policies=Held(InForce(policy())), review=link))
    assert stream.review is not None
    setup.play(stream, doubtful(0, 600))
    behind = stream.review.film.entries()
    assert 60_000 < sum(len(entry[0]) + len(entry[1]) for entry in behind) <= 80_000
    link.work()
    setup.play(stream, doubtful(600, 601))
    entries = stream.review.film.entries()
    assert sum(len(entry[0]) + len(entry[1]) for entry in entries) <= 20_500
    assert 20 < len(entries) < 300


def test_frozen_footage_outlives_its_form() -> None:
    assert Footage.from_json({"frames": [[1, 2, 3.0, 4.0, 5.0, 6.0, 0.5, 0.25]]}).frames[0].box == (3.0, 4.0, 5.0, 6.0)


def test_streams_that_ended_are_forgotten_soon_and_broken_ones_later(
    setup: Set, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tertium_server.rpc.reviewing._LAST_NEWS_SECONDS", 0.0)
    ended, broken = setup.open(stream_id="ended"), setup.open(stream_id="broken")
    for stream in (ended, broken):
        setup.play(stream, doubtful(0, 5))
    ended.say_goodbye(setup.desk)
    ended.settle()
    for stream in (ended, broken):
        stream.leave()
    setup.work()
    assert [name for name, _ in setup.link.remembered] == ["broken"]
