"""What review has to say to a stream's caller, as pieces of a response."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tertium.v1 import decision_service_pb2, decisions_pb2, evidence_pb2
from tertium_server.engine import Verdict as EngineVerdict
from tertium_server.review.footage import FrameOfTrack
from tertium_server.review.values import DecidedBy, StreamAnswer, Verdict

_Event = decisions_pb2.TrackEvent
_VERDICTS = {
    Verdict.NO: decisions_pb2.VERDICT_NO,
    Verdict.MAYBE: decisions_pb2.VERDICT_MAYBE,
    Verdict.YES: decisions_pb2.VERDICT_YES,
}
_DECIDED_BY = {
    DecidedBy.MACHINE: decisions_pb2.DECIDED_BY_MACHINE,
    DecidedBy.HUMAN: decisions_pb2.DECIDED_BY_HUMAN,
    DecidedBy.DEADLINE: decisions_pb2.DECIDED_BY_DEADLINE,
}


@dataclass(frozen=True, slots=True)
class Letter:
    """A piece of a response that waits to be taken along."""

    body: bytes
    answer: StreamAnswer | None = None
    """The answer it holds."""


def tell(answer: StreamAnswer) -> Letter:
    """The event that tells a stream of an answer."""
    event = decisions_pb2.TrackEvent(
        type=_Event.TYPE_REVIEWED,
        track_id=answer.track_id,
        class_id=answer.class_id,
        frame_index=answer.frame_index,
        first_frame=answer.first_frame,
        from_verdict=_VERDICTS[answer.from_verdict],
        to_verdict=_VERDICTS[answer.to_verdict],
        reason=_Event.REASON_REVIEW,
        why=decisions_pb2.Why(probability=answer.probability, policy_version=answer.policy_version),
        decided_by=_DECIDED_BY[answer.decided_by],
        case_id=answer.case_id,
        correction=answer.correction,
    )
    return Letter(decision_service_pb2.DecideResponse(events=[event]).SerializeToString(), answer)


def remind(answer: StreamAnswer) -> Letter:
    """An answer that a stream was told of before, for its thread alone: nothing of it is sent."""
    return Letter(b"", replace(answer, told_before=True))


def ask_for_pictures(
    case: str, track_id: int, frames: Sequence[FrameOfTrack], most_bytes: int, seconds: float
) -> Letter:
    """The request for pictures of a track in some frames."""
    request = evidence_pb2.EvidenceRequest(
        request_id=case,
        track_id=track_id,
        frame_indices=[frame.index for frame in frames],
        boxes=[corner for frame in frames for corner in frame.box],
        max_picture_bytes=most_bytes,
        deadline_seconds=seconds,
    )
    return Letter(decision_service_pb2.DecideResponse(evidence_requests=[request]).SerializeToString())


def verdict_of(answer: StreamAnswer) -> EngineVerdict:
    """What is to hold of a track; MAYBE: what the machine says."""
    if answer.decided_by is DecidedBy.MACHINE:
        return EngineVerdict.MAYBE
    return EngineVerdict(int(_VERDICTS[answer.to_verdict]))
