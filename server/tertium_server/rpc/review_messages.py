"""Values of human review as messages of the contract, and back."""

from __future__ import annotations

from tertium.v1 import decisions_pb2
from tertium.v1 import review_service_pb2 as pb
from tertium_server.errors import InvalidRequestError
from tertium_server.review.footage import Footage, FrameOfTrack
from tertium_server.review.gallery import StoredPicture
from tertium_server.review.gold import shown_times
from tertium_server.review.values import Answer, Case, DecidedBy, Lease, Source, State, Verdict, now_micros

ANSWERS = {pb.ANSWER_NO: Answer.NO, pb.ANSWER_YES: Answer.YES, pb.ANSWER_CANNOT_TELL: Answer.CANNOT_TELL}
STATES = {
    State.OPEN: pb.CASE_STATE_OPEN,
    State.SECOND_REVIEW: pb.CASE_STATE_SECOND_REVIEW,
    State.ESCALATED: pb.CASE_STATE_ESCALATED,
    State.CLOSED: pb.CASE_STATE_CLOSED,
    State.WITHDRAWN: pb.CASE_STATE_WITHDRAWN,
}
STATES_IN = {number: state for state, number in STATES.items()}
VERDICTS = {
    Verdict.NO: decisions_pb2.VERDICT_NO,
    Verdict.MAYBE: decisions_pb2.VERDICT_MAYBE,
    Verdict.YES: decisions_pb2.VERDICT_YES,
}
DECIDED_BY = {
    DecidedBy.MACHINE: decisions_pb2.DECIDED_BY_MACHINE,
    DecidedBy.HUMAN: decisions_pb2.DECIDED_BY_HUMAN,
    DecidedBy.DEADLINE: decisions_pb2.DECIDED_BY_DEADLINE,
}
_SOURCES = {
    Source.MAYBE: pb.CASE_SOURCE_MAYBE,
    Source.AUDIT_YES: pb.CASE_SOURCE_AUDIT_YES,
    Source.AUDIT_NO: pb.CASE_SOURCE_AUDIT_NO,
    Source.GOLD: pb.CASE_SOURCE_GOLD,
    Source.FRAME_AUDIT: pb.CASE_SOURCE_FRAME_AUDIT,
}
_ANSWERED = {answer: number for number, answer in ANSWERS.items()}


def view(case: Case) -> pb.CaseView:
    """A case as it may be seen before the vote."""
    opened, deadline = shown_times(case, now_micros())
    return pb.CaseView(
        case_id=case.id,
        stream_id=case.stream_id,
        class_name=case.class_name,
        track_id=case.track_id,
        first_frame=case.first_frame,
        frame_index=case.frame_index,
        opened_micros=opened,
        deadline_micros=deadline,
        whole_frame=case.source is Source.FRAME_AUDIT,
    )


def case(subject: Case, votes: int, now: int) -> pb.Case:
    """All there is to know of a case."""
    return pb.Case(
        view=view(subject),
        source=_SOURCES[subject.source],
        state=STATES[subject.state],
        leased=subject.leased(now),
        probability=subject.probability,
        pi=subject.pi,
        machine_verdict=VERDICTS[subject.machine_verdict],
        verdict=VERDICTS[subject.verdict],
        decided_by=DECIDED_BY[subject.decided_by],
        answer=pb.ANSWER_UNSPECIFIED if subject.answer is None else _ANSWERED[subject.answer],
        policy_version=subject.policy_version,
        closed_micros=subject.closed_at or 0,
        votes=votes,
    )


def lease(subject: Lease) -> pb.Lease:
    """A case that nobody else has now."""
    return pb.Lease(view=view(subject.case), token=subject.token, expires_micros=subject.expires_at)


def evidence(subject: Case, footage: Footage, *, blind: bool) -> pb.GetEvidenceResponse:
    """What a case shows, but for pictures. ``blind``: without what the machine thinks of it."""
    return pb.GetEvidenceResponse(
        view=view(subject),
        frames=[frame(each, blind=blind) for each in footage.frames],
        frame_width=footage.frame_width,
        frame_height=footage.frame_height,
        threshold_yes=None if blind else footage.yes,
        threshold_no=None if blind else footage.no,
    )


def frame(subject: FrameOfTrack, *, blind: bool) -> pb.EvidenceFrame:
    """One frame of a track."""
    return pb.EvidenceFrame(
        frame_index=subject.index,
        capture_time=subject.time,
        box=subject.box,
        score=None if blind else subject.score,
        probability=None if blind else subject.probability,
    )


def picture(subject: StoredPicture, data: bytes) -> pb.EvidencePicture:
    """A picture with its bytes."""
    return pb.EvidencePicture(
        frame_index=subject.frame_index,
        media_type=subject.media_type,
        width=subject.width,
        height=subject.height,
        crop=subject.crop,
        data=data,
    )


def page_token(last: Case) -> str:
    """Where a list goes on after this case."""
    return f"{last.opened_at}-{last.id}"


def read_page_token(token: str) -> tuple[int, str] | None:
    """The opening time and id behind a page token; None: from the newest.

    Raises:
        InvalidRequestError: It is none that this server has given.
    """
    if not token:
        return None
    opened, _, name = token.partition("-")
    if not opened.isascii() or not opened.isdigit() or len(opened) > 18 or not name:  # noqa: PLR2004 - digits of 2^63
        raise InvalidRequestError.of("page_token", "is none that this server has given")
    return int(opened), name
