"""Frame audits and what a new server knows of old answers: streams and link in this process, no server."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import select

from tertium.v1 import decisions_pb2, evidence_pb2
from tertium_server.review.frame_audits import chosen_frames
from tertium_server.review.values import Answer, Case, Source
from tertium_server.storage.tables import review
from tests.rpc.builders import Frames, Request, Response, one_frame
from tests.rpc.test_reviewing import BOX, Set, confident, doubtful, verdicts
from tests.stores import sqlite_store

PI = 0.2
LENGTH = 70
SURE = (300.0, 50.0, 360.0, 200.0)


@pytest.fixture(name="site")
def make_site(tmp_path: Path) -> Iterator[Set]:
    store = sqlite_store(tmp_path)
    yield Set(tmp_path, store)
    store.close()


def picture() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (64, 36), (1, 2, 3)).save(out, "PNG")
    return out.getvalue()


def scene(first: int, last: int) -> list[Frames]:
    """A sure object, a doubtful one, and one that never leaves NO."""
    rows = [(*SURE, 0.97), (*BOX, 0.2), (500.0, 300.0, 520.0, 340.0, 0.01)]
    return [one_frame(index, rows) for index in range(first, last)]


def play(site: Set, stream: Any, messages: Sequence[Frames], *, off_by: int = 0) -> list[Any]:
    """Plays messages, looking at each, and sends what pictures of whole frames are asked for; the requests."""
    requests: list[Any] = []
    for message in messages:
        response: Response = site.send(stream, Request(frames=message))
        for wanted in response.evidence_requests:
            if wanted.track_id:
                continue
            requests.append(wanted)
            index = wanted.frame_indices[0] + off_by
            shown = evidence_pb2.Picture(
                frame_index=index,
                format=evidence_pb2.Picture.FORMAT_PNG,
                data=picture(),
                crop=[0.0, 0.0, 640.0, 360.0],
            )
            site.send(stream, Request(evidence=evidence_pb2.Evidence(request_id=wanted.request_id, pictures=[shown])))
        site.link.looked_at_frames = 0.0
        site.link.work()
    return requests


def frame_cases(site: Set) -> list[Case]:
    return [case for case in site.cases() if case.source is Source.FRAME_AUDIT]


def test_frames_that_the_coin_chooses_are_cases_with_their_picture_and_boxes(site: Set) -> None:
    stream = site.open(site.terms(audit_frames=PI))
    requests = play(site, stream, scene(0, LENGTH))
    cases = frame_cases(site)
    # The first message is where looking begins; the last frame's request would have gone out with the next response.
    expected = [
        frame for frame in chosen_frames("camera", stream.epoch, range(1, LENGTH - 1), "", PI) if frame < LENGTH - 1
    ]
    assert [case.frame_index for case in cases] == expected
    assert len(expected) > 1
    assert [list(request.boxes) for request in requests] == [[0.0, 0.0, 640.0, 360.0]] * len(requests)
    case = cases[-1]
    assert (case.pi, case.stream_id, case.epoch) == (PI, "camera", stream.epoch)
    boxes = [frame.box for frame in site.gallery.footage(case.id).frames]
    assert SURE in boxes
    assert (500.0, 300.0, 520.0, 340.0) not in boxes
    (stored,) = site.gallery.pictures(case.id)
    assert (stored.frame_index, stored.crop) == (case.frame_index, (0.0, 0.0, 640.0, 360.0))
    with site.store.read() as connection:
        row = connection.execute(select(review.frame_audits).where(review.frame_audits.c.case_id == case.id)).one()
    assert row.shown == len(boxes)
    assert row.expected == pytest.approx(sum(frame.probability for frame in site.gallery.footage(case.id).frames))


def test_the_same_frames_are_chosen_again_and_none_is_a_case_twice(site: Set) -> None:
    stream_terms = site.terms(audit_frames=PI)
    stream = site.open(stream_terms, checkpoint_interval=10)
    play(site, stream, scene(0, LENGTH))
    before = [case.id for case in frame_cases(site)]
    again = site.open(stream_terms, epoch=stream.epoch)
    play(site, again, scene(0, LENGTH))
    assert [case.id for case in frame_cases(site)] == before


def test_the_picture_of_a_neighbour_makes_no_case(site: Set) -> None:
    stream = site.open(site.terms(audit_frames=PI))
    assert play(site, stream, scene(0, LENGTH), off_by=1)
    assert frame_cases(site) == []


def test_no_frame_is_audited_unless_the_policy_says_so(site: Set) -> None:
    assert play(site, site.open(), scene(0, LENGTH)) == []


def test_an_answer_on_a_frame_tells_the_stream_nothing(site: Set) -> None:
    stream = site.open(site.terms(audit_frames=PI))
    play(site, stream, scene(0, LENGTH))
    case = frame_cases(site)[0]
    (lease,) = [each for each in site.office.lease("anna", 16) if each.case.id == case.id]
    site.office.vote(case.id, "anna", lease.token, Answer.YES, missed=2)
    site.work()
    told = [event for each in site.play(stream, scene(LENGTH, LENGTH + 5)) for event in each.events]
    assert [event for event in told if event.case_id == case.id] == []


def test_a_case_remembers_the_evidence_that_its_stream_was_told_of(site: Set) -> None:
    stream = site.open()
    told = [event for each in site.play(stream, doubtful(0, 60)) for event in each.events]
    (case,) = site.cases()
    levels = site.gallery.footage(case.id).levels
    assert [level.index for level in levels] == [event.frame_index for event in told]
    assert [(level.fast, level.slow, level.probability) for level in levels] == [
        (event.why.evidence_fast, event.why.evidence_slow, event.why.probability) for event in told
    ]


@pytest.mark.parametrize(
    ("later", "expected"), [(doubtful, decisions_pb2.VERDICT_NO), (confident, decisions_pb2.VERDICT_YES)]
)
def test_boxes_follow_the_answer_after_a_restart_unless_it_was_outdated(
    site: Set, tmp_path: Path, later: Any, expected: int
) -> None:
    stream = site.open(checkpoint_interval=10)
    site.play(stream, doubtful(0, 60))
    (case,) = site.cases()
    site.answer(case.id, Answer.NO)
    site.work()
    responses = site.play(stream, later(60, 360))
    assert responses[0].events[-1].case_id == case.id
    checkpoint = next(each.checkpoint for each in reversed(responses) if each.HasField("checkpoint"))
    assert verdicts(responses)[-1] == expected
    site.work()
    heir = Set(tmp_path / "heir", site.store)  # the same store, and nothing in memory
    again = heir.open(checkpoint=checkpoint.state, last_answered_frame=checkpoint.last_frame)
    heir.work()
    told = heir.play(again, later(checkpoint.last_frame + 1, checkpoint.last_frame + 20))
    # What it was told before it is not told again; its boxes follow from the second message on.
    assert [event for each in told for event in each.events if event.case_id] == []
    assert set(verdicts(told[1:])) == {expected}
