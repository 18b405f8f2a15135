"""The user's own figures: ``--metric module:function``.

The function is called as ``function(judged)``. ``judged`` is a tuple of `judged.Judged`, one for each sequence: ``labelled.sequence`` (boxes,
scores, frames, class ids), ``labelled.truth``, ``decisions`` (track ids, probabilities, verdicts) and ``matches`` (labels: 1 true, 0 false, -1
dropped; the row of truth and the IoU each is paired with). It returns a number, or a dict of numbers by name. None and NaN mean that there is
nothing to measure.
"""

from __future__ import annotations

import importlib
import math
import numbers
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tertium_server.errors import TertiumError

from .judged import Judged


class MetricError(TertiumError):
    """A metric can't be used. The message names the module and the function, what is wrong, and the remedy."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"--metric {name}: {problem}")
        self.name = name
        self.problem = problem

    def __reduce__(self) -> tuple[type[MetricError], tuple[str, str]]:
        return type(self), (self.name, self.problem)


@dataclass(frozen=True, slots=True)
class Metric:
    """A function of the user's."""

    name: str
    """As it was asked for: "module:function"."""

    function: Callable[[tuple[Judged, ...]], Any]

    def of(self, judged: Sequence[Judged]) -> dict[str, float | None]:
        """What it says of these sequences, by name; a single number goes by "value".

        Raises:
            MetricError: it failed, or gave something that is no number.
        """
        try:
            found = self.function(tuple(judged))
        except Exception as error:
            raise MetricError(self.name, f"the function failed: {type(error).__name__}: {error}") from error
        values = found if isinstance(found, Mapping) else {"value": found}
        return {str(name): self._number(str(name), value) for name, value in values.items()}

    def _number(self, name: str, value: object) -> float | None:
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise MetricError(self.name, f"{name} is {value!r}; return a number, or a dict of numbers by name")
        number = float(value)
        return None if math.isnan(number) else self._finite(name, number)

    def _finite(self, name: str, number: float) -> float:
        if math.isinf(number):
            raise MetricError(self.name, f"{name} is infinite; return None where there is nothing to measure")
        return number


def find_metric(name: str) -> Metric:
    """The function that "module:function" names. Modules in the working folder are found, too.

    Raises:
        MetricError: there is no such module or function.
    """
    module_name, _, path = name.partition(":")
    if not module_name or not path:
        raise MetricError(name, "write it as module:function")
    found: Any = _module(name, module_name)
    for step in path.split("."):
        if not hasattr(found, step):
            raise MetricError(name, f"module {module_name} has no {path}")
        found = getattr(found, step)
    if not callable(found):
        raise MetricError(name, f"{path} of module {module_name} is no function")
    return Metric(name, found)


def _module(name: str, module_name: str) -> object:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)  # last: it must not hide what is installed
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and (module_name == error.name or module_name.startswith(f"{error.name}.")):
            problem = f"there is no module {module_name}; run where {module_name.partition('.')[0]} can be imported"
            raise MetricError(name, problem) from error
        raise MetricError(name, f"module {module_name} needs {error.name}, which is not installed") from error
    except Exception as error:
        raise MetricError(name, f"module {module_name} fails on import: {type(error).__name__}: {error}") from error
