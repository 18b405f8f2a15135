"""The commands put together, and how their errors are told.

Modules of commands import nothing heavy at the top: numba and gRPC take a second to load, which `tertium --help` must not.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any, cast

import typer

from tertium_server.errors import StartError, TertiumError

from . import demo, evaluate, explain, policy, quality, replay, review, serve, simulate, tune
from .commands import Commands
from .failure import FAILED, INTERRUPTED, MISUSED, CommandError

_CommandLineError = cast("type[Exception]", typer.BadParameter.__mro__[2])
"""click's ClickException, of click itself or of the copy that newer versions of typer carry."""

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
"""Of a disk, or of what one user may have of it."""


def _print_version(wanted: bool) -> None:  # noqa: FBT001  # typer hands over the option's value
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415  # only here

        sys.stdout.write(f"tertium {version('tertium')}\n")
        raise typer.Exit


def root(
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """The options of `tertium` itself."""


def make_application(*, serving: bool = True) -> Commands:
    """All commands. `serving`: with the options of `serve`, which take a while to load."""
    application = Commands(
        name="tertium",
        help="Yes, no or [bold]maybe[/bold]: judges the boxes of an object detector by the evidence of whole tracks.\n\n"
        "A video pipeline streams its detections in, low scores and all. Tertium tracks them, fuses what many weak "
        "detections say together, and answers for every box: a track, a calibrated probability, and YES, NO or MAYBE.",
        epilog="New here? [bold]tertium demo[/bold] shows all of it on two recorded cameras, in half a minute.",
        context_settings={"help_option_names": ["-h", "--help"]},
        pretty_exceptions_enable=False,
    )
    application.callback()(root)
    application.command("serve", help=serve.HELP)(serve.with_options() if serving else serve.serve)
    application.command("replay", help=replay.HELP)(replay.replay)
    application.command("tune", help=tune.HELP)(tune.tune)
    application.command("evaluate", help=evaluate.HELP)(evaluate.evaluate)
    application.command("explain", help=explain.HELP)(explain.explain)
    application.command("simulate", help=simulate.HELP)(simulate.simulate)
    application.command("demo", help=demo.HELP)(demo.demo)
    application.add_typer(policy.application, name="policy")
    application.add_typer(review.application, name="review")
    application.add_typer(quality.application, name="quality")
    return application


def run(arguments: Sequence[str] | None = None) -> int:
    """Runs a command line (None: the process's) and returns its exit code. Errors for people are one line each."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    application = make_application(serving="serve" in words)
    if "serve" not in words:
        # gRPC's own lines, of each handshake that failed, say less than our errors do. Read when gRPC is loaded, which is later.
        os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    try:
        result: Any = application(words, prog_name="tertium", standalone_mode=False)
        sys.stdout.flush()
    except _CommandLineError as error:
        return _tell_misuse(error)
    except TertiumError as error:
        return _tell(error)
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        _write_no_more()  # whoever read our output has gone
        return FAILED
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        try:
            sys.stdout.flush()
        except OSError:
            _write_no_more()
        return _tell(CommandError(f"{error.strerror}: not all was written; make room, or write elsewhere"))
    return result if isinstance(result, int) else 0


def _write_no_more() -> None:
    """Python flushes standard output once more at exit; lets that go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _tell(error: TertiumError) -> int:
    for line in str(error).splitlines():
        sys.stderr.write(f"tertium: {line}\n")
    if isinstance(error, CommandError):
        return error.code
    return MISUSED if isinstance(error, StartError) else FAILED


def _tell_misuse(error: Any) -> int:  # noqa: ANN401  # click's error, which has no name that all versions share
    command = "tertium" if error.ctx is None else error.ctx.command_path
    message = " ".join(error.format_message().split()).replace("Value error, ", "")
    if message:
        sys.stderr.write(f"{command}: {message.rstrip('.')} (see {command} --help)\n")
    return MISUSED
