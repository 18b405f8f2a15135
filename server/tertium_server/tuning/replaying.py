"""Replays of many sequences: side by side, from the cache where they were done before, each failure by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tertium_server.policy import Policy

from .cache import ReplayCache, key_of
from .decisions import Decisions, ReplayError
from .readers import Labelled
from .replay import ReplayOptions, replay
from .spread import Spread

_COLUMNS = ("track_ids", "probabilities", "verdicts", "track_probabilities", "track_verdicts")


@dataclass(frozen=True, slots=True)
class Replays:
    """What came of replaying some sequences."""

    decisions: tuple[Decisions, ...]
    """Those of each sequence that the engine took, in order."""

    failed: dict[str, str]
    """Why the others could not be, by name."""


def replay_all(
    labelled: Sequence[Labelled],
    policy: Policy,
    options: ReplayOptions,
    *,
    spread: Spread | None = None,
    cache: ReplayCache | None = None,
    told: Callable[[int], None] = lambda _: None,
) -> Replays:
    """Judges every detection of every sequence. ``told`` hears how many sequences are done. The same wherever the work is done."""
    found: dict[int, Decisions] = {}
    tasks: list[tuple[int, Labelled, str | None]] = []
    settings = {"policy": policy.sha256, "client_tracks": options.client_tracks}
    for index, one in enumerate(labelled):
        key = None if cache is None else key_of("replay", [one], settings)
        kept = cache.get(key) if cache is not None and key is not None else None
        if kept is None:
            tasks.append((index, one, key))
        else:
            found[index] = _unpack(one, kept, policy.version)
    failed: dict[str, str] = {}
    told(len(found))
    answers = (spread or Spread()).over(partial(_replay_one, policy, options, cache), tasks)
    for (index, one, _), answer in zip(tasks, answers, strict=True):
        if isinstance(answer, ReplayError):
            failed[one.name] = answer.problem
        else:
            found[index] = _unpack(one, answer, policy.version)
        told(len(found) + len(failed))
    return Replays(tuple(found[index] for index in sorted(found)), failed)


def _replay_one(
    policy: Policy, options: ReplayOptions, cache: ReplayCache | None, task: tuple[int, Labelled, str | None]
) -> dict[str, NDArray[Any]] | ReplayError:
    _, one, key = task
    try:
        decisions = replay(one.sequence, policy, options)
    except ReplayError as error:
        return error
    arrays = {name: np.asarray(getattr(decisions, name)) for name in _COLUMNS} | {"resets": np.array(decisions.resets)}
    if cache is not None and key is not None:
        cache.put(key, arrays)
    return arrays


def _unpack(one: Labelled, arrays: dict[str, NDArray[Any]], version: str) -> Decisions:
    track_ids, probabilities, verdicts, track_probabilities, track_verdicts = (arrays[name] for name in _COLUMNS)
    return Decisions(
        one.sequence,
        track_ids,
        probabilities,
        verdicts,
        track_probabilities,
        track_verdicts,
        version,
        int(arrays["resets"]),
    )
