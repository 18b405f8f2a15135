"""A reviewer's calls to a running server."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import grpc

from tertium.v1 import review_service_pb2 as pb
from tertium_server.rpc.caller import Caller

_ANSWERS = {
    "yes": pb.Answer.ANSWER_YES,
    "no": pb.Answer.ANSWER_NO,
    "cannot_tell": pb.Answer.ANSWER_CANNOT_TELL,
}


@dataclass(frozen=True, slots=True)
class LeasedCase:
    """A case that this reviewer has now, and nothing of what the machine thinks."""

    case_id: str
    token: str
    """Shown with the vote."""
    stream_id: str
    class_name: str
    track_id: int


class ReviewClient:
    """``with ReviewClient("HOST:PORT", token) as desk``. Every method raises CallError where the server refuses, or is not there."""

    def __init__(self, address: str, token: str, credentials: grpc.ChannelCredentials | None = None) -> None:
        self._caller = Caller(address, "tertium.v1.ReviewService", token, credentials)

    def lease(self, count: int) -> list[LeasedCase]:
        """Cases to answer, 16 at most; none: the queue has nothing for this reviewer now."""
        found: Any = self._caller.unary("LeaseCases", pb.LeaseCasesRequest(count=count), pb.LeaseCasesResponse)
        return [
            LeasedCase(
                one.view.case_id,
                one.token,
                one.view.stream_id,
                one.view.class_name,
                # What cameras are told is signed, and the same 64 bits.
                one.view.track_id - (1 << 64) if one.view.track_id >> 63 else one.view.track_id,
            )
            for one in found.leases
        ]

    def vote(self, case: LeasedCase, answer: str) -> bool:
        """Answers "yes", "no" or "cannot_tell"; whether the vote came while the lease still held."""
        request = pb.CastVoteRequest(case_id=case.case_id, token=case.token, answer=_ANSWERS[answer])
        return not self._caller.unary("CastVote", request, pb.CastVoteResponse).fenced

    def release(self, case: LeasedCase) -> None:
        """Gives a case back unanswered."""
        request = pb.ReleaseLeaseRequest(case_id=case.case_id, token=case.token)
        self._caller.unary("ReleaseLease", request, pb.ReleaseLeaseResponse)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._caller.close()
