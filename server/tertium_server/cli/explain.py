"""`tertium explain`: what moved the decisions on a track, in numbers that add up."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import messages, plain, progress_of, waiting
from .failure import MISUSED, CommandError
from .policy_file import policy_at
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
    from tertium_server.policy import Policy
    from tertium_server.tuning.life import Lives
    from tertium_server.tuning.readers import Sequence
    from tertium_server.tuning.reviewed.cases import ReviewedTrack

HELP = (
    "Say why a track was judged as it was, in numbers that add up.\n\n"
    "The recording is judged by the server's engine. Without --track: its tracks, those first whose verdict changed most. With --track: its life, a "
    "row for each frame in which something happened, with what has moved its log-odds since the row before (detections, misses and birth by the "
    "fast and the slow level of evidence, hits, size), thresholds that were crossed, hysteresis, and people's answer (--reviews). With --frame, too: "
    "every part of that frame's two sums, of the box and of the track.\n\n"
    "[dim]tertium explain recordings/gate --format mot[/dim]\n\n"
    "[dim]tertium explain recordings/gate --format mot --track 7 --plot life.svg[/dim]\n\n"
    "[dim]tertium explain recordings/gate --format mot --track 7 --frame 240[/dim]"
)

_ASKED, _JUDGING = "What is asked", "The judging"


def explain(  # noqa: PLR0913  # the options of the command line
    detections: DetectionsArgument,
    format: FormatOption,  # noqa: A002  # the option's name
    *,
    track: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help="The track, counted from 1 as in tertium replay. Without one, tracks are listed.",
            rich_help_panel=_ASKED,
            show_default=False,
        ),
    ] = None,
    frame: Annotated[
        int | None,
        typer.Option(
            metavar="K",
            help="All parts of the decisions in this frame alone.",
            rich_help_panel=_ASKED,
            show_default=False,
        ),
    ] = None,
    most: Annotated[int, typer.Option(min=1, metavar="N", help="Tracks to list.", rich_help_panel=_ASKED)] = 20,
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
    reviews: Annotated[
        str | None,
        typer.Option(
            metavar="FROM",
            help="What people answered, to be shown where it stood over the machine: the server's data folder, the URL of its store, or a file "
            "of [bold]tertium review export --format jsonl[/bold].",
            rich_help_panel=_JUDGING,
            show_default=False,
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Draw the track's life, too: a .png or .svg. Needs matplotlib: pip install 'tertium\\[plot]'.",
            rich_help_panel=RESULTS,
            show_default=False,
        ),
    ] = None,
    json_out: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Write JSON, with every frame, in place of tables; of several sequences a list.",
            rich_help_panel=RESULTS,
        ),
    ] = False,
) -> None:
    """The command; HELP says what it does."""
    _check_asked(track, frame, plot)
    recorded = read_recordings(detections, format, reading_of(class_name, scores, fps, detections_field), sequences)
    if track is not None and len(recorded) > 1:
        names = ", ".join(sequence.name for sequence in recorded[:5])
        raise CommandError(f"there are {len(recorded)} sequences ({names} …); name one with --sequences", MISUSED)
    judge = policy_at(policy)
    with waiting("Compiling the engine: half a minute the first time, a second from then on"):
        from tertium_server.engine import warm_up  # noqa: PLC0415  # loads numba

        warm_up()
    reviewed = _reviewed(reviews)
    documents = []
    for sequence in recorded:
        lives = _watch(sequence, judge, track, reviewed, client_tracks=client_tracks)
        if json_out:
            from .explain_tables import document  # noqa: PLC0415  # loads rich

            documents.append(document(sequence.name, lives, track, frame))
        else:
            _show(sequence, lives, track, frame, most)
        if plot is not None and track is not None:
            _draw(sequence, lives, track, plot)
    if json_out:
        # Of several sequences a list, so that all of it is one JSON text.
        json.dump(documents if len(documents) > 1 else documents[0], sys.stdout, indent=2, allow_nan=False)
        sys.stdout.write("\n")


def _check_asked(track: int | None, frame: int | None, plot: Path | None) -> None:
    """Raises a CommandError where options do not fit together."""
    if track is None and (frame is not None or plot is not None):
        option = "--frame" if frame is not None else "--plot"
        raise CommandError(f"{option} needs --track: name the track, or leave it out to list them", MISUSED)
    if plot is not None and plot.suffix not in {".png", ".svg"}:
        raise CommandError(f"--plot {plot}: end the name in .png or .svg", MISUSED)
    if plot is not None:
        from importlib.util import find_spec  # noqa: PLC0415  # only here

        if find_spec("matplotlib") is None:
            raise CommandError("--plot needs matplotlib: pip install 'tertium[plot]'")


def _reviewed(reviews: str | None) -> tuple[ReviewedTrack, ...]:
    """What people answered; nothing where nobody asks for it."""
    if reviews is None:
        return ()
    from .tune_reviews import read_answers  # noqa: PLC0415  # loads the store

    return read_answers(reviews).tracks


def _watch(
    sequence: Sequence, policy: Policy, track: int | None, reviewed: tuple[ReviewedTrack, ...], *, client_tracks: bool
) -> Lives:
    from tertium_server.tuning.life import watch_lives  # noqa: PLC0415  # loads numba
    from tertium_server.tuning.life_people import answers_on  # noqa: PLC0415  # as above

    answers = answers_on(sequence, policy, reviewed, client_tracks=client_tracks) if reviewed else {}
    with progress_of(sequence.length) as bar:
        bar.name(sequence.name)
        wanted = () if track is None else (track,)
        return watch_lives(sequence, policy, wanted, client_tracks=client_tracks, answers=answers, progress=bar.advance)


def _draw(sequence: Sequence, lives: Lives, track: int, plot: Path) -> None:
    from tertium_server.tuning.life_plot import draw  # noqa: PLC0415  # loads matplotlib

    try:
        draw(lives.frames[track], f"{sequence.name}, track {track}, policy {lives.policy_version}", plot)
    except OSError as error:
        raise CommandError(f"{plot}: can't be written ({error.strerror or error}); choose another file") from error
    messages().print(f"wrote {plain(str(plot))}", soft_wrap=True)


def _show(sequence: Sequence, lives: Lives, track: int | None, frame: int | None, most: int) -> None:
    from .explain_tables import show_frame, show_life, show_list  # noqa: PLC0415  # loads rich

    if track is None:
        show_list(sequence.name, lives, most)
    elif frame is None:
        show_life(sequence.name, lives, track)
    else:
        show_frame(lives, track, frame)
