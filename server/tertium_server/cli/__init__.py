"""The command line: `tertium --help` lists the commands."""

import os
import sys


def main() -> int:
    """Runs the command line and returns the exit code: 0 done, 1 failed, 2 used wrongly, 130 interrupted."""
    if sys.stdout is None:  # closed before we began: a service manager may do that
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115  # to the end
    try:
        from .application import run  # noqa: PLC0415  # may be missing its packages: see below
    except KeyboardInterrupt:  # while all that is loaded
        return 130
    except ModuleNotFoundError as error:
        # `pip install tertium` brings the client alone; this command then exists, but not what it needs.
        if error.name not in {"typer", "rich"}:
            raise
        sys.stderr.write(f"tertium: the package {error.name} is missing; pip install 'tertium[server]'\n")
        return 2
    return run()
