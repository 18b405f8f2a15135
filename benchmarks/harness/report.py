"""What a benchmark leaves behind: bounds that hold or not, JSON, and words on the machine (no names, no paths)."""

import json
import os
import platform
import statistics
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

_LIBRARIES = ("tertium", "numpy", "numba", "grpcio", "protobuf", "uvloop")


@dataclass(frozen=True, slots=True)
class Bound:
    """A figure beside what it should be."""

    name: str
    value: float
    limit: float
    unit: str
    at_least: bool = False
    """The limit is a lower one."""

    @property
    def holds(self) -> bool:
        """Whether the figure keeps to its limit."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def __str__(self) -> str:
        sign = ">=" if self.at_least else "<="
        return f"{'holds ' if self.holds else 'FAILS '} {self.name}: {self.value:.3g} {self.unit} (bound {sign} {self.limit:g})"


def describe_machine() -> dict[str, object]:
    """The machine in words."""
    processor = platform.processor() or platform.machine()
    memory = 0
    if sys.platform == "linux":
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        processor = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), processor)
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": processor,
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**30, 1),
        "system": f"{platform.system()} {platform.release().split('-')[0]} {platform.machine()}",
        "python": platform.python_version(),
        "load_average_at_start": [round(load, 1) for load in os.getloadavg()],
        "versions": {name: version(name) for name in _LIBRARIES},
    }


def write_json(path: Path, content: object) -> None:
    """Writes a result."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that ``share`` of all values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def median(values: Iterable[float]) -> float:
    """The median."""
    return float(statistics.median(values))


def print_table(title: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Prints a table, numbers with three digits."""
    texts = [list(head), *([_text(cell) for cell in row] for row in rows)]
    widths = [max(len(row[place]) for row in texts) for place in range(len(head))]
    print(f"\n{title}")
    for row in texts:
        print("  " + "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))


def _text(cell: object) -> str:
    if not isinstance(cell, float):
        return str(cell)
    return f"{cell:,.0f}" if abs(cell) >= 1000 else f"{cell:.3g}"  # noqa: PLR2004 - from there on the point says nothing
