"""Options that several commands share: which recordings, how to read them, how to pair boxes, and where the work is done."""

from __future__ import annotations

from collections.abc import Callable, Collection
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import messages, plain, steps_of
from .failure import MISUSED, CommandError

if TYPE_CHECKING:
    from tertium_server.tuning.cache import ReplayCache
    from tertium_server.tuning.readers import Labelled, Mirrors, Options, ReadError, Sequence

RECORDING, MEASURING, WORK, RESULTS = "The recording", "The measuring", "The work", "Results"
"""Panels of the help."""


class Format(StrEnum):
    """Formats of recordings; the names of tuning.readers.FORMATS."""

    MOT = "mot"
    KITTI = "kitti"
    COCO = "coco"
    YOLO = "yolo"
    FIFTYONE = "fiftyone"
    TERTIUM = "tertium"


class Scores(StrEnum):
    """Scales of scores."""

    PROBABILITY = "probability"
    LOGIT = "logit"


class MatchingRule(StrEnum):
    """How boxes are paired with truth; the names of tuning.matching.Rule."""

    SCORE = "score"
    IOU = "iou"


class UnitName(StrEnum):
    """What is counted; the names of tuning.units.Unit."""

    BOX = "box"
    TRACK = "track"
    FRAME = "frame"


_DETECTIONS: Any = typer.Argument(
    metavar="DETECTIONS",
    help="One sequence or a folder of sequences, by path or URL (s3://, gs://, …). [bold]mot[/bold]: a folder with det/det.txt and seqinfo.ini, "
    "a folder of such folders, or a det.txt. [bold]kitti[/bold]: a .txt, a folder of .txt files, "
    "or one that holds detections/. [bold]coco[/bold]: a .json. [bold]yolo[/bold]: a folder of label files. "
    "[bold]fiftyone[/bold]: the folder of an export. [bold]tertium[/bold]: a folder that --record wrote to.",
    show_default=False,
)
DetectionsArgument = Annotated[str, _DETECTIONS]
OptionalDetectionsArgument = Annotated[str | None, _DETECTIONS]

_TRUTH: Any = typer.Argument(
    metavar="TRUTH",
    help="What there was to see, by path or URL; may be the same folder. [bold]mot[/bold]: */gt/gt.txt. [bold]kitti[/bold]: labels/.",
    show_default=False,
)
TruthArgument = Annotated[str, _TRUTH]
OptionalTruthArgument = Annotated[str | None, _TRUTH]

_FORMAT: Any = typer.Option(help="The recording's format.", rich_help_panel=RECORDING, show_default=False)
FormatOption = Annotated[Format, _FORMAT]
OptionalFormatOption = Annotated[Format | None, _FORMAT]

SequencesOption = Annotated[
    str,
    typer.Option(metavar="PATTERN", help="Only sequences of such names, as in 'MOT17-0*'.", rich_help_panel=RECORDING),
]

ClassNameOption = Annotated[
    str,
    typer.Option(
        metavar="NAME", help="The class of detections in files that name none (mot).", rich_help_panel=RECORDING
    ),
]

ScoresOption = Annotated[
    Scores, typer.Option(help="The scale of the scores: 0 to 1, or log-odds.", rich_help_panel=RECORDING)
]

FpsOption = Annotated[
    float | None,
    typer.Option(
        min=0.001,
        max=1000,
        help="Frames per second, in place of what the recording says (mot: seqinfo.ini, kitti: 10; others: 30 where they do not say).",
        rich_help_panel=RECORDING,
    ),
]

DetectionsFieldOption = Annotated[
    str,
    typer.Option(
        metavar="FIELD",
        help="The field with detections (fiftyone).",
        rich_help_panel=RECORDING,
        show_default="predictions, or the one with confidences",
    ),
]

TruthFieldOption = Annotated[
    str,
    typer.Option(
        metavar="FIELD",
        help="The field with the truth (fiftyone).",
        rich_help_panel=RECORDING,
        show_default="ground_truth, or the one without confidences",
    ),
]

ClientTracksOption = Annotated[
    bool,
    typer.Option(
        "--client-tracks",
        help="Take the recording's track ids as they are and fuse evidence only. -1 in the file: not tracked.",
        rich_help_panel=RECORDING,
    ),
]

MatchingOption = Annotated[
    MatchingRule,
    typer.Option(
        help="How boxes are paired with truth: by falling [bold]score[/bold], class by class (COCO), or by falling [bold]iou[/bold], "
        "whatever the class, where a wrong class is a false box and a missed object (Labelbox).",
        rich_help_panel=MEASURING,
    ),
]

IouOption = Annotated[
    float, typer.Option(min=0.01, max=1.0, help="The IoU from which a box is right.", rich_help_panel=MEASURING)
]

SeedOption = Annotated[
    int,
    typer.Option(
        min=0, help="Deals sequences into folds, and draws the resamples behind intervals.", rich_help_panel=MEASURING
    ),
]

JobsOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Processes at a time. The result is the same, byte for byte.",
        rich_help_panel=WORK,
        show_default="as many as cores",
    ),
]

BackendOption = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="joblib's backend: [bold]loky[/bold] (processes here), [bold]threading[/bold], or one that is registered, such as dask or ray.",
        rich_help_panel=WORK,
    ),
]

NoCacheOption = Annotated[
    bool,
    typer.Option(
        "--no-cache",
        help="Replay anew, and keep nothing. Otherwise replays are kept by content under $XDG_CACHE_HOME/tertium/replays (1 GiB at "
        "most), copies of remote recordings under tertium/recordings (8 GiB), and what was interrupted goes on where it stood.",
        rich_help_panel=WORK,
    ),
]


def reading_of(
    class_name: str,
    scores: Scores,
    fps: float | None,
    detections_field: str = "",
    truth_field: str = "",
) -> Options:
    """The options of readers."""
    from tertium_server.tuning.readers import Options  # noqa: PLC0415  # slow to load

    return Options(
        class_name=class_name,
        logits=scores is Scores.LOGIT,
        fps=fps,
        detections_field=detections_field,
        truth_field=truth_field,
    )


def jobs_of(jobs: int | None) -> int:
    """How many processes: as many as asked for, or as there are cores."""
    from tertium_server.tuning.spread import all_cores  # noqa: PLC0415  # slow to load

    return jobs or all_cores()


def cache_of(no_cache: bool) -> ReplayCache | None:  # noqa: FBT001  # an option's value
    """Where replays are kept."""
    from tertium_server.tuning.cache import ReplayCache, default_folder  # noqa: PLC0415  # slow to load

    return None if no_cache else ReplayCache(default_folder())


def given_besides(context: typer.Context, allowed: Collection[str]) -> list[str]:
    """What stands on the command line besides these parameters, as people write it."""
    found = []
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if source is not None and source.name == "COMMANDLINE" and parameter.name not in allowed:
            is_option = parameter.param_type_name == "option"
            found.append(parameter.opts[0] if is_option else (parameter.name or "").upper())
    return found


def check_reading(format_name: Format, options: Options) -> None:
    """Says so where an option is one of other formats.

    Raises:
        CommandError: it is.
    """
    from tertium_server.tuning.readers import Options as Defaults  # noqa: PLC0415  # slow to load

    for option, of, value, default in (
        ("--class-name", Format.MOT, options.class_name, Defaults().class_name),
        ("--detections-field", Format.FIFTYONE, options.detections_field, ""),
        ("--truth-field", Format.FIFTYONE, options.truth_field, ""),
    ):
        if value != default and format_name is not of:
            raise CommandError(f"{option}: only with --format {of}; leave it out", MISUSED)


Say = Callable[[str, int, int], None]
"""Hears what is being done, and how many of how many steps are done."""


def mirrors_of(say: Say, *, no_cache: bool = False) -> Mirrors:
    """Where copies of remote recordings are kept; ``say`` hears how far the fetching is, in MiB."""
    from tertium_server.tuning.readers import Mirrors  # noqa: PLC0415  # slow to load

    return Mirrors(keep=not no_cache, told=lambda what, done, total: say(f"{what}, MiB", done >> 20, total >> 20))


def read_recordings(detections: str, format_name: Format, options: Options, pattern: str) -> tuple[Sequence, ...]:
    """Recorded sequences, with a bar while they are read; what is odd about them is told."""
    from tertium_server.tuning.readers import read_detections  # noqa: PLC0415  # slow to load

    check_reading(format_name, options)
    with steps_of("reading") as say:
        recorded = read_detections(detections, format_name.value, options, pattern, mirrors=mirrors_of(say))
    for warning in (warning for sequence in recorded for warning in sequence.warnings):
        messages().print(f"[yellow]warning[/yellow] {plain(warning)}", soft_wrap=True)
    return recorded


def read_pairs(
    detections: str, truth: str, format_name: Format, options: Options, pattern: str, mirrors: Mirrors
) -> tuple[tuple[Labelled, ...], dict[str, str]]:
    """The sequences that can be read, and why the others can't, by name."""
    from tertium_server.tuning.readers import read_labelled  # noqa: PLC0415  # slow to load

    check_reading(format_name, options)
    failed: dict[str, str] = {}

    def note(name: str, error: ReadError) -> None:
        failed[name] = str(error)

    return read_labelled(detections, truth, format_name.value, options, pattern, failed=note, mirrors=mirrors), failed


def check_failed(failed: dict[str, str]) -> None:
    """Ends the command with an error where sequences were left out; to be called when all results are written.

    Raises:
        CommandError: some were. Each has its line.
    """
    if failed:
        lines = [f"sequence {name} was left out: {why}" for name, why in failed.items()]
        raise CommandError("\n".join([*lines, "results were written without them"]))
