"""The server as errors name it: why there is no connection to it, in words of those who have to do something about it."""

from __future__ import annotations

from dataclasses import dataclass

import grpc

from tertium_client._status import Status
from tertium_client.errors import DisconnectedError, RefusedError, TertiumError

_TLS = "credentials=…; for commands, the variable TERTIUM_SERVER_CA"
_ANOTHER = "start one there, or give another address"

_CAUSES: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (
        ("errors resolving", "dns resolution failed", "domain name", "lookup failed"),
        "the name in {address} can't be resolved",
        "check its spelling: HOST:PORT, without http://",
    ),
    (
        ("wrong_version_number",),
        "{address} does not speak TLS, and this client does",
        f"leave TLS out ({_TLS}), or give the address of a server that has it",
    ),
    (
        ("certificate_verify_failed", "hostname verification", "peer name"),
        "the certificate of {address} is not trusted ({tail})",
        f"give the certificates it is signed by ({_TLS}), and the name it is made out to",
    ),
    (
        ("http1", "http/2"),
        "{address} speaks HTTP, but not gRPC",
        "give the address that the server has for gRPC (--listen, not that of its pages and metrics)",
    ),
    (
        ("before receiving settings",),
        "{address} takes connections and does not say a word",
        "see that it is a Tertium server, and that it is not stuck",
    ),
    (("connection refused", "no such file"), "nothing listens at {address}", _ANOTHER),
    (
        ("no route", "unreachable", "timed out", "timeout"),
        "{address} can't be reached ({tail})",
        "check address, network and firewall",
    ),
)
"""What gRPC says where it could not connect, in lower case; what has happened; the remedy. The first that fits counts."""

_CLOSED = ("socket closed", "connection reset", "broken pipe", "eof")


@dataclass(frozen=True, slots=True)
class Peer:
    """A server."""

    address: str = "the server"
    """As the caller wrote it."""
    encrypted: bool = False
    """By TLS."""

    def refusal(self, status: Status) -> TertiumError:
        """The error of a status that is not worth another attempt."""
        if status.code is not grpc.StatusCode.UNIMPLEMENTED:
            return status.error()
        return RefusedError(
            status.code.name,
            f"{self.address} answers, but does not know tertium.v1.DecisionService: give the address of a Tertium server ({status.message})",
        )

    def lost(self, status: Status, attempts: int, *, known: bool = False) -> DisconnectedError:
        """The error after so many attempts, of which this was the end of the last one. `known`: the server answered before."""
        why = self._why(status.message, known=known)
        return DisconnectedError(status.code.name, f"{why}; gave up at attempt {attempts}")

    def _why(self, said: str, *, known: bool) -> str:
        words = said.lower()
        tail = said.rpartition(": ")[2] if not words.endswith(": ok") else said.rsplit(": ", 2)[1]
        for signs, happened, remedy in _CAUSES:
            if any(sign in words for sign in signs):
                return f"{happened.format(address=self.address, tail=tail)}: {remedy}{self._without_port()}"
        if not known and any(sign in words for sign in _CLOSED):
            wants = "a certificate of this client's" if self.encrypted else "TLS"
            return (
                f"{self.address} takes connections and closes them at once: it may want {wants} ({_TLS}), "
                f"or be no Tertium server{self._without_port()}"
            )
        return f"server {self.address}: {said}"

    def _without_port(self) -> str:
        return "" if ":" in self.address else "; the address names no port, so gRPC took 443"
