"""What two thresholds are chosen for, and how people write it.

- ``f1``: the best single threshold, and a band of MAYBE around it of 5 % of the cases. ``f1:share=.1`` takes another share,
  ``f1:precision=.95,recall=.95`` the band that these targets take.
- ``targets:precision=.95,recall=.95``: YES is right this often, and no more objects than this leaves are missed or called NO; as few MAYBE
  as that allows. ``kept=.99`` in place of ``recall`` speaks of the right detections only, not of objects that the detector never saw.
  ``confidence=.9`` promises it for fresh data: it is broken in one of ten tunings at most.
- ``cost:fp=5,fn=20,review=1``: the least cost of a false YES, a missed object, and a case that people see.
- ``budget:share=.05`` or ``budget:cases_per_hour=40``: the best F1 that people and machine reach together when people see this many cases
  and answer them rightly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType

from tertium_server.errors import TertiumError

DEFAULT_SHARE = 0.05
"""Of the cases that people see, where nothing else is asked for."""


class ObjectiveError(TertiumError):
    """An objective that makes no sense. The message quotes it and names the part at fault."""

    def __init__(self, text: str, problem: str) -> None:
        super().__init__(f"objective {text!r}: {problem}")
        self.text = text
        self.problem = problem

    def __reduce__(self) -> tuple[type[ObjectiveError], tuple[str, str]]:
        return type(self), (self.text, self.problem)


@dataclass(frozen=True, slots=True, kw_only=True)
class F1:
    """The best single threshold, and a band around it."""

    share: float | None = None
    """Cases that people see, as a share of all; None: as the targets have it, or DEFAULT_SHARE where there are none."""

    precision: float | None = None
    """Of YES, at least; the band reaches up to it."""

    recall: float | None = None
    """Of YES and MAYBE, at least; the band reaches down to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """What YES, and YES and MAYBE together, have to reach. At least one of the first three is given."""

    precision: float | None = None
    """Of YES, at least."""

    recall: float | None = None
    """Of YES and MAYBE: the share of the objects found, at least."""

    kept: float | None = None
    """Of YES and MAYBE: the share of the right detections, at least. Not with recall."""

    confidence: float | None = None
    """How sure it is that fresh data keep to it; None: the data at hand do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What mistakes and people cost, in any one currency."""

    fp: float
    """Of a false YES."""

    fn: float
    """Of an object that is missed."""

    review: float
    """Of a case that people see."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How much people can see. Just one is given."""

    share: float | None = None
    """Of the cases."""

    cases_per_hour: float | None = None
    """Cases an hour of recording."""


Objective = F1 | Targets | Cost | Budget


def parse_objective(text: str) -> Objective:
    """The objective that people wrote.

    Raises:
        ObjectiveError: it makes no sense; the part at fault is named.
    """
    name, _, rest = text.strip().partition(":")
    if name not in _KINDS:
        raise ObjectiveError(text, f"there is no {name!r}; choose one of {', '.join(_KINDS)}")
    kind, check = _KINDS[name]
    ranges = _RANGES[name]
    values: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in rest.split(","))):
        key, _, written = (piece.strip() for piece in part.partition("="))
        if key not in ranges:
            raise ObjectiveError(text, f"{name} takes no {key!r}; it takes {', '.join(ranges)}")
        if key in values:
            raise ObjectiveError(text, f"{key} is there twice")
        values[key] = _number(text, key, written, ranges[key])
    problem = check(values)
    if problem:
        raise ObjectiveError(text, problem)
    return kind(**values)


def write_objective(objective: Objective) -> str:
    """The objective as people write it; reads as what it was made from."""
    name = next(name for name, (kind, _) in _KINDS.items() if kind is type(objective))
    given = {field.name: getattr(objective, field.name) for field in fields(objective)}
    parts = ",".join(f"{key}={value!r}" for key, value in given.items() if value is not None)
    return f"{name}:{parts}" if parts else name


@dataclass(frozen=True, slots=True)
class _Range:
    lowest: float
    highest: float
    open_below: bool = False
    open_above: bool = False

    def __contains__(self, value: float) -> bool:
        below = value > self.lowest if self.open_below else value >= self.lowest
        above = value < self.highest if self.open_above else value <= self.highest
        return below and above

    def __str__(self) -> str:
        low = f"over {self.lowest:g}" if self.open_below else f"{self.lowest:g} or more"
        high = f"under {self.highest:g}" if self.open_above else f"{self.highest:g} at most"
        return low if self.highest == float("inf") else f"{low} and {high}"


_ANY_SHARE = _Range(0.0, 1.0)
_TARGET = _Range(0.0, 1.0, open_below=True)
_COST = _Range(0.0, float("inf"), open_above=True)

_RANGES: Mapping[str, Mapping[str, _Range]] = MappingProxyType(
    {
        "f1": {"share": _ANY_SHARE, "precision": _TARGET, "recall": _TARGET},
        "targets": {
            "precision": _TARGET,
            "recall": _TARGET,
            "kept": _TARGET,
            "confidence": _Range(0.5, 1.0, open_above=True),
        },
        "cost": {"fp": _COST, "fn": _COST, "review": _COST},
        "budget": {"share": _ANY_SHARE, "cases_per_hour": _COST},
    }
)


def _number(text: str, key: str, written: str, allowed: _Range) -> float:
    try:
        value = float(written)
    except ValueError:
        raise ObjectiveError(text, f"{key} is {written!r}, which is no number") from None
    if value not in allowed:
        raise ObjectiveError(text, f"{key} is {written}; it has to be {allowed}")
    return value


def _check_f1(values: Mapping[str, float]) -> str:
    both = "share" in values and ("precision" in values or "recall" in values)
    return "the band follows from a share or from targets, not from both" if both else ""


def _check_targets(values: Mapping[str, float]) -> str:
    if not values.keys() & {"precision", "recall", "kept"}:
        return "name a target: precision, recall or kept"
    return "recall and kept say the same of different things: choose one" if {"recall", "kept"} <= values.keys() else ""


def _check_cost(values: Mapping[str, float]) -> str:
    missing = [name for name in ("fp", "fn", "review") if name not in values]
    return f"{missing[0]} is missing; it takes fp, fn and review" if missing else ""


def _check_budget(values: Mapping[str, float]) -> str:
    return "" if len(values) == 1 else "name one of share and cases_per_hour"


_KINDS: Mapping[str, tuple[Callable[..., Objective], Callable[[Mapping[str, float]], str]]] = MappingProxyType(
    {
        "f1": (F1, _check_f1),
        "targets": (Targets, _check_targets),
        "cost": (Cost, _check_cost),
        "budget": (Budget, _check_budget),
    }
)
