"""Work over the cores of this machine, or over a cluster that joblib knows. Results come in the order of the tasks, whoever is faster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from joblib import Parallel, cpu_count, delayed

from tertium_server.errors import TertiumError

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")

_WITH_GENERATORS = frozenset({"loky", "threading"})
"""Backends that give results as they come; others give all at the end."""


class BackendError(TertiumError):
    """joblib has no such backend. The message names it."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Where work is done."""

    jobs: int = 1
    """Tasks at a time, at least 1. Results are the same whatever their number."""

    backend: str = "loky"
    """joblib's name of who does it: loky (processes), threading, or what is registered, such as dask or ray."""

    def over(self, function: Callable[[_Task], _Result], tasks: Iterable[_Task]) -> Iterator[_Result]:
        """The result of each task, in order.

        Raises:
            BackendError: joblib knows no such backend.
        """
        tasks = list(tasks)
        jobs = min(self.jobs, len(tasks))
        if jobs <= 1 and self.backend in _WITH_GENERATORS:
            yield from map(function, tasks)
            return
        return_as = "generator" if self.backend in _WITH_GENERATORS else "list"
        try:
            parallel: Any = Parallel(n_jobs=max(jobs, 1), backend=self.backend, return_as=return_as)
        except (ValueError, ImportError) as error:
            raise BackendError(
                f"--backend {self.backend}: joblib can't use it ({error}); use loky, or install and register it"
            ) from error
        yield from parallel(delayed(function)(task) for task in tasks)


def all_cores() -> int:
    """Cores that this process may use."""
    return int(cpu_count())
