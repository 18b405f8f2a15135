"""`tertium replay`: recorded detections through the engine, decisions out as CSV."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from .console import progress_of
from .failure import MISUSED, CommandError
from .output import STDOUT, written
from .recording_options import (
    RESULTS,
    ClassNameOption,
    ClientTracksOption,
    DetectionsArgument,
    DetectionsFieldOption,
    FormatOption,
    FpsOption,
    Scores,
    ScoresOption,
    SequencesOption,
    read_recordings,
    reading_of,
)

if TYPE_CHECKING:
    from tertium_server.tuning.readers import Sequence
    from tertium_server.tuning.summary import SequenceSummary

    from .judging import Job


HELP = (
    "Judge recorded detections and write a CSV with a row for each.\n\n"
    "Its columns: sequence, frame, detection (its place in the frame, from 0), class, x, y, w, h and score as in the "
    "file; track (counted from 1 in each sequence); probability that this box is right; track_probability "
    "that its track is a real object; verdict (YES, MAYBE or NO) on the box.\n\n"
    "[dim]tertium replay recordings/ --format mot --out decisions.csv[/dim]"
)

_JUDGING = "The judging"


def replay(  # noqa: PLR0913  # the options of the command line
    detections: DetectionsArgument,
    format: FormatOption,  # noqa: A002  # the option's name
    out: Annotated[
        str,
        typer.Option(
            metavar="FILE",
            help="The CSV file to write: a row for each detection, in input order. It appears when all is done. "
            "[bold]-[/bold]: standard output.",
            rich_help_panel=RESULTS,
            show_default=False,
        ),
    ],
    *,
    sequences: SequencesOption = "*",
    class_name: ClassNameOption = "object",
    scores: ScoresOption = Scores.PROBABILITY,
    fps: FpsOption = None,
    detections_field: DetectionsFieldOption = "",
    client_tracks: ClientTracksOption = False,
    policy: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="The policy to judge by. Without one: the built-in.", rich_help_panel=_JUDGING
        ),
    ] = None,
    server: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Send the frames to this running server, which judges by its own policy, instead of judging in this "
            "process. The decisions are the same, byte for byte; a server that goes away is waited for.",
            rich_help_panel=_JUDGING,
        ),
    ] = None,
    batch: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="K",
            help="Frames a step, or a message. It changes nothing but speed.",
            rich_help_panel=_JUDGING,
        ),
    ] = 32,
    json_file: Annotated[
        str | None,
        typer.Option(
            "--json",
            metavar="FILE",
            help="Write the summary as JSON, too. [bold]-[/bold]: standard output.",
            rich_help_panel=RESULTS,
        ),
    ] = None,
) -> None:
    """The command; HELP says what it does."""
    if server is not None and policy is not None:
        raise CommandError("--policy has no effect with --server, which judges by its own; leave one out", MISUSED)
    if out == STDOUT and json_file == STDOUT:
        raise CommandError("--out and --json can't both be standard output; give one a file", MISUSED)
    # From here on things are slow to load.
    from .judging import Job  # noqa: PLC0415
    from .report import report  # noqa: PLC0415

    recorded = read_recordings(detections, format, reading_of(class_name, scores, fps, detections_field), sequences)
    if client_tracks:
        _check_tracks(recorded)
    summaries, version = _judge(
        recorded, Job(policy=policy, server=server, batch=batch, client_tracks=client_tracks), out
    )
    report(summaries, version, json_file)


def _check_tracks(sequences: tuple[Sequence, ...]) -> None:
    from tertium_server.tuning.readers import named  # noqa: PLC0415  # slow to load

    for sequence in sequences:
        if len(sequence) and (sequence.track_ids < 0).all():
            raise CommandError(
                f"sequence {sequence.name}: {named(str(sequence.source))} holds no track ids; leave out --client-tracks"
            )


def _judge(sequences: tuple[Sequence, ...], job: Job, out: str) -> tuple[list[SequenceSummary], str]:
    """Writes the CSV; the figures of each sequence, and the version of the policy."""
    from tertium_server.tuning.rows import write_header, write_rows  # noqa: PLC0415
    from tertium_server.tuning.summary import summarize  # noqa: PLC0415

    summaries: list[SequenceSummary] = []
    version = ""
    with written(out) as file, job.judge() as judge, progress_of(sum(sequence.length for sequence in sequences)) as bar:
        write_header(file)
        for sequence in sequences:
            bar.name(sequence.name)
            start = time.perf_counter()
            decisions = judge(sequence, bar.advance)
            summaries.append(summarize(decisions, time.perf_counter() - start))
            write_rows(file, decisions)
            version = decisions.policy_version
    return summaries, version
