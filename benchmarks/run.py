"""Measures speed and memory: ``make bench``, or ``make bench ARGS=--quick`` for a first impression in under a minute.

Writes JSON and plots into benchmarks/results/ (of a quick run: into results/quick/, which is not kept). No test depends on any of these figures.
"""

import argparse
import sys
import time
from pathlib import Path
from types import ModuleType

import engine
import memory
import rivals
import scrape
import service
import sweep
from harness.report import Bound, describe_machine, write_json

_PARTS: dict[str, ModuleType] = {
    "engine": engine,
    "service": service,
    "memory": memory,
    "rivals": rivals,
    "sweep": sweep,
    "scrape": scrape,
}
_RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Runs the parts asked for, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "parts",
        nargs="*",
        choices=[*_PARTS, []],  # the latter is what argparse checks where nothing is named
        metavar="PART",
        help=f"what to measure, of {', '.join(_PARTS)}; everything where nothing is named",
    )
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--out", type=Path, help="folder to write to")
    options = parser.parse_args()
    folder = options.out or (_RESULTS / "quick" if options.quick else _RESULTS)
    parts = options.parts or list(_PARTS)
    machine = describe_machine()
    print(" · ".join(f"{name.replace('_', ' ')} {value}" for name, value in machine.items() if name != "versions"))
    bounds: list[Bound] = []
    for name in parts:
        started = time.monotonic()
        part = _PARTS[name]
        results = part.measure(quick=options.quick)
        if "skipped" in results:
            print(f"\n{name}: skipped. {results['skipped']}")
            continue
        part.show(results)
        bounds += part.bounds(results)
        write_json(folder / f"{name}.json", {"machine": machine, "quick": options.quick, **results})
        part.plot(results, folder)
        print(f"  ({name}: {time.monotonic() - started:.0f} s)", file=sys.stderr)
    print("\nBounds")
    for bound in bounds:
        print(f"  {bound}")


if __name__ == "__main__":
    main()
