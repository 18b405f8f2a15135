"""The book as lines: for tables and documents."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

from tertium_server.quality.book import Book
from tertium_server.quality.values import ALL, Estimate, Stratum, Window


@dataclass(frozen=True, slots=True)
class Line:
    """Precision and recall of a class, window and method."""

    class_name: str
    window: str
    method: str
    precision: Estimate
    recall: Estimate


@dataclass(frozen=True, slots=True)
class StratumLine:
    """Tracks of a stratum, and what people said of some."""

    class_name: str
    window: str
    stratum: str
    population: int
    yes: int
    no: int
    cannot_tell: int
    coverage: float
    """Tracks that answers stand for over tracks decided; NaN without any."""


@dataclass(frozen=True, slots=True)
class Report:
    """All of it, as of one moment."""

    made_at: int
    """Microseconds since the Unix epoch."""
    lines: tuple[Line, ...]
    strata: tuple[StratumLine, ...]

    def of(self, class_name: str = "", window: str = "") -> Report:
        """The part about a class or a window; empty: every one."""
        return Report(
            self.made_at,
            tuple(
                line for line in self.lines
                if class_name in {"", line.class_name} and window in {"", line.window}
            ),
            tuple(
                line for line in self.strata
                if class_name in {"", line.class_name} and window in {"", line.window}
            ),
        )  # fmt: skip

    def to_json(self) -> dict[str, object]:
        """A document; what is not a number is null."""
        return {
            "made_at_micros": self.made_at,
            "estimates": [_without_nan(asdict(line)) for line in self.lines],
            "strata": [_without_nan(asdict(line)) for line in self.strata],
        }


def report_of(book: Book) -> Report:
    """The book as lines: by class (ALL first), window and method."""
    windows = list(Window)
    lines = [
        Line(name, window.value, method.value, made.precision, made.recall)
        for (name, window, method), made in sorted(
            book.estimates.items(), key=lambda item: (item[0][0] != ALL, item[0][0], windows.index(item[0][1]))
        )
    ]
    strata = [
        StratumLine(
            name,
            window.value,
            stratum.value,
            reviews.population,
            reviews.yes.count,
            reviews.no.count,
            reviews.cannot_tell.count,
            reviews.coverage,
        )
        for (name, window), tally in sorted(
            book.tallies.items(), key=lambda item: (item[0][0] != ALL, item[0][0], windows.index(item[0][1]))
        )
        for stratum in Stratum
        for reviews in (tally.of(stratum),)
    ]
    return Report(book.made_at, tuple(lines), tuple(strata))


def _without_nan(content: dict[str, object]) -> dict[str, object]:
    return {
        key: _without_nan(value) if isinstance(value, dict)  # pyright: ignore[reportUnknownArgumentType]
        else None if isinstance(value, float) and math.isnan(value)
        else value
        for key, value in content.items()
    }  # fmt: skip
