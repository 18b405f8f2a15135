"""`tertium policy`: policies as files and on a running server."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import policy_compare, policy_server
from .commands import Commands
from .failure import MISUSED, CommandError

if TYPE_CHECKING:
    from tertium_server.policy import Policy, Situation

HELP = (
    "Look at policies, check them, store them, and put them into force.\n\n"
    "validate, show, diff, export, schema and compare work on files; list, put, activate, rollback and shadow on a running server."
)

application = Commands(help=HELP)

application.command("list")(policy_server.list_policies)
application.command()(policy_compare.compare)
for _command in (policy_server.put, policy_server.activate, policy_server.rollback, policy_server.shadow):
    application.command()(_command)

_File = Annotated[Path, typer.Argument(metavar="FILE", help="A policy file.", show_default=False)]
_MaybeFile = Annotated[
    str | None,
    typer.Argument(
        metavar="[FILE or VERSION]",
        help="A policy file, or a version stored on --server. Without one: the built-in policy, or the one in force on --server.",
        show_default=False,
    ),
]
_Server = Annotated[
    str | None, typer.Option(metavar="HOST:PORT", help="The running server to ask.", show_default=False)
]


class ExportFormat(StrEnum):
    """Forms that other tools want."""

    THRESHOLDS_JSON = "thresholds-json"


@application.command()
def validate(
    file: _File,
    *,
    classes: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES", help="The detector's classes, separated by commas: all others in the file are errors."
        ),
    ] = None,
) -> None:
    """Check a policy file. Every mistake is named by line and field; the exit code says whether there is one."""
    from tertium_server.policy import load_policy  # noqa: PLC0415  # loads numba
    from tertium_server.policy.check import unknown_classes  # noqa: PLC0415  # likewise
    from tertium_server.policy.file import problems_at  # noqa: PLC0415  # likewise

    with _told():
        policy = load_policy(file)
    if classes is not None:
        known = [name.strip() for name in classes.split(",") if name.strip()]
        problems = problems_at(unknown_classes(policy, known), file)
        if problems:
            raise CommandError("\n".join(f"{file}: {problem}" for problem in problems))
    sys.stdout.write(f"{file}: {policy.name}, version {policy.version}: good\n")


@application.command()
def show(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE or VERSION] [WHAT=NAME]...",
            help="A policy file, or a version stored on --server; without one, the built-in policy, or the one in force on --server. "
            "With --effective, a situation: class=person group=yard stream=gate zone=drive profile=night, or "
            "time=2026-03-29T02:30+01:00 for the profile open then.",
            show_default=False,
        ),
    ] = None,
    *,
    effective: Annotated[
        bool, typer.Option("--effective", help="Show what holds in a situation, and where each value comes from.")
    ] = False,
    server: _Server = None,
) -> None:
    """Show a policy as a file, or what it says in a situation.

    [dim]tertium policy show site.yaml --effective class=person group=yard[/dim]
    """
    from tertium_server.policy import dump_policy  # noqa: PLC0415  # loads numba

    situation_words = [word for word in words or () if effective and "=" in word]
    names = [word for word in words or () if word not in situation_words]
    if len(names) > 1:
        raise CommandError(
            f"show takes one policy, not {', '.join(names)}; situations are asked for with --effective", MISUSED
        )
    policy = read(names[0] if names else None, server)
    if not effective:
        sys.stdout.write(dump_policy(policy, f"version {policy.version}"))
        return
    sys.stdout.write(_tell_effective(policy, _situation(policy, situation_words)))


@application.command()
def diff(
    old: Annotated[str, typer.Argument(metavar="OLD", help="A policy file, or a version on --server.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="Another.")],
    *,
    server: _Server = None,
) -> None:
    """Show what two policies say differently: field, old value, new value. Exit code 1 if there is anything."""
    from tertium_server.policy import differing  # noqa: PLC0415  # loads numba

    changes = differing(read(old, server), read(new, server))
    for field, (before, after) in changes.items():
        sys.stdout.write(f"{field}: {_word(before)} -> {_word(after)}\n")
    if changes:
        raise typer.Exit(1)


@application.command()
def export(
    which: _MaybeFile = None,
    *,
    format: Annotated[ExportFormat, typer.Option(help="What to write.")] = ExportFormat.THRESHOLDS_JSON,  # noqa: A002  # the option's name
    group: Annotated[str, typer.Option(help="For streams of this group.")] = "default",
    stream: Annotated[str, typer.Option(help="For this stream.")] = "",
    server: _Server = None,
) -> None:
    """Write what other tools want. [bold]thresholds-json[/bold]: the probability from which a box is YES, by class, and "default" for all others."""
    del format  # there is one
    from tertium_server.policy import Situation, effective_judgement  # noqa: PLC0415  # loads numba

    policy = read(which, server)
    yes = {
        name or "default": effective_judgement(
            policy, Situation(class_name=name, group=group, stream=stream)
        ).box.thresholds.yes
        for name in (*policy.class_names(), "")
    }
    sys.stdout.write(json.dumps(yes, indent=2) + "\n")


@application.command()
def schema() -> None:
    """Write the JSON Schema of policy files, for editors."""
    from tertium_server.policy.schema import schema_text  # noqa: PLC0415  # loads pydantic

    sys.stdout.write(schema_text())


def read(which: str | None, server: str | None) -> Policy:
    """A policy by the words of a command line.

    Raises:
        CommandError: There is none, or it can't be used.
    """
    from tertium_server.policy import default_policy, load_policy, parse_policy  # noqa: PLC0415  # loads numba

    with _told():
        if server is None and which == "built-in":
            return default_policy()
        if which is not None and (server is None or Path(which).exists()):
            return load_policy(which)
        if server is None:
            return default_policy()
        return parse_policy(policy_server.fetch(server, which or ""), f"{which or 'the policy in force'} on {server}")


class _told:  # noqa: N801  # used as a statement: with _told()
    """Turns what is wrong with a policy into the command's error: a line for each problem."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        from tertium_server.policy import PolicyError  # noqa: PLC0415  # loaded by then

        if isinstance(error, PolicyError):
            lines = [f"{error.source}: {problem}" for problem in error.problems] or [str(error)]
            raise CommandError("\n".join(lines)) from error


