"""tertium.v1.ReviewService: cases to be answered by people, and what they answered."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, TypeVar

from google.protobuf.message import Message

from tertium.v1 import review_service_pb2 as pb
from tertium.v1 import review_service_pb2_grpc
from tertium_server.errors import InvalidRequestError, RequestError, UnavailableError
from tertium_server.logs import get_logger
from tertium_server.review.access import Caller, Gate, Role
from tertium_server.review.department import ReviewDepartment
from tertium_server.review.gold import add_gold, disguised
from tertium_server.review.reading import (
    Reviewed,
    has_voted,
    list_cases,
    queue_state,
    reviewed,
    standing_votes,
)
from tertium_server.review.values import Case, Lease, now_micros
from tertium_server.rpc import review_messages as messages
from tertium_server.rpc.status import Context, abort
from tertium_server.storage import StoreUnavailableError

_RETRY_SECONDS = 5.0
_WATCH_SECONDS = 1.0
_MOST_LEASES, _MOST_PAGE, _PAGE = 16, 1000, 100
_EXPORTED_AT_A_TIME = 50

_Result = TypeVar("_Result", bound=Message)
_Value = TypeVar("_Value")


class ReviewService(review_service_pb2_grpc.ReviewServiceServicer):
    """The servicer. The store is read and written in other threads, so that no frame waits for a disk."""

    def __init__(self, department: ReviewDepartment, gate: Gate) -> None:
        self._department = department
        self._office = department.office
        self._gate = gate
        self._log = get_logger("review")

    async def ListCases(self, request: pb.ListCasesRequest, context: Context) -> pb.ListCasesResponse:  # noqa: N802 - the contract's name
        """Cases, newest first."""
        return await self._answer(context, Role.ADMIN, lambda _: self._list(request))

    async def LeaseCases(self, request: pb.LeaseCasesRequest, context: Context) -> pb.LeaseCasesResponse:  # noqa: N802 - as above
        """Cases to answer."""

        def lease(caller: Caller) -> pb.LeaseCasesResponse:
            if request.count > _MOST_LEASES:
                raise InvalidRequestError.of("count", f"goes up to {_MOST_LEASES}, not {request.count}")
            leases = self._office.lease(caller.name, request.count or 1)
            return pb.LeaseCasesResponse(leases=[messages.lease(each) for each in leases])

        return await self._answer(context, Role.REVIEW, lease)

    async def RenewLease(self, request: pb.RenewLeaseRequest, context: Context) -> pb.RenewLeaseResponse:  # noqa: N802 - as above
        """Keeps a lease for longer."""

        def renew(caller: Caller) -> pb.RenewLeaseResponse:
            expires = self._office.renew(request.case_id, caller.name, request.token)
            return pb.RenewLeaseResponse(renewed=expires is not None, expires_micros=expires or 0)

        return await self._answer(context, Role.REVIEW, renew)

    async def ReleaseLease(self, request: pb.ReleaseLeaseRequest, context: Context) -> pb.ReleaseLeaseResponse:  # noqa: N802 - as above
        """Gives a case back."""

        def release(caller: Caller) -> pb.ReleaseLeaseResponse:
            return pb.ReleaseLeaseResponse(released=self._office.release(request.case_id, caller.name, request.token))

        return await self._answer(context, Role.REVIEW, release)

    async def CastVote(self, request: pb.CastVoteRequest, context: Context) -> pb.CastVoteResponse:  # noqa: N802 - as above
        """Takes a vote."""

        def vote(caller: Caller) -> pb.CastVoteResponse:
            answer = messages.ANSWERS.get(request.answer)
            if answer is None:
                raise InvalidRequestError.of("answer", "has to be ANSWER_NO, ANSWER_YES or ANSWER_CANNOT_TELL")
            missed = request.missed if request.HasField("missed") else None
            outcome = self._office.vote(request.case_id, caller.name, request.token, answer, missed=missed)
            seen = disguised(outcome.case, answer)
            return pb.CastVoteResponse(
                state=messages.STATES[seen.state],
                fenced=outcome.fenced,
                late=outcome.late,
                case=self._case(seen),
            )

        return await self._answer(context, Role.REVIEW, vote)

    async def UndoVote(self, request: pb.UndoVoteRequest, context: Context) -> pb.UndoVoteResponse:  # noqa: N802 - as above
        """Takes a vote back."""

        def undo(caller: Caller) -> pb.UndoVoteResponse:
            lease: Lease | None = self._office.undo(request.case_id, caller.name)
            return pb.UndoVoteResponse(lease=None if lease is None else messages.lease(lease))

        return await self._answer(context, Role.REVIEW, undo)

    async def WatchQueue(  # noqa: N802 - as above
        self, request: pb.WatchQueueRequest, context: Context
    ) -> AsyncIterator[pb.WatchQueueResponse]:
        """The queue, at once and after every change."""
        del request
        known: pb.WatchQueueResponse | None = None
        while True:
            state = await self._answer(context, Role.ADMIN, lambda _: self._queue())
            if state != known:
                known = state
                yield state
            await asyncio.sleep(_WATCH_SECONDS)

    async def GetEvidence(self, request: pb.GetEvidenceRequest, context: Context) -> pb.GetEvidenceResponse:  # noqa: N802 - as above
        """What a case shows."""
        return await self._answer(context, Role.REVIEW, lambda caller: self._evidence(request, caller))

    async def WithdrawCase(self, request: pb.WithdrawCaseRequest, context: Context) -> pb.WithdrawCaseResponse:  # noqa: N802 - as above
        """Takes a case out of the queue."""
        return await self._answer(
            context,
            Role.ADMIN,
            lambda _: pb.WithdrawCaseResponse(withdrawn=self._office.withdraw(request.case_id)),
        )

    async def AddGoldCase(self, request: pb.AddGoldCaseRequest, context: Context) -> pb.AddGoldCaseResponse:  # noqa: N802 - as above
        """Makes a case whose answer is known."""

        def add(_: Caller) -> pb.AddGoldCaseResponse:
            answer = messages.ANSWERS.get(request.answer)
            department = self._department
            name, added = add_gold(department.store, department.gallery, request.case_id, answer, now_micros())
            return pb.AddGoldCaseResponse(case_id=name, added=added)

        return await self._answer(context, Role.ADMIN, add)

    async def DeletePictures(self, request: pb.DeletePicturesRequest, context: Context) -> pb.DeletePicturesResponse:  # noqa: N802 - as above
        """Deletes pictures."""

        def delete(_: Caller) -> pb.DeletePicturesResponse:
            if not request.stream_id and request.stored_before_micros <= 0:
                raise InvalidRequestError.of("stream_id", "give it, or stored_before_micros, or both")
            deleted = self._department.gallery.delete(
                stream=request.stream_id, stored_before=max(0, request.stored_before_micros)
            )
            return pb.DeletePicturesResponse(deleted=deleted)

        return await self._answer(context, Role.ADMIN, delete)

    async def ExportReviews(  # noqa: N802 - as above
        self, request: pb.ExportReviewsRequest, context: Context
    ) -> AsyncIterator[pb.ExportReviewsResponse]:
        """What people answered."""
        found: Iterator[Reviewed] = reviewed(
            self._department.store, closed_from=request.closed_from_micros, stream=request.stream_id
        )
        while True:
            piece = await self._guarded(context, Role.ADMIN, lambda _: self._exported(found))
            for response in piece:
                yield response
            if len(piece) < _EXPORTED_AT_A_TIME:
                return

    # ------------------------------------------------------------------ in other threads

    def _list(self, request: pb.ListCasesRequest) -> pb.ListCasesResponse:
        if request.page_size > _MOST_PAGE:
            raise InvalidRequestError.of("page_size", f"goes up to {_MOST_PAGE}, not {request.page_size}")
        states = [messages.STATES_IN[state] for state in request.states if state in messages.STATES_IN]
        if len(states) != len(request.states):
            raise InvalidRequestError.of("states", "names a state that there is not")
        most = request.page_size or _PAGE
        with self._department.store.read() as connection:
            cases = list_cases(
                connection,
                states=states,
                stream=request.stream_id,
                before=messages.read_page_token(request.page_token),
                most=most,
            )
        token = messages.page_token(cases[-1]) if len(cases) == most else ""
        return pb.ListCasesResponse(cases=[self._case(case) for case in cases], next_page_token=token)

    def _queue(self) -> pb.WatchQueueResponse:
        with self._department.store.read() as connection:
            state = queue_state(connection, now_micros())
        clerk = self._department.clerk.state
        return pb.WatchQueueResponse(
            waiting=state.waiting,
            leased=state.leased,
            oldest_opened_micros=state.oldest_opened,
            next_deadline_micros=state.next_deadline,
            votes_last_hour=state.votes_last_hour,
            spooled=clerk.waiting + clerk.spooled,
        )

    def _evidence(self, request: pb.GetEvidenceRequest, caller: Caller) -> pb.GetEvidenceResponse:
        case = self._office.find(request.case_id)
        with self._department.store.read() as connection:
            # Blind until the vote; an administrator who does not review sees all.
            blind = Role.ADMIN not in caller.roles and not has_voted(connection, case.id, caller.name)
        gallery = self._department.gallery
        response = messages.evidence(case, gallery.footage(case.id), blind=blind)
        for picture in gallery.pictures(case.id):
            data = b"" if request.omit_pictures else gallery.bytes_of(picture)
            if data is not None:  # deleted a moment ago
                response.pictures.append(messages.picture(picture, data))
        return response

    def _exported(self, found: Iterator[Reviewed]) -> list[pb.ExportReviewsResponse]:
        piece: list[pb.ExportReviewsResponse] = []
        for each in found:
            frames = [messages.frame(frame, blind=False) for frame in each.footage.frames]
            piece.append(pb.ExportReviewsResponse(case=self._case(each.case), weight=each.weight, frames=frames))
            if len(piece) == _EXPORTED_AT_A_TIME:
                break
        return piece

    def _case(self, case: Case) -> pb.Case:
        with self._department.store.read() as connection:
            return messages.case(case, standing_votes(connection, case.id), now_micros())

    # ------------------------------------------------------------------ errors

    async def _answer(self, context: Context, role: Role, work: Callable[[Caller], _Result]) -> _Result:
        return await self._guarded(context, role, work)

    async def _guarded(self, context: Context, role: Role, work: Callable[[Caller], _Value]) -> _Value:
        """Has work done for a caller who may; any error ends the call with its status."""
        try:
            caller = self._identify(context)
            caller.require(role)
            return await asyncio.to_thread(work, caller)
        except asyncio.CancelledError:
            raise
        except StoreUnavailableError as error:
            await abort(context, UnavailableError(str(error), retry_after=_RETRY_SECONDS))
            raise  # not reached: an abort raises
        except Exception as error:
            if not isinstance(error, RequestError):
                self._log.error("internal error", exc_info=error)
            await abort(context, error)
            raise  # not reached: an abort raises

    def _identify(self, context: Context) -> Caller:
        metadata: dict[str, Any] = {}
        with contextlib.suppress(TypeError):  # no metadata at all
            metadata = dict(context.invocation_metadata() or ())
        kind, _, token = str(metadata.get("authorization", "")).partition(" ")
        return self._gate.identify(token if kind.lower() == "bearer" else "")
