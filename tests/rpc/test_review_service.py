"""ReviewService over gRPC: who may do what, what is told before the vote and after, lists, exports, deletions."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from PIL import Image

from tertium.v1 import decisions_pb2, review_service_pb2_grpc
from tertium.v1 import review_service_pb2 as pb
from tertium_server.review.access import Gate, Role, entry_for
from tertium_server.review.department import ReviewDepartment, ReviewSettings
from tertium_server.review.footage import Footage, FrameOfTrack
from tertium_server.review.gallery import SentPicture
from tertium_server.review.queue import QueueRules
from tertium_server.review.values import Booking, Stratum
from tertium_server.rpc.review_service import ReviewService
from tertium_server.storage import sqlite_url
from tests.review.builders import booking
from tests.review.test_frame_audits import audit

ROLES = {"anna": [Role.REVIEW], "bert": [Role.REVIEW], "camera": [Role.INGEST], "chief": [Role.ADMIN]}


def shown(track: int, stratum: Stratum = Stratum.MAYBE, **changes: Any) -> Booking:
    made = booking(track, stratum, **changes)
    frames = tuple(FrameOfTrack(k, 1000 * k, 1.0, 2.0, 30.0, 40.0, 0.25, 0.5) for k in range(5))
    return Booking(decision=made.decision, terms=made.terms, evidence=Footage(frames, 640, 360, 0.75, 0.125).to_json())


def jpeg() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (20, 30)).save(out, "JPEG")
    return out.getvalue()


class Office:
    """A server of nothing but reviews."""

    def __init__(self, department: ReviewDepartment, channel: grpc.aio.Channel) -> None:
        self.department = department
        self.stub: Any = review_service_pb2_grpc.ReviewServiceStub(channel)

    async def call(self, method: str, request: Any, name: str = "anna") -> Any:
        return await getattr(self.stub, method)(request, metadata=self.shows(name))

    async def refusal(self, method: str, request: Any, name: str = "anna") -> grpc.StatusCode:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.call(method, request, name)
        return caught.value.code()

    def shows(self, name: str) -> list[tuple[str, str]]:
        return [("authorization", f"Bearer {name} token")] if name else []

    async def lease(self, name: str = "anna") -> Any:
        (lease,) = (await self.call("LeaseCases", pb.LeaseCasesRequest(), name)).leases
        return lease

    async def vote(self, lease: Any, answer: Any = pb.ANSWER_YES, name: str = "anna") -> Any:
        request = pb.CastVoteRequest(case_id=lease.view.case_id, token=lease.token, answer=answer)
        return await self.call("CastVote", request, name)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    department = ReviewDepartment(
        ReviewSettings(
            store_url=sqlite_url(tmp_path),
            spool_folder=tmp_path / "spool",
            evidence_url=str(tmp_path / "blobs"),
            queue=QueueRules(audit_share=0.0, gold_share=0.0),
        )
    )
    department.start()
    tokens = tmp_path / "tokens.toml"
    tokens.write_text("".join(entry_for(f"{name} token", name, roles) for name, roles in ROLES.items()))
    server = grpc.aio.server()
    review_service_pb2_grpc.add_ReviewServiceServicer_to_server(ReviewService(department, Gate.of_file(tokens)), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield Office(department, channel)
    await server.stop(0)
    department.stop(60)


REVIEWERS = ["LeaseCases", "RenewLease", "ReleaseLease", "CastVote", "UndoVote", "GetEvidence"]
ADMINISTRATORS = ["ListCases", "WithdrawCase", "DeletePictures", "AddGoldCase"]


def empty(method: str) -> Any:
    return getattr(pb, f"{method}Request")()


@pytest.mark.parametrize("method", REVIEWERS + ADMINISTRATORS)
async def test_nobody_gets_in_without_a_token_or_a_role(office: Office, method: str) -> None:
    assert await office.refusal(method, empty(method), "") is grpc.StatusCode.UNAUTHENTICATED
    assert await office.refusal(method, empty(method), "nobody") is grpc.StatusCode.UNAUTHENTICATED
    assert await office.refusal(method, empty(method), "camera") is grpc.StatusCode.PERMISSION_DENIED
    if method in ADMINISTRATORS:
        assert await office.refusal(method, empty(method), "anna") is grpc.StatusCode.PERMISSION_DENIED


async def test_streams_are_for_administrators(office: Office) -> None:
    for method in ("WatchQueue", "ExportReviews"):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await anext(aiter(getattr(office.stub, method)(empty(method), metadata=office.shows("anna"))))
        assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_from_lease_to_answer(office: Office) -> None:
    (case,) = office.department.office.book([shown(1)])
    lease = await office.lease()
    assert (lease.view.case_id, lease.view.class_name, lease.view.stream_id) == (case, "person", "gate")
    renewed = await office.call("RenewLease", pb.RenewLeaseRequest(case_id=case, token=lease.token))
    assert renewed.renewed
    assert renewed.expires_micros >= lease.expires_micros
    voted = await office.vote(lease)
    assert (voted.state, voted.fenced, voted.late) == (pb.CASE_STATE_CLOSED, False, False)
    assert (voted.case.source, voted.case.probability) == (pb.CASE_SOURCE_MAYBE, 0.4)
    assert (voted.case.verdict, voted.case.decided_by) == (decisions_pb2.VERDICT_YES, decisions_pb2.DECIDED_BY_HUMAN)
    again = await office.call("UndoVote", pb.UndoVoteRequest(case_id=case))
    assert again.lease.view.case_id == case
    released = await office.call("ReleaseLease", pb.ReleaseLeaseRequest(case_id=case, token=again.lease.token))
    assert released.released


async def test_evidence_is_blind_until_the_vote(office: Office) -> None:
    (case,) = office.department.office.book([shown(1, Stratum.AUTO_NO)])
    office.department.gallery.take(case, [SentPicture(3, jpeg(), (1.0, 2.0, 21.0, 32.0))])
    lease = await office.lease()
    request = pb.GetEvidenceRequest(case_id=case)
    blind = await office.call("GetEvidence", request)
    assert not blind.HasField("threshold_yes")
    assert not any(frame.HasField("score") or frame.HasField("probability") for frame in blind.frames)
    assert list(blind.frames[0].box) == [1.0, 2.0, 30.0, 40.0]
    assert blind.pictures[0].data.startswith(b"\xff\xd8")
    await office.vote(lease, pb.ANSWER_NO)
    seen = await office.call("GetEvidence", request)
    assert (seen.threshold_yes, seen.threshold_no) == (0.75, 0.125)
    assert (seen.frames[0].score, seen.frames[0].probability) == (0.25, 0.5)
    assert not (await office.call("GetEvidence", request, "bert")).HasField("threshold_yes")
    assert (await office.call("GetEvidence", request, "chief")).HasField("threshold_yes")
    small = await office.call("GetEvidence", pb.GetEvidenceRequest(case_id=case, omit_pictures=True))
    assert [picture.data for picture in small.pictures] == [b""]


async def test_what_is_wrong_with_a_request_is_told(office: Office) -> None:
    missing = "0" * 32
    vote = pb.CastVoteRequest(case_id=missing, answer=pb.ANSWER_YES)
    assert await office.refusal("CastVote", vote) is grpc.StatusCode.NOT_FOUND
    assert await office.refusal("CastVote", pb.CastVoteRequest(case_id=missing)) is grpc.StatusCode.INVALID_ARGUMENT
    assert await office.refusal("GetEvidence", pb.GetEvidenceRequest(case_id=missing)) is grpc.StatusCode.NOT_FOUND
    assert await office.refusal("LeaseCases", pb.LeaseCasesRequest(count=17)) is grpc.StatusCode.INVALID_ARGUMENT
    assert (
        await office.refusal("DeletePictures", pb.DeletePicturesRequest(), "chief") is grpc.StatusCode.INVALID_ARGUMENT
    )
    for wrong in (
        pb.ListCasesRequest(page_token="x"),  # noqa: S106
        pb.ListCasesRequest(page_size=1001),
        pb.ListCasesRequest(states=[99]),  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    ):
        assert await office.refusal("ListCases", wrong, "chief") is grpc.StatusCode.INVALID_ARGUMENT
    (case,) = office.department.office.book([shown(1)])
    await office.vote(await office.lease())
    again = pb.CastVoteRequest(case_id=case, answer=pb.ANSWER_NO)
    assert await office.refusal("CastVote", again) is grpc.StatusCode.FAILED_PRECONDITION
    assert (
        await office.refusal("UndoVote", pb.UndoVoteRequest(case_id=case), "bert")
        is grpc.StatusCode.FAILED_PRECONDITION
    )


async def test_a_list_goes_on_where_it_stopped(office: Office) -> None:
    booked = office.department.office.book([shown(k) for k in range(25)])
    found: list[str] = []
    token = ""
    while True:
        page = await office.call("ListCases", pb.ListCasesRequest(page_size=10, page_token=token), "chief")
        found += [case.view.case_id for case in page.cases]
        token = page.next_page_token
        if not token:
            break
    assert sorted(found) == sorted(booked)
    only = await office.call("ListCases", pb.ListCasesRequest(stream_id="yard"), "chief")
    assert list(only.cases) == []
    closed = await office.call("ListCases", pb.ListCasesRequest(states=[pb.CASE_STATE_CLOSED]), "chief")
    assert list(closed.cases) == []


async def test_whoever_watches_is_told_of_the_queue_and_its_changes(office: Office) -> None:
    office.department.office.book([shown(1)])
    call = office.stub.WatchQueue(pb.WatchQueueRequest(), metadata=office.shows("chief"))
    first = await call.read()
    assert (first.waiting, first.leased, first.votes_last_hour) == (1, 0, 0)
    await office.vote(await office.lease())
    state = first
    while state.votes_last_hour == 0:
        state = await call.read()
    assert state.waiting == 0
    call.cancel()


async def test_an_export_holds_every_answer_with_its_weight_the_least_certain_first(office: Office) -> None:
    office.department.office.book(
        [shown(k, probability=0.5 - k / 1000) for k in range(60)] + [shown(99, probability=0.9)]
    )
    for _ in range(61):
        await office.vote(await office.lease())
    call = office.stub.ExportReviews(pb.ExportReviewsRequest(), metadata=office.shows("chief"))
    found = [each async for each in call]
    certainty = [abs(each.case.probability - 0.5) for each in found]
    assert len(found) == 61
    assert certainty == sorted(certainty)
    assert {each.weight for each in found} == {1.0}
    assert [frame.frame_index for frame in found[0].frames] == list(range(5))


async def test_pictures_of_a_stream_are_deleted_on_demand(office: Office) -> None:
    (case,) = office.department.office.book([shown(1)])
    office.department.gallery.take(case, [SentPicture(3, jpeg(), (0.0, 0.0, 1.0, 1.0))])
    deleted = await office.call("DeletePictures", pb.DeletePicturesRequest(stream_id="gate"), "chief")
    assert deleted.deleted == 1
    assert list((await office.call("GetEvidence", pb.GetEvidenceRequest(case_id=case))).pictures) == []


async def test_a_case_is_withdrawn_once(office: Office) -> None:
    (case,) = office.department.office.book([shown(1)])
    request = pb.WithdrawCaseRequest(case_id=case)
    assert (await office.call("WithdrawCase", request, "chief")).withdrawn
    assert not (await office.call("WithdrawCase", request, "chief")).withdrawn
    assert list((await office.call("LeaseCases", pb.LeaseCasesRequest())).leases) == []


async def test_a_whole_frame_is_answered_by_a_number(office: Office) -> None:
    assert office.department.office.book_frame(audit())
    lease = await office.lease()
    assert lease.view.whole_frame
    request = pb.CastVoteRequest(case_id=lease.view.case_id, token=lease.token, answer=pb.ANSWER_YES)
    assert await office.refusal("CastVote", request) is grpc.StatusCode.INVALID_ARGUMENT
    request.missed = 3
    voted = await office.call("CastVote", request)
    assert (voted.state, voted.case.source) == (pb.CASE_STATE_CLOSED, pb.CASE_SOURCE_FRAME_AUDIT)


async def test_a_gold_case_is_made_by_an_administrator_and_never_shows_that_it_is_one(office: Office) -> None:
    (case,) = office.department.office.book([shown(1)])
    await office.vote(await office.lease("anna"))
    request = pb.AddGoldCaseRequest(case_id=case)
    assert await office.refusal("AddGoldCase", request) is grpc.StatusCode.PERMISSION_DENIED
    added = await office.call("AddGoldCase", request, "chief")
    assert added.added
    assert not (await office.call("AddGoldCase", request, "chief")).added
    office.department.office.rules = QueueRules(gold_share=1.0)
    lease = await office.lease("bert")
    assert lease.view.case_id == added.case_id
    voted = await office.vote(lease, pb.ANSWER_NO, "bert")
    assert (voted.state, voted.case.source) == (pb.CASE_STATE_CLOSED, pb.CASE_SOURCE_MAYBE)
