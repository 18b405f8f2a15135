"""`tertium policy compare`: what another policy would change, over a recording."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import messages, plain, progress_of, waiting
from .failure import CommandError
from .recording_options import Format

if TYPE_CHECKING:
    from rich.table import Table

    from tertium_server.tuning.comparison import Comparison, Example


def compare(  # noqa: PLR0913  # the options of the command line
    detections: Annotated[
        str,
        typer.Argument(
            metavar="DETECTIONS", help="The recording, as for [bold]tertium replay[/bold].", show_default=False
        ),
    ],
    old: Annotated[str, typer.Argument(metavar="OLD", help="A policy file, a version on --server, or built-in.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="Another.")],
    *,
    format: Annotated[Format, typer.Option(help="The recording's format.", show_default=False)],  # noqa: A002  # the option's name
    class_name: Annotated[
        str, typer.Option(metavar="NAME", help="The class of detections in files that name none (mot).")
    ] = "object",
    group: Annotated[
        str, typer.Option(help="The group to judge in. Sequences are judged as streams of their names.")
    ] = "default",
    start: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="When the recording begins, as 2026-03-29T02:30+01:00: for profiles that go by the clock.",
            show_default=False,
        ),
    ] = None,
    examples: Annotated[int, typer.Option(min=0, help="Examples of each change.")] = 3,
    server: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="The server that knows the versions.", show_default=False)
    ] = None,
    json_out: Annotated[bool, typer.Option("--json", help="Write JSON in place of tables.")] = False,
) -> None:
    """Show which verdicts would change, with examples: the detections of a recording judged by two policies.

    [dim]tertium policy compare recordings/ built-in site.yaml --format mot[/dim]
    """
    from tertium_server.engine import Workspace, warm_up  # noqa: PLC0415  # loads numba
    from tertium_server.tuning.comparison import ComparisonOptions, joined  # noqa: PLC0415  # likewise
    from tertium_server.tuning.comparison import compare as compare_sequence  # noqa: PLC0415  # likewise
    from tertium_server.tuning.readers import Options, read_detections  # noqa: PLC0415  # likewise

    from .policy import nanoseconds, read  # noqa: PLC0415  # which has this command

    old_policy, new_policy = (read(word, server) for word in (old, new))
    options = ComparisonOptions(
        group=group, start=0 if start is None else nanoseconds("--start ", start), examples=examples
    )
    sequences = read_detections(detections, format.value, Options(class_name=class_name))
    if start is None and (old_policy.profiles or new_policy.profiles):
        messages().print("[yellow]profiles go by the clock: say when the recording begins with --start[/yellow]")
    with waiting("Compiling the engine: half a minute the first time, a second from then on"):
        warm_up()
    workspace = Workspace()
    with progress_of(2 * sum(sequence.length for sequence in sequences)) as bar:
        parts = [
            compare_sequence(sequence, old_policy, new_policy, options, workspace=workspace, progress=bar.advance)
            for sequence in sequences
        ]
    comparison = joined(parts, examples)
    if json_out:
        sys.stdout.write(json.dumps(_document(comparison, old_policy.version, new_policy.version), indent=2) + "\n")
        return
    _print(comparison, old_policy.version, new_policy.version)


def _print(comparison: Comparison, old: str, new: str) -> None:
    from rich.console import Console  # noqa: PLC0415  # slow to load

    console = Console(highlight=False)
    if not comparison.detections:
        raise CommandError("the recording holds no detections: there is nothing to compare")
    share = comparison.changed / comparison.detections
    console.print(
        f"{comparison.changed:,} of {comparison.detections:,} verdicts ({share:.2%}) would change from {old} to {new}."
    )
    console.print(_counts_table(comparison))
    if comparison.examples:
        console.print(_examples_table(comparison.examples))


def _counts_table(comparison: Comparison) -> Table:
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415  # slow to load
    from rich.table import Table  # noqa: PLC0415  # likewise

    from tertium_server.engine import Verdict  # noqa: PLC0415  # loaded by then

    table = Table(
        box=SIMPLE_HEAD,
        pad_edge=False,
        title="boxes by old verdict (rows) and new verdict (columns)",
        title_justify="left",
    )
    table.add_column("class")
    table.add_column("old")
    for verdict in reversed(Verdict):
        table.add_column(verdict.name, justify="right")
    for name, counts in sorted(comparison.counts.items()):
        for was in reversed(Verdict):
            cells = [
                f"[dim]{counts[was, becomes]:,}[/dim]"
                if was == becomes or not counts[was, becomes]
                else f"[bold]{counts[was, becomes]:,}[/bold]"
                for becomes in reversed(Verdict)
            ]
            table.add_row(plain(name) if was is Verdict.YES else "", was.name, *cells)
    return table


def _examples_table(examples: list[Example]) -> Table:
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415  # slow to load
    from rich.table import Table  # noqa: PLC0415  # likewise

    table = Table(box=SIMPLE_HEAD, pad_edge=False, title="examples, the highest scores first", title_justify="left")
    for column in ("class", "change", "sequence", "frame", "x, y, w, h", "score", "probability"):
        table.add_column(column, overflow="fold")
    for each in examples:
        table.add_row(
            plain(each.class_name),
            f"{each.old.name} -> {each.new.name}",
            plain(each.sequence),
            str(each.frame),
            ", ".join(f"{side:.0f}" for side in each.box),
            f"{each.score:.3f}",
            f"{each.old_probability:.3f} -> {each.new_probability:.3f}",
        )
    return table


def _document(comparison: Comparison, old: str, new: str) -> dict[str, Any]:
    from tertium_server.engine import Verdict  # noqa: PLC0415  # loaded by then

    return {
        "old": old,
        "new": new,
        "detections": comparison.detections,
        "changed": comparison.changed,
        "classes": {
            name: {was.name: {becomes.name: int(counts[was, becomes]) for becomes in Verdict} for was in Verdict}
            for name, counts in sorted(comparison.counts.items())
        },
        "examples": [
            {
                "sequence": each.sequence,
                "frame": each.frame,
                "class": each.class_name,
                "box": each.box,
                "score": each.score,
                "old": each.old.name,
                "new": each.new.name,
                "old_probability": each.old_probability,
                "new_probability": each.new_probability,
            }
            for each in comparison.examples
        ],
    }
