"""`tertium demo`: two recorded cameras through a real server."""

from __future__ import annotations

import io
import sys
from typing import Annotated

import typer

from .failure import INTERRUPTED, MISUSED, CommandError

HELP = (
    "Watch a server judge two recorded cameras.\n\n"
    "Starts a server of its own on free ports with the built-in policy, plays the recordings that ship with Tertium "
    "through the real client, and shows what each track is judged and why. Ends with the recording, or with Ctrl-C."
)


def demo(
    *,
    speed: Annotated[
        str, typer.Option(metavar="TIMES", help="How fast: 1 is real time, [bold]max[/bold] as fast as it goes.")
    ] = "4",
    frames: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Only the first frames of each camera.", show_default="all")
    ] = None,
) -> int:
    """The command; HELP says what it does."""
    options_speed = speed_of(speed)
    from rich.console import Console  # noqa: PLC0415  # slow to load, as what follows

    from tertium_server.demo.run import DemoOptions, run_demo  # noqa: PLC0415

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that knows no boxes and dots still gets the words
    finished = run_demo(DemoOptions(options_speed, frames), Console(highlight=False))
    return 0 if finished else INTERRUPTED


def speed_of(text: str) -> float | None:
    """How many times real time; None: as fast as it goes.

    Raises:
        CommandError: it is no such number.
    """
    if text == "max":
        return None
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1000:  # noqa: PLR2004  # beyond, "max" is meant; also refuses NaN
        raise CommandError(f"--speed {text}: give a number above 0 and up to 1000, or max", MISUSED)
    return value
