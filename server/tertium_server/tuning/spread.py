"""Work over the cores of this machine, or over a cluster that joblib knows. Results come in the order of the tasks, whoever is faster."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeVar

from joblib import Parallel, cpu_count, delayed, parallel_config

from tertium_server.errors import TertiumError

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")

_WITH_GENERATORS = frozenset({"loky", "threading"})
"""Backends that give results as they come; others give all at the end."""


DASK_SCHEDULER = "DASK_SCHEDULER_ADDRESS"
"""The environment variable by which Dask's own programs find their cluster."""

_REMEDIES = {
    "dask": f"pip install dask distributed, and set {DASK_SCHEDULER} or make a distributed.Client",
    "ray": "pip install 'ray[default]'",
}


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
        if self.backend in _WITH_GENERATORS:
            parallel: Any = Parallel(n_jobs=jobs, backend=self.backend, return_as="generator")
            yield from parallel(delayed(function)(task) for task in tasks)
            return
        with self._configured(max(jobs, 1)):
            results: Any = Parallel()(delayed(function)(task) for task in tasks)
        yield from results

    def _configured(self, jobs: int) -> parallel_config:
        """Joblib set to this backend: those of other packages it knows only by its context."""
        options: dict[str, Any] = {}
        address = os.environ.get(DASK_SCHEDULER)
        if self.backend == "dask" and address:
            options["scheduler_host"] = address
        try:
            if self.backend == "ray":
                import_module("ray.util.joblib").register_ray()
            return parallel_config(backend=self.backend, n_jobs=jobs, **options)
        except (ValueError, ImportError) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            remedy = _REMEDIES.get(self.backend, "use loky, or register it with joblib")
            raise BackendError(f"--backend {self.backend}: joblib can't use it ({reason}); {remedy}") from error


def all_cores() -> int:
    """Cores that this process may use."""
    return int(cpu_count())
