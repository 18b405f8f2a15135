"""A running server's policies, for the command line."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Self

import grpc

from tertium.v1 import policy_service_pb2 as pb
from tertium_server.rpc.caller import Caller


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
    """``with PolicyClient("HOST:PORT") as policies``. Every method raises CallError where the server refuses, or is not there."""

    def __init__(self, address: str, token: str = "", credentials: grpc.ChannelCredentials | None = None) -> None:
        self._caller = Caller(address, "tertium.v1.PolicyService", token, credentials)

    def get(self, version: str) -> str:
        """The document of a version; "": of the one in force."""
        return str(self._caller.unary("GetPolicy", pb.GetPolicyRequest(version=version), pb.GetPolicyResponse).document)

    def list(self) -> tuple[list[StoredPolicy], list[PastActivation]]:
        """All versions and what was in force, newest first."""
        response = self._caller.unary("ListPolicies", pb.ListPoliciesRequest(), pb.ListPoliciesResponse)
        return [_stored(each) for each in response.policies], [
            PastActivation(each.version, each.at, each.author, each.reason) for each in response.activations
        ]

    def put(self, document: str, author: str, reason: str) -> tuple[StoredPolicy, bool]:
        """Stores a policy; its version, and whether it was there before."""
        request = pb.PutPolicyRequest(document=document, author=author, reason=reason)
        response = self._caller.unary("PutPolicy", request, pb.PutPolicyResponse)
        return _stored(response.policy), response.known

    def activate(self, version: str, author: str, reason: str) -> tuple[StoredPolicy, str]:
        """Puts a version into force; it, and the version before it."""
        request = pb.ActivatePolicyRequest(version=version, author=author, reason=reason)
        response = self._caller.unary("ActivatePolicy", request, pb.ActivatePolicyResponse)
        return _stored(response.policy), response.previous_version

    def roll_back(self, author: str, reason: str) -> tuple[StoredPolicy, str]:
        """Puts the version before the present one into force; it, and the one it replaces."""
        request = pb.RollbackPolicyRequest(author=author, reason=reason)
        response = self._caller.unary("RollbackPolicy", request, pb.RollbackPolicyResponse)
        return _stored(response.policy), response.previous_version

    def try_out(self, version: str, author: str, reason: str) -> StoredPolicy | None:
        """Puts a version into the shadow; "": none."""
        request = pb.ShadowPolicyRequest(version=version, author=author, reason=reason)
        response = self._caller.unary("ShadowPolicy", request, pb.ShadowPolicyResponse)
        return _stored(response.policy) if response.HasField("policy") else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._caller.close()


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