def _situation(policy: Policy, words: list[str]) -> Situation:
    from tertium_server.policy import Situation  # noqa: PLC0415  # loaded by then
    from tertium_server.policy.resolution import open_profiles, profile_for, profiles_of, zones_of  # noqa: PLC0415

    said = _by_name(words)
    group, stream = said.get("group", "default"), said.get("stream", "")
    zone, profile = said.get("zone"), said.get("profile")
    zones, profiles = zones_of(policy, group, stream), profiles_of(policy, group, stream)
    for kind, name, there in (("zone", zone, zones), ("profile", profile, profiles)):
        if name is not None and name not in there:
            raise CommandError(_unknown(kind, name, there))
    if "time" in said:
        profile = profile_for(profiles, open_profiles(profiles, nanoseconds("--effective time=", said["time"])), zone)
    elif profile is not None:
        profile = profile_for(profiles, [profile], zone)
    return Situation(class_name=said.get("class", ""), group=group, stream=stream, zone=zone, profile=profile)


_SITUATION = ("class", "group", "stream", "zone", "profile", "time")


def _by_name(words: list[str]) -> dict[str, str]:
    said: dict[str, str] = {}
    for word in words:
        name, separator, value = word.partition("=")
        if not separator or name not in _SITUATION:
            raise CommandError(f"--effective {word}: write WHAT=NAME, with one of {', '.join(_SITUATION)}", MISUSED)
        said[name] = value
    return said


def _unknown(kind: str, name: str, there: Any) -> str:  # noqa: ANN401  # a mapping by name
    from tertium_server.policy.check import suggestion  # noqa: PLC0415  # loaded by then

    return f'--effective {kind}={name}: this stream has no {kind} "{name}"; {suggestion(name, there)}'


def nanoseconds(option: str, text: str) -> int:
    """Nanoseconds since the Unix epoch of a date and time; without an offset, UTC.

    Raises:
        CommandError: It is none. ``option`` heads the message.
    """
    from datetime import UTC, datetime  # noqa: PLC0415  # only here

    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise CommandError(f"{option}{text}: is no date and time such as 2026-03-29T02:30+01:00", MISUSED) from error
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000_000


def _tell_effective(policy: Policy, situation: Situation) -> str:
    """Every value of the judgement, and where it comes from."""
    from tertium_server.policy import effective_judgement  # noqa: PLC0415  # loaded by then
    from tertium_server.policy.merging import leaves  # noqa: PLC0415  # likewise
    from tertium_server.policy.resolution import origins  # noqa: PLC0415  # likewise

    from_where = origins(policy, situation)
    where = [
        f"{kind} {value}"
        for kind, value in (
            ("class", situation.class_name or "(any other)"),
            ("group", situation.group),
            ("stream", situation.stream or "(any other)"),
            ("zone", situation.zone or "(none)"),
            ("profile", situation.profile or "(none)"),
        )
    ]
    lines = [f"# policy {policy.name}, version {policy.version}", f"# {', '.join(where)}"]
    tree = effective_judgement(policy, situation).model_dump()
    # Some weights are, where they are not set, those of another field.
    rows = [(".".join(path), "-" if value is None else f"{value:g}", from_where[path]) for path, value in leaves(tree)]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    lines += [f"{field:<{widths[0]}}  {value:>{widths[1]}}  {origin}" for field, value, origin in rows]
    return "\n".join(lines) + "\n"


def _word(value: Any) -> str:  # noqa: ANN401  # any value of a policy
    return "(not there)" if value is None else json.dumps(value, ensure_ascii=False)
