"""`tertium simulate`: a world with known truth, into files or to a running server."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import messages, progress_of
from .failure import MISUSED, CommandError
from .output import written

if TYPE_CHECKING:
    from tertium_server.simulation import Footage, World
    from tertium_server.simulation.live import LiveOptions, Played

HELP = (
    "Simulate cameras whose truth is known: into files, or to a running server.\n\n"
    "WORLD is a YAML file, or the name of one that ships: [bold]busy-street[/bold], [bold]calibrated[/bold], [bold]drift[/bold], "
    "[bold]erring-reviewers[/bold], [bold]overconfident[/bold], [bold]quiet-car-park[/bold], [bold]rare-class[/bold], "
    "[bold]starved-audits[/bold]. The same world gives the same bytes. With [bold]--out[/bold] it is written as recordings and as MOTChallenge, "
    "with truth, ready for tune, evaluate and replay; with [bold]--server[/bold] its cameras stream live, and what comes of it is told "
    "beside the truth.\n\n"
    "[dim]tertium simulate busy-street --out street[/dim]\n\n"
    "[dim]tertium simulate drift --server 127.0.0.1:7413 --speed 4 --review tertium-data/review-token --truth[/dim]"
)

_WORLD, _FILES, _LIVE = "The world", "Into files", "To a server"
_MOST_SHOWN = 60
"""Characters of a value that an error shows."""
_MOST_REFUSALS = 5
"""Shown of frames whose truth was refused; --json holds them all."""


def simulate(  # noqa: PLR0913  # the options of the command line
    world: Annotated[
        str, typer.Argument(metavar="WORLD", help="A YAML file, or the name of a world that ships.", show_default=False)
    ],
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Write recordings/ and mot/ with truth, and world.yaml there. The folder has to be new, or empty.",
            rich_help_panel=_FILES,
        ),
    ] = None,
    server: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Stream all cameras to this server. A token, where it wants one (roles ingest and admin), is taken from TERTIUM_TOKEN.",
            rich_help_panel=_LIVE,
        ),
    ] = None,
    show: Annotated[
        bool, typer.Option("--show", help="Write the world as YAML to standard output, to be changed.")
    ] = False,
    change: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="FIELD=VALUE",
            help="Change a number of the world, as in detector.sure=0.5 or false_alarms.phantoms=8; may be given several times.",
            rich_help_panel=_WORLD,
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Another world of the kind.", rich_help_panel=_WORLD)] = None,
    cameras: Annotated[int | None, typer.Option(min=1, help="How many.", rich_help_panel=_WORLD)] = None,
    frames: Annotated[int | None, typer.Option(min=2, help="Of each camera.", rich_help_panel=_WORLD)] = None,
    speed: Annotated[
        str,
        typer.Option(
            metavar="TIMES",
            help="How fast: 1 is real time, [bold]max[/bold] as fast as the server answers.",
            rich_help_panel=_LIVE,
        ),
    ] = "max",
    review: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Answer review cases as the world's people do, with the tokens in this file, one a line and person. A server without "
            "--tokens has one in its data folder, review-token.",
            rich_help_panel=_LIVE,
        ),
    ] = None,
    truth: Annotated[
        bool,
        typer.Option(
            "--truth",
            help="Report truth frames at the end, with the token in TERTIUM_TOKEN, or the first of --review.",
            rich_help_panel=_LIVE,
        ),
    ] = False,
    no_pictures: Annotated[
        bool, typer.Option("--no-pictures", help="Draw no pictures for reviewers.", rich_help_panel=_LIVE)
    ] = False,
    prefix: Annotated[
        str, typer.Option(metavar="NAME", help="Streams are called NAME/CAMERA.", rich_help_panel=_LIVE)
    ] = "simulated",
    json_file: Annotated[
        str | None,
        typer.Option("--json", metavar="FILE", help="Write the figures as JSON. [bold]-[/bold]: standard output."),
    ] = None,
) -> None:
    """The command; HELP says what it does."""
    if not (out or server or show):
        raise CommandError("give --out FOLDER, --server HOST:PORT, or both; --show writes the world itself", MISUSED)
    from tertium_server.simulation import dump_world, film, load_world  # noqa: PLC0415  # slow to load

    numbers = {"seed": seed, "cameras": cameras, "frames": frames}
    named = {name: value for name, value in numbers.items() if value is not None}
    changes = _changes(change or [])
    for name in named.keys() & changes:
        raise CommandError(f"--{name}, --set {name}: give one of the two", MISUSED)
    chosen = load_world(world, **named, **changes)
    if show:
        sys.stdout.write(dump_world(chosen))
        return
    options = (
        None if server is None else _live(server, speed, review, truth=truth, pictures=not no_pictures, prefix=prefix)
    )
    with progress_of(chosen.frames * chosen.cameras) as bar:
        bar.name("filming")
        footages: list[Footage] = []
        for camera in range(chosen.cameras):
            footages.append(film(chosen, camera))
            bar.advance(chosen.frames)
    figures: dict[str, Any] = {
        "version": _version(),
        "world": chosen.model_dump(mode="json"),
        "footage": [_facts(one) for one in footages],
    }
    if out is not None:
        from tertium_server.simulation.writing import write_world  # noqa: PLC0415  # likewise

        with progress_of(chosen.frames * chosen.cameras) as bar:
            bar.name("writing")
            write_world(chosen, out, footages, lambda _: bar.advance(chosen.frames))
    _show_footage(figures["footage"])
    if options is not None:
        played = _play(chosen, options, footages)
        figures["played"] = played.as_json()
        _show_played(played)
    if out is not None:
        messages().print(f"wrote {out}", soft_wrap=True)
    if json_file is not None:
        with written(json_file) as file:
            file.write(json.dumps(figures, indent=2, allow_nan=False) + "\n")


def _version() -> str:
    from importlib.metadata import version  # noqa: PLC0415  # only here

    return version("tertium")


def _changes(texts: list[str]) -> dict[str, Any]:
    """Fields written as "part.field=value", values as YAML."""
    from ruamel.yaml import YAML  # noqa: PLC0415  # slow to load
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415  # likewise

    changes: dict[str, Any] = {}
    for text in texts:
        field, sign, value = text.partition("=")
        if not sign or not field:
            raise CommandError(f"--set {text}: write it as FIELD=VALUE, as in detector.sure=0.5", MISUSED)
        *parts, last = field.split(".")
        here = changes
        for part in parts:
            here = here.setdefault(part, {})
            if not isinstance(here, dict):
                raise CommandError(f"--set {text}: {part} was set as a whole before; give one of the two", MISUSED)
        try:
            here[last] = YAML(typ="safe", pure=True).load(value)
        except (
            YAMLError,
            ValueError,
            RecursionError,
        ) as error:  # of the latter kinds: thousands of digits, or of brackets
            raise CommandError(f"--set {text[:_MOST_SHOWN]}: {value[:_MOST_SHOWN]!r} is no value", MISUSED) from error
    return changes


def _live(  # options of the command line
    server: str, speed: str, review: Path | None, *, truth: bool, pictures: bool, prefix: str
) -> LiveOptions:
    import os  # noqa: PLC0415  # only here

    from tertium_server.simulation.live import LiveOptions  # noqa: PLC0415  # slow to load
    from tertium_server.simulation.playing import Pace  # noqa: PLC0415  # likewise

    from .demo import speed_of  # noqa: PLC0415  # likewise
    from .policy_server import TOKEN_VARIABLE  # noqa: PLC0415  # likewise

    if not server.rpartition(":")[2].isdecimal():
        raise CommandError(f"--server {server}: names no port; give HOST:PORT", MISUSED)
    tokens = () if review is None else _tokens(review)
    token = os.environ.get(TOKEN_VARIABLE, "")
    if truth and not token and not tokens:
        raise CommandError(
            f"--truth: the server takes it from the role admin only; put a token into {TOKEN_VARIABLE}, or give --review FILE: that of a server "
            "on this machine is in its data folder, review-token",
            MISUSED,
        )
    first = tokens[0] if tokens else ""
    pace = Pace(speed=speed_of(speed), start=time.time_ns(), pictures=pictures)
    return LiveOptions(
        address=server,
        pace=pace,
        prefix=prefix,
        token=token,
        review_tokens=tokens,
        truth_token=(token or first) if truth else None,
    )


def _tokens(file: Path) -> tuple[str, ...]:
    try:
        tokens = tuple(line.strip() for line in file.read_text("ascii").splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CommandError(f"--review {file}: can't be read ({reason}); give a file with a token a line") from error
    if not tokens:
        raise CommandError(f"--review {file}: holds no token; give a file with a token a line")
    return tokens


def _play(world: World, options: LiveOptions, footages: list[Footage]) -> Played:
    from tertium_server.rpc.caller import CallError  # noqa: PLC0415  # loads gRPC
    from tertium_server.simulation.live import play  # noqa: PLC0415  # slow to load

    people = world.reviewers.count
    if 0 < len(options.review_tokens) < people:
        messages().print(
            f"[yellow]warning[/yellow] the world has {people} reviewers, and there are tokens for {len(options.review_tokens)}: "
            "cases that want a second vote wait for another person",
            soft_wrap=True,
        )
    with progress_of(world.frames * world.cameras) as bar:
        bar.name("playing")
        try:
            return play(world, options, lambda: bar.advance(1), footages)
        except KeyboardInterrupt:
            options.pace.stop.set()
            raise
        except CallError as error:  # of certificates; what a server refuses is told by the cameras
            raise CommandError(str(error), MISUSED) from error


def _facts(footage: Footage) -> dict[str, Any]:
    import numpy as np  # noqa: PLC0415  # slow to load

    scene, said = footage.scene, footage.detections
    return {
        "camera": footage.name,
        "frames": footage.world.frames,
        "objects": len(np.unique(scene.objects)),
        "object_boxes": len(scene.frames),
        "detections": len(said),
        "right": int(footage.right().sum()),
    }


def _show_footage(facts: list[dict[str, Any]]) -> None:
    table = _table("camera", "frames", "objects", "their boxes", "detections", "of these right")
    for one in facts:
        table.add_row(one["camera"], *(f"{one[key]:,}" for key in list(one)[1:]))
    messages().print(table)


def _show_played(played: Played) -> None:
    table = _table(
        "played", "class", "YES right", "YES wrong", "MAYBE right", "MAYBE wrong", "missed", "precision", "recall"
    )
    for unit, by_class in played.tally.as_json().items():
        for name, one in by_class.items():
            if name == "all" and len(by_class) == 2:  # noqa: PLR2004  # one class is all there are
                continue
            counts = (one[key] for key in ("yes_right", "yes_wrong", "maybe_right", "maybe_wrong", "missed"))
            shares = (one["precision_of_yes"], one["recall_of_yes"])
            table.add_row(
                unit,
                name,
                *(f"{count:,}" for count in counts),
                *("" if share is None else f"{share:.3f}" for share in shares),
            )
    messages().print(table)
    votes = sum(played.votes.values())
    told = f"{played.frames:,} frames by policy {played.policy_version}"
    if votes:
        told += f" · {votes:,} votes, {played.wrong_votes:,} of them wrong"
    if played.truth is not None:
        told += f" · truth of {played.truth.accepted:,} frames taken, {played.truth.refused:,} refused"
        told += "".join(f"\n[yellow]refused[/yellow] {reason}" for reason in played.truth.refusals[:_MOST_REFUSALS])
    messages().print(told, soft_wrap=True)


def _table(first: str, *others: str) -> Any:  # noqa: ANN401  # rich's table, which is slow to load
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415  # likewise
    from rich.table import Table  # noqa: PLC0415  # likewise

    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, justify="left" if name == "class" else "right")
    return table
