"""`tertium quality`: what precision and recall are estimated to be, and the truth about frames that were decided."""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
from collections.abc import Generator
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import quality_truth
from .commands import Commands
from .failure import CommandError
from .policy_server import TOKEN_VARIABLE, refusal
from .review_store import open_store_of

if TYPE_CHECKING:
    from tertium_server.quality.report import Report
    from tertium_server.quality.values import Estimate
    from tertium_server.rpc.quality_client import QualityClient

HELP = (
    "Look at live precision and recall, with their intervals, and report the truth about frames.\n\n"
    "[bold]audit[/bold] is made from what people answered, [bold]calibrated[/bold] from probabilities alone, [bold]truth[/bold] from labelled "
    "frames. Where audit and calibrated part, the probabilities have drifted."
)

application = Commands(help=HELP)


class WindowName(StrEnum):
    """How far back; the names of quality.values.Window."""

    HOUR = "1h"
    DAY = "1d"
    WEEK = "7d"


Server = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT",
        help="Ask a running server. A token is taken from TERTIUM_TOKEN; that of a server on this machine is in its data folder, review-token.",
        show_default=False,
    ),
]


@application.command()
def show(
    *,
    class_name: Annotated[
        str, typer.Option("--class", metavar="NAME", help='Only this class; "all": all of them together.')
    ] = "",
    window: Annotated[WindowName | None, typer.Option(help="Only this window.", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A document on standard output, for programs.")] = False,
    server: Server = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            envvar="TERTIUM_DATA_DIR",
            help="The server's data folder, whose store is read; the server need not run.",
            show_default="~/.local/share/tertium",
        ),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(metavar="URL", envvar="TERTIUM_STORE", help="The store, where it is not in the data folder."),
    ] = None,
) -> None:
    """Show precision and recall by class, window and method, each with its 95 % interval, and what people have answered."""
    report = (_of_store(data_dir, store) if server is None else _of_server(server)).of(
        class_name, "" if window is None else window.value
    )
    if not report.lines:
        raise CommandError(f"--class {class_name}: there is no such class among those that are told apart")
    if as_json:
        sys.stdout.write(json.dumps(report.to_json(), indent=2, allow_nan=False) + "\n")
        return
    sys.stdout.write("\n".join(_table(report)) + "\n")


application.command("report-truth", help=quality_truth.HELP)(quality_truth.report_truth)


def _of_server(server: str) -> Report:
    with connected(server) as quality:
        return quality.estimates()


def _of_store(data_dir: Path | None, url: str | None) -> Report:
    import time  # noqa: PLC0415  # only here

    from tertium_server.quality.department import busiest_classes, read_book  # noqa: PLC0415  # loads the store
    from tertium_server.quality.report import report_of  # noqa: PLC0415

    now = time.time_ns() // 1000
    with open_store_of(data_dir, url) as database:
        return report_of(read_book(database, busiest_classes(database, now), now))


@contextlib.contextmanager
def connected(server: str) -> Generator[QualityClient]:
    """A server's quality.

    Raises:
        CommandError: The server refuses, or is not there.
    """
    from tertium_server.rpc.caller import CallError  # noqa: PLC0415  # loads gRPC
    from tertium_server.rpc.quality_client import QualityClient  # noqa: PLC0415  # likewise
    from tertium_server.rpc.trust import credentials_of_environment  # noqa: PLC0415  # likewise

    try:
        with QualityClient(server, os.environ.get(TOKEN_VARIABLE, ""), credentials_of_environment()) as quality:
            yield quality
    except CallError as error:
        raise refusal(server, error) from error


def _table(report: Report) -> list[str]:
    """The report for people."""
    classes = [line.class_name for line in report.lines] + [line.class_name for line in report.strata]
    names = [ascii(name)[1:-1] for name in classes]
    width = max(5, *map(len, names))
    made = datetime.fromtimestamp(report.made_at / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    lines = [
        f"as of {made}; 95 % intervals; -: too little to tell",
        "",
        f"{'class':{width}}  window  {'method':11}  {'precision':22}  {'recall':22}  effective samples",
    ]
    for name, line in zip(names, report.lines, strict=False):
        samples = f"{_number(line.precision.effective_samples)} / {_number(line.recall.effective_samples)}"
        precision, recall = _interval(line.precision), _interval(line.recall)
        lines.append(f"{name:{width}}  {line.window:6}  {line.method:11}  {precision:22}  {recall:22}  {samples}")
    lines += [
        "",
        f"{'class':{width}}  window  {'stratum':10}  tracks  answered yes / no / cannot tell  audit weight coverage",
    ]
    for name, stratum in zip(names[len(report.lines) :], report.strata, strict=True):
        if stratum.population:
            answers = f"{stratum.yes} / {stratum.no} / {stratum.cannot_tell}"
            share = "-" if math.isnan(stratum.coverage) else f"{stratum.coverage:.2f}"
            row = f"{stratum.window:6}  {stratum.stratum:10}  {stratum.population:6}  {answers:31}  {share}"
            lines.append(f"{name:{width}}  {row}")
    return lines


def _interval(made: Estimate) -> str:
    if math.isnan(made.value):
        return "-"
    return f"{made.value:.3f} ({made.lower:.3f} to {made.upper:.3f})"


def _number(samples: float) -> str:
    return f"{samples:.0f}"
