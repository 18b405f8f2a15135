"""`tertium evaluate`: what a policy is worth on labelled recordings, alone or beside another."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from .console import steps_of
from .failure import MISUSED, CommandError
from .output import check_places, written
from .policy_file import policy_at
from .recording_options import (
    MEASURING,
    RESULTS,
    BackendOption,
    ClassNameOption,
    ClientTracksOption,
    DetectionsArgument,
    DetectionsFieldOption,
    FormatOption,
    FpsOption,
    IouOption,
    JobsOption,
    MatchingOption,
    MatchingRule,
    NoCacheOption,
    Scores,
    ScoresOption,
    SeedOption,
    SequencesOption,
    TruthArgument,
    TruthFieldOption,
    UnitName,
    cache_of,
    check_failed,
    jobs_of,
    mirrors_of,
    read_pairs,
    reading_of,
)

if TYPE_CHECKING:
    from tertium_server.policy import Policy
    from tertium_server.tuning.evaluate_command import Json, Work
    from tertium_server.tuning.readers import Labelled, Mirrors

HELP = (
    "Say what a policy is worth on labelled recordings.\n\n"
    "Precision, recall and F1 of YES, and of YES and MAYBE together; how much people would have to see; average precision, log loss and "
    "calibration; how long it takes until YES; by class, sequence, size of box and time. Each with an interval that resamples sequences, or "
    "blocks of frames where they are few. With [bold]--against[/bold] a second policy, and the differences with theirs.\n\n"
    "[dim]tertium evaluate recordings/ recordings/ --format mot --policy policy.yaml[/dim]"
)

_POLICIES = "The policies"


class TablesFormat(StrEnum):
    """What tables are written as; the names of tuning.table_files.FORMS."""

    CSV = "csv"
    PARQUET = "parquet"


def evaluate(  # noqa: PLR0913  # the options of the command line
    detections: DetectionsArgument,
    truth: TruthArgument,
    format: FormatOption,  # noqa: A002  # the option's name
    *,
    policy: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="The policy to evaluate. Without one: the built-in.", rich_help_panel=_POLICIES
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Another policy: differences are of the first less this one.",
            rich_help_panel=_POLICIES,
        ),
    ] = None,
    decisions: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Take the decisions from this CSV, which [bold]tertium replay --out[/bold] wrote with the policy, instead of replaying.",
            rich_help_panel=_POLICIES,
        ),
    ] = None,
    client_tracks: ClientTracksOption = False,
    unit: Annotated[
        list[UnitName] | None,
        typer.Option(
            help="What is counted; may be given several times.", rich_help_panel=MEASURING, show_default="all three"
        ),
    ] = None,
    matching: MatchingOption = MatchingRule.SCORE,
    iou: IouOption = 0.5,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODULE:FUNCTION",
            help="A figure of your own: a function that is given the judged sequences and returns a number, or a dict of numbers; may be "
            "given several times. docs/tuning.md has an example.",
            rich_help_panel=MEASURING,
        ),
    ] = None,
    seed: SeedOption = 0,
    json_file: Annotated[
        str | None,
        typer.Option(
            "--json",
            metavar="FILE",
            help="Write all figures as JSON, unrounded. [bold]-[/bold]: standard output.",
            rich_help_panel=RESULTS,
        ),
    ] = None,
    tables: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="Write detections.csv, tracks.csv and frames.csv there: each row with what was said of it and what it turned out to be.",
            rich_help_panel=RESULTS,
        ),
    ] = None,
    tables_format: Annotated[
        TablesFormat,
        typer.Option(
            help="What tables are written as. Parquet keeps types and takes less room; it needs tertium\\[parquet].",
            rich_help_panel=RESULTS,
        ),
    ] = TablesFormat.CSV,
    jobs: JobsOption = None,
    backend: BackendOption = "loky",
    no_cache: NoCacheOption = False,
    sequences: SequencesOption = "*",
    class_name: ClassNameOption = "object",
    scores: ScoresOption = Scores.PROBABILITY,
    fps: FpsOption = None,
    detections_field: DetectionsFieldOption = "",
    truth_field: TruthFieldOption = "",
) -> None:
    """The command; HELP says what it does."""
    # From here on things are slow to load.
    from tertium_server.tuning.evaluate import EvaluateOptions  # noqa: PLC0415
    from tertium_server.tuning.evaluate_command import Work  # noqa: PLC0415
    from tertium_server.tuning.evaluate_metrics import find_metric  # noqa: PLC0415
    from tertium_server.tuning.evaluate_tables import Tables  # noqa: PLC0415
    from tertium_server.tuning.figures import Matching  # noqa: PLC0415
    from tertium_server.tuning.matching import Rule  # noqa: PLC0415
    from tertium_server.tuning.replay import ReplayOptions  # noqa: PLC0415
    from tertium_server.tuning.spread import Spread  # noqa: PLC0415
    from tertium_server.tuning.units import Unit  # noqa: PLC0415

    from .evaluation_tables import show  # noqa: PLC0415

    if decisions is not None and against is not None:
        raise CommandError("--against replays a second policy, --decisions is of one; leave one out", MISUSED)
    check_places(json_file)
    metrics = tuple(find_metric(name) for name in metric or [])
    first, second = policy_at(policy), None if against is None else policy_at(against)
    with steps_of("reading; the first time the engine is compiled, too, for half a minute") as say:
        mirrors = mirrors_of(say, no_cache=no_cache)
        reading = reading_of(class_name, scores, fps, detections_field, truth_field)
        labelled, failed = read_pairs(detections, truth, format, reading, sequences, mirrors)
        options = EvaluateOptions(
            units=tuple(Unit(one.value) for one in dict.fromkeys(unit or UnitName)),
            seed=seed,
            matching=Matching(Rule(matching.value), iou),
        )
        work = Work(
            options,
            ReplayOptions(client_tracks=client_tracks),
            metrics,
            Spread(jobs_of(jobs), backend),
            cache_of(no_cache),
            None if tables is None else Tables(tables, tables_format.value),
        )
        found = (
            work.of_policies(labelled, first, second, failed, say)
            if decisions is None
            else _of_file(work, labelled, first, decisions, failed, mirrors)
        )
    show(found)
    if json_file is not None:
        with written(json_file) as file:
            file.write(json.dumps(found, indent=2, allow_nan=False) + "\n")
    check_failed(found["failed_sequences"])


def _of_file(  # what the command has at hand
    work: Work, labelled: tuple[Labelled, ...], policy: Policy, decisions: str, failed: dict[str, str], mirrors: Mirrors
) -> Json:
    with mirrors.local(decisions) as file:
        return work.of_file(labelled, policy, file, failed)
