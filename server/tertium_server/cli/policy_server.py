"""`tertium policy` on a running server: list, put, activate, rollback, shadow."""

from __future__ import annotations

import contextlib
import getpass
import os
import sys
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .failure import CommandError

if TYPE_CHECKING:
    from tertium_server.rpc.caller import CallError
    from tertium_server.rpc.policy_client import PolicyClient, StoredPolicy

DEFAULT_SERVER = "127.0.0.1:7413"

TOKEN_VARIABLE = "TERTIUM_TOKEN"  # noqa: S105 - a variable's name
"""Environment variable with the token for a server that wants one. No option: every user of the machine can read command lines."""

_Server = Annotated[
    str,
    typer.Option(
        metavar="HOST:PORT", help="The running server. A token, where it wants one, is taken from TERTIUM_TOKEN."
    ),
]
_Version = Annotated[
    str,
    typer.Argument(
        metavar="VERSION", help="A stored version: whole, or its number, or digits of its hash.", show_default=False
    ),
]
_Author = Annotated[
    str | None, typer.Option(metavar="NAME", help="Who does it. Without it: your user's name.", show_default=False)
]
_Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why.", show_default=False)]


def list_policies(*, server: _Server = DEFAULT_SERVER) -> None:
    """List the stored versions, newest first, and what was in force when."""
    with connected(server) as policies:
        versions, activations = policies.list()
    for each in versions:
        mark = "active" if each.active else "shadow" if each.shadow else ""
        _write(f"{each.version:<22}  {mark:<6}  {each.created[:19]:<19}  {each.author:<12}  {each.name}", each.reason)
    if activations:
        sys.stdout.write("\nput into force\n")
    for past in activations:
        _write(f"{past.version:<22}  {past.at[:19]:<19}  {past.author:<12}", past.reason)


def put(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A policy file.", show_default=False)],
    *,
    reason: _Reason = "",
    author: _Author = None,
    activate_too: Annotated[bool, typer.Option("--activate", help="Put it into force, too.")] = False,
    server: _Server = DEFAULT_SERVER,
) -> None:
    """Store a policy. It judges nothing before it is activated."""
    try:
        document = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise CommandError(f"{file}: can't be read: {reason}") from error
    with connected(server) as policies:
        stored, known = policies.put(document, _name(author), reason)
        sys.stdout.write(f"{stored.version}{': was stored before' if known else ''}\n")
        if activate_too:
            _tell_change(*policies.activate(stored.version, _name(author), reason))


def activate(
    version: _Version, *, reason: _Reason = "", author: _Author = None, server: _Server = DEFAULT_SERVER
) -> None:
    """Put a stored version into force: at once, for every stream, without interrupting any."""
    with connected(server) as policies:
        _tell_change(*policies.activate(version, _name(author), reason))


def rollback(*, reason: _Reason = "", author: _Author = None, server: _Server = DEFAULT_SERVER) -> None:
    """Put the version into force that was before the present one."""
    with connected(server) as policies:
        _tell_change(*policies.roll_back(_name(author), reason))


def shadow(
    version: Annotated[
        str | None,
        typer.Argument(metavar="[VERSION]", help="A stored version; without one, none any more.", show_default=False),
    ] = None,
    *,
    reason: _Reason = "",
    author: _Author = None,
    server: _Server = DEFAULT_SERVER,
) -> None:
    """Try a stored version in the shadow of the one in force: its verdicts are counted (tertium_shadow_decisions_total), and never sent."""
    with connected(server) as policies:
        tried = policies.try_out(version or "", _name(author), reason)
    sys.stdout.write("no policy is in the shadow\n" if tried is None else f"{tried.version} is in the shadow\n")


def fetch(server: str, version: str) -> str:
    """The document of a version on a server; "": of the one in force."""
    with connected(server) as policies:
        return policies.get(version)


@contextlib.contextmanager
def connected(server: str) -> Generator[PolicyClient]:
    """A server's policies.

    Raises:
        CommandError: The server refuses, or is not there.
    """
    from tertium_server.rpc.caller import CallError  # noqa: PLC0415  # loads gRPC
    from tertium_server.rpc.policy_client import PolicyClient  # noqa: PLC0415  # likewise
    from tertium_server.rpc.trust import credentials_of_environment  # noqa: PLC0415  # likewise

    try:
        with PolicyClient(server, os.environ.get(TOKEN_VARIABLE, ""), credentials_of_environment()) as policies:
            yield policies
    except CallError as error:
        raise refusal(server, error) from error


def refusal(server: str, error: CallError) -> CommandError:
    """What a command says of a server that refused it."""
    if not error.needs_token:
        return CommandError(str(error))
    return CommandError(
        f"server {server}: no token, or one that it does not know; put one into {TOKEN_VARIABLE}: that of a server on this machine is in its "
        "data folder, review-token"
    )


def _name(author: str | None) -> str:
    if author is not None:
        return author
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return ""


def _tell_change(now: StoredPolicy, before: str) -> None:
    told = "was in force already" if now.version == before else f"is in force; before: {before}"
    sys.stdout.write(f"{now.version} {told}\n")


def _write(line: str, reason: str) -> None:
    sys.stdout.write(f"{line}  {reason}".rstrip() + "\n")
