"""tertium.v1.PolicyService: stored policies, and which of them judges."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from google.protobuf.message import Message

from tertium.v1 import policy_service_pb2 as pb
from tertium.v1 import policy_service_pb2_grpc
from tertium_server.errors import (
    InvalidRequestError,
    NotFoundError,
    PreconditionError,
    RequestError,
    UnavailableError,
    Violation,
)
from tertium_server.logs import get_logger
from tertium_server.policy import (
    PolicyError,
    PolicyStoreError,
    UnknownVersionError,
    differing,
    dump_policy,
    parse_policy,
)
from tertium_server.policy.errors import PolicyStateError
from tertium_server.policy.keeper import PolicyKeeper
from tertium_server.policy.store import Record
from tertium_server.review.access import Gate, Role
from tertium_server.rpc.policy_changes import PolicyChanges
from tertium_server.rpc.status import Context, abort

_MOST_AUTHOR, _MOST_REASON = 256, 4096
_RETRY_SECONDS = 5.0

_Result = TypeVar("_Result", bound=Message)


class PolicyService(policy_service_pb2_grpc.PolicyServiceServicer):
    """The servicer. Stores are read and written in other threads, so that no frame waits for a disk."""

    def __init__(self, keeper: PolicyKeeper, changes: PolicyChanges, gate: Gate | None = None) -> None:
        self._keeper = keeper
        self._gate = gate  # None: whoever reaches the server may do everything, as with frames
        self._changes = changes
        self._log = get_logger("policy")

    async def PutPolicy(self, request: pb.PutPolicyRequest, context: Context) -> pb.PutPolicyResponse:  # noqa: N802 - the contract's name
        """Checks and stores a policy."""

        def put(caller: str) -> pb.PutPolicyResponse:
            _check_story(request)
            policy = parse_policy(request.document, "document")
            if request.dry_run:
                known = [record for record in self._keeper.records() if record.policy.sha256 == policy.sha256]
                return pb.PutPolicyResponse(policy=self._told(known[0] if known else Record(policy)), known=bool(known))
            record, was_known = self._keeper.put(policy, request.author or caller, request.reason)
            return pb.PutPolicyResponse(policy=self._told(record), known=was_known)

        return await self._answer(context, lambda caller: asyncio.to_thread(put, caller), changes=not request.dry_run)

    async def ListPolicies(self, request: pb.ListPoliciesRequest, context: Context) -> pb.ListPoliciesResponse:  # noqa: N802 - as above
        """All versions."""
        del request

        def list_all() -> pb.ListPoliciesResponse:
            return pb.ListPoliciesResponse(
                policies=[self._told(record) for record in reversed(self._keeper.records())],
                activations=[
                    pb.PolicyActivation(version=each.version, at=each.at, author=each.author, reason=each.reason)
                    for each in self._keeper.activations()
                ],
            )

        return await self._answer(context, lambda _: asyncio.to_thread(list_all))

    async def GetPolicy(self, request: pb.GetPolicyRequest, context: Context) -> pb.GetPolicyResponse:  # noqa: N802 - as above
        """One version."""

        def get() -> pb.GetPolicyResponse:
            record = self._keeper.find(request.version)
            return pb.GetPolicyResponse(policy=self._told(record), document=dump_policy(record.policy))

        return await self._answer(context, lambda _: asyncio.to_thread(get))

    async def DiffPolicies(self, request: pb.DiffPoliciesRequest, context: Context) -> pb.DiffPoliciesResponse:  # noqa: N802 - as above
        """What one version says otherwise than another."""

        def diff() -> pb.DiffPoliciesResponse:
            old, new = (self._keeper.find(wanted).policy for wanted in (request.from_version, request.to_version))
            return pb.DiffPoliciesResponse(
                changes=[
                    pb.PolicyChange(field=field, before=_json(before), after=_json(after))
                    for field, (before, after) in differing(old, new).items()
                ]
            )

        return await self._answer(context, lambda _: asyncio.to_thread(diff))

    async def ActivatePolicy(self, request: pb.ActivatePolicyRequest, context: Context) -> pb.ActivatePolicyResponse:  # noqa: N802 - as above
        """Puts a version into force."""

        async def activate(caller: str) -> pb.ActivatePolicyResponse:
            _check_story(request)
            if not request.version:
                raise InvalidRequestError.of("version", "has to be set: it names the policy to put into force")
            previous = self._keeper.in_force.policy.version
            record = await asyncio.to_thread(
                self._keeper.activate, request.version, request.author or caller, request.reason
            )
            await self._changes.look()
            return pb.ActivatePolicyResponse(policy=self._told(record), previous_version=previous)

        return await self._answer(context, activate, changes=True)

    async def RollbackPolicy(self, request: pb.RollbackPolicyRequest, context: Context) -> pb.RollbackPolicyResponse:  # noqa: N802 - as above
        """Puts the version before the present one into force."""

        async def roll_back(caller: str) -> pb.RollbackPolicyResponse:
            _check_story(request)
            previous = self._keeper.in_force.policy.version
            record = await asyncio.to_thread(self._keeper.roll_back, request.author or caller, request.reason)
            await self._changes.look()
            return pb.RollbackPolicyResponse(policy=self._told(record), previous_version=previous)

        return await self._answer(context, roll_back, changes=True)

    async def ShadowPolicy(self, request: pb.ShadowPolicyRequest, context: Context) -> pb.ShadowPolicyResponse:  # noqa: N802 - as above
        """Tries a version in the shadow."""

        async def try_out(caller: str) -> pb.ShadowPolicyResponse:
            _check_story(request)
            record = await asyncio.to_thread(
                self._keeper.try_out, request.version, request.author or caller, request.reason
            )
            await self._changes.look()
            return pb.ShadowPolicyResponse(policy=None if record is None else self._told(record))

        return await self._answer(context, try_out, changes=True)

    def _told(self, record: Record) -> pb.PolicyVersion:
        policy, in_force = record.policy, self._keeper.in_force
        return pb.PolicyVersion(
            version=policy.version,
            name=policy.name,
            sha256=policy.sha256,
            author=policy.about.author,
            reason=policy.about.reason,
            created=policy.about.created,
            active=policy.sha256 == in_force.policy.sha256,
            shadow=in_force.shadow is not None and policy.sha256 == in_force.shadow.sha256,
        )

    async def _answer(
        self, context: Context, work: Callable[[str], Awaitable[_Result]], *, changes: bool = False
    ) -> _Result:
        """Has work done for a caller who may; it is given the caller's name. Any error ends the call with its status."""
        try:
            return await work(self._identify(context, changes=changes))
        except asyncio.CancelledError:
            raise
        except PolicyError as error:
            await abort(context, _refusal(error))
        except RequestError as error:
            await abort(context, error)
        except Exception as error:  # noqa: BLE001 - a bug must not end more than its call
            self._log.exception("internal error")
            await abort(context, error)
        raise AssertionError("an abort raises")

    def _identify(self, context: Context, *, changes: bool) -> str:
        if self._gate is None:
            return ""
        caller = self._gate.identify(bearer_token(context))
        if changes:
            caller.require(Role.ADMIN)
        return caller.name


