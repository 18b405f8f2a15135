"""The command line: `tertium --help` lists the commands."""

import sys


def main() -> int:
    """Runs the command line and returns the exit code: 0 done, 1 failed, 2 used wrongly, 130 interrupted."""
    try:
        from .application import run  # noqa: PLC0415  # may be missing its packages: see below
    except ModuleNotFoundError as error:
        # `pip install tertium` brings the client alone; this command then exists, but not what it needs.
        if error.name not in {"typer", "rich"}:
            raise
        sys.stderr.write(f"tertium: the package {error.name} is missing; pip install 'tertium[server]'\n")
        return 2
    return run()
