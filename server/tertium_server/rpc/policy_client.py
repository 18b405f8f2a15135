"""A running server's policies, for the command line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import grpc
from google.rpc import error_details_pb2  # type: ignore[import-untyped]  # nobody's stubs
from grpc_status import rpc_status

from tertium.v1 import policy_service_pb2 as pb
from tertium_server.errors import TertiumError

_SECONDS = 30.0
_SERVICE = "/tertium.v1.PolicyService/"


class PolicyCallError(TertiumError):
    """A server refused a call about policies, or is not there. Each line of the message is one problem."""


@dataclass(frozen=True, slots=True)
class StoredPolicy:
    """A version that a server knows."""

    version: str
    name: str
    author: str
    reason: str
    created: str
    active: bool
    shadow: bool


@dataclass(frozen=True, slots=True)
class PastActivation:
    """A version was put into force."""

    version: str
    at: str
    author: str
    reason: str


class PolicyClient:
    """``with PolicyClient("HOST:PORT") as policies``. Every method raises PolicyCallError where the server refuses, or is not there."""

    def __init__(self, address: str, token: str = "") -> None:
        self._address = address
        self._metadata = (("authorization", f"Bearer {token}"),) if token else ()
        self._channel = grpc.insecure_channel(address)

    def get(self, version: str) -> str:
        """The document of a version; "": of the one in force."""
        return str(self._call("GetPolicy", pb.GetPolicyRequest(version=version), pb.GetPolicyResponse).document)

    def list(self) -> tuple[list[StoredPolicy], list[PastActivation]]:
        """All versions and what was in force, newest first."""
        response = self._call("ListPolicies", pb.ListPoliciesRequest(), pb.ListPoliciesResponse)
        return [_stored(each) for each in response.policies], [
            PastActivation(each.version, each.at, each.author, each.reason) for each in response.activations
        ]

    def put(self, document: str, author: str, reason: str) -> tuple[StoredPolicy, bool]:
        """Stores a policy; its version, and whether it was there before."""
        request = pb.PutPolicyRequest(document=document, author=author, reason=reason)
        response = self._call("PutPolicy", request, pb.PutPolicyResponse)
        return _stored(response.policy), response.known

    def activate(self, version: str, author: str, reason: str) -> tuple[StoredPolicy, str]:
        """Puts a version into force; it, and the version before it."""
        request = pb.ActivatePolicyRequest(version=version, author=author, reason=reason)
        response = self._call("ActivatePolicy", request, pb.ActivatePolicyResponse)
        return _stored(response.policy), response.previous_version

    def roll_back(self, author: str, reason: str) -> tuple[StoredPolicy, str]:
        """Puts the version before the present one into force; it, and the one it replaces."""
        request = pb.RollbackPolicyRequest(author=author, reason=reason)
        response = self._call("RollbackPolicy", request, pb.RollbackPolicyResponse)
        return _stored(response.policy), response.previous_version

    def try_out(self, version: str, author: str, reason: str) -> StoredPolicy | None:
        """Puts a version into the shadow; "": none."""
        request = pb.ShadowPolicyRequest(version=version, author=author, reason=reason)
        response = self._call("ShadowPolicy", request, pb.ShadowPolicyResponse)
        return _stored(response.policy) if response.HasField("policy") else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._channel.close()

    def _call(self, method: str, request: Any, response: Any) -> Any:  # noqa: ANN401 - messages of any method
        call: Callable[..., Any] = self._channel.unary_unary(
            _SERVICE + method,
            request_serializer=type(request).SerializeToString,
            response_deserializer=response.FromString,
        )
        try:
            return call(request, timeout=_SECONDS, metadata=self._metadata)
        except grpc.RpcError as error:
            raise PolicyCallError("\n".join(problems(error, self._address))) from error


def problems(error: Any, address: str) -> list[str]:  # noqa: ANN401 - grpc's errors are calls, too
    """What went wrong with a call, a line each, for people."""
    status = rpc_status.from_call(error)
    for detail in [] if status is None else status.details:
        bad = error_details_pb2.BadRequest()
        if detail.Unpack(bad):
            return [f"{each.field}: {each.description}" for each in bad.field_violations]
    if error.code() is grpc.StatusCode.UNAVAILABLE and status is None:
        return [f"server {address}: is not there ({error.details()}); name a running one with --server HOST:PORT"]
    return [f"server {address}: {error.details()}"]


def _stored(message: pb.PolicyVersion) -> StoredPolicy:
    return StoredPolicy(
        message.version,
        message.name,
        message.author,
        message.reason,
        message.created,
        message.active,
        message.shadow,
    )