def bearer_token(context: Context) -> str:
    """The token that a caller shows; "": none."""
    for key, value in context.invocation_metadata() or ():
        if key == "authorization":
            kind, _, token = str(value).partition(" ")
            return token if kind.lower() == "bearer" else ""
    return ""


def _check_story(request: Any) -> None:  # noqa: ANN401 - any request with an author and a reason
    violations = [
        Violation(field, f"has at most {most} characters, not {len(getattr(request, field))}")
        for field, most in (("author", _MOST_AUTHOR), ("reason", _MOST_REASON))
        if len(getattr(request, field)) > most
    ]
    if violations:
        raise InvalidRequestError(*violations)


def _refusal(error: PolicyError) -> RequestError:
    """What is wrong with a policy or a store, as the caller is told."""
    if isinstance(error, UnknownVersionError):
        return NotFoundError(str(error))
    if isinstance(error, PolicyStateError):
        return PreconditionError(str(error))
    if isinstance(error, PolicyStoreError):
        return UnavailableError(str(error), retry_after=_RETRY_SECONDS)
    if error.problems:
        return InvalidRequestError(
            *(
                Violation(problem.field, f"line {problem.line}: {problem.message}" if problem.line else problem.message)
                for problem in error.problems
            )
        )
    return InvalidRequestError.of("document", str(error))


def _json(value: Any) -> str:  # noqa: ANN401 - any value of a policy
    return "" if value is None else json.dumps(value, ensure_ascii=False)
