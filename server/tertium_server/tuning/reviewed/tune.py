"""From answers to a policy: the track read-out put right, and the two thresholds of tracks chosen, both by weighted answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from tertium_server.policy import Policy
from tertium_server.tuning.objectives import Budget, Objective, Targets
from tertium_server.tuning.policy_names import check_names
from tertium_server.tuning.readers import Sequence as Recorded

from .cases import Cell, Reviews, ReviewsError
from .finding import Footage, find_tracks
from .scoring import TrackScores, scores_as_decided, scores_by_replay
from .weighing import weigh
from .work import ReviewTuneOptions, ReviewTuning, Told, Work

Runs = Iterable[tuple[str, int, Recorded]]
"""Recordings, each with its stream and epoch."""


def tune_on_reviews(
    reviews: Reviews,
    start: Policy,
    runs: Runs | None = None,
    options: ReviewTuneOptions = ReviewTuneOptions(),  # noqa: B008  # frozen
    told: Told = lambda _what, _done, _all: None,
) -> ReviewTuning:
    """Tunes the track read-outs and thresholds of ``start`` on answers.

    With ``runs`` (recordings) the engine is replayed by the new policy, and answers without a recording are left out. Without, tracks have the
    probability they were decided with, and those that another policy than ``start`` decided are left out.

    Raises:
        PolicyNameError: No policy can be called so.
        ReviewsError: No answer is left, or the objective needs more than answers can tell.
        ReplayError: The engine refused a frame of a recording.
    """
    check_names(options.name)
    _check(options.objective, has_runs=runs is not None)
    work = _of_recordings(reviews, start, runs, told) if runs is not None else _as_decided(reviews, start)
    told("thresholds", 1, 2)
    return work.finish(options, told)


def _check(objective: Objective, *, has_runs: bool) -> None:
    if isinstance(objective, Targets) and objective.confidence is not None:
        raise ReviewsError("--objective: a confidence can't be promised from weighted answers; leave it out")
    if isinstance(objective, Budget) and objective.cases_per_hour is not None and not has_runs:
        raise ReviewsError("--objective: cases_per_hour needs recordings, for their length; take budget:share=…")


def _as_decided(reviews: Reviews, start: Policy) -> Work:
    """Answers on tracks that this very policy decided."""
    print_ = start.sha256[:12]
    own = [track for track in reviews.tracks if track.policy_version.endswith(f"-{print_}")]
    population = _cells(reviews.population, lambda cell: cell.policy_version.endswith(f"-{print_}"))
    if not own:
        others = ", ".join(sorted({track.policy_version for track in reviews.tracks})) or "none"
        raise ReviewsError(
            f"--reviews {reviews.source}: no answer is on a track that the policy {start.version} decided (those that did: {others}); "
            "give that policy with --policy, or recordings to replay"
        )
    doubts = _left_out(
        len(reviews.tracks) - len(own), "were decided by other policies, whose probabilities are on another scale"
    )
    return Work(start, tuple(own), weigh(own, population), scores_as_decided(own), None, 0.0, doubts)  # fmt: skip


def _of_recordings(reviews: Reviews, start: Policy, runs: Runs, told: Told) -> Work:
    """Answers on tracks whose recordings are there, scored by a replay."""
    known = list(runs)
    footage, missing = find_tracks(known, reviews.tracks)
    total = len(footage)
    scores = scores_by_replay(
        footage, start, len(reviews.tracks), lambda done: told("replay by the policy as it is", done, total)
    )
    there = ~np.isnan(scores.highest)
    if not there.any():
        raise ReviewsError(
            f"--reviews {reviews.source}: none of {len(reviews.tracks)} answered tracks is in these recordings; "
            "give the folder that the same server wrote with --record"
        )
    kept = np.flatnonzero(there)
    tracks = tuple(reviews.tracks[place] for place in kept.tolist())
    held = {(stream, epoch) for stream, epoch, _ in known}
    population = _cells(reviews.population, lambda cell: (cell.stream_id, cell.epoch) in held)
    doubts = _left_out(len(missing), "are not in the recordings")
    doubts += _left_out(len(reviews.tracks) - len(missing) - len(kept), "are no one track of the replay")
    footage = _renumbered(footage, {old: new for new, old in enumerate(kept.tolist())})

    def again(policy: Policy) -> TrackScores:
        return scores_by_replay(
            footage, policy, len(tracks), lambda done: told("replay by the new policy", done, total)
        )

    return Work(start, tracks, weigh(tracks, population), scores.of(kept), again, _hours(known), doubts)


def _renumbered(footage: Sequence[Footage], numbers: Mapping[int, int]) -> list[Footage]:
    """The same with other numbers of tracks, without those that have none."""
    kept = []
    for one in footage:
        pairs = [(numbers[case], rows) for case, rows in zip(one.cases, one.detections, strict=True) if case in numbers]
        kept.append(replace(one, cases=tuple(case for case, _ in pairs), detections=tuple(rows for _, rows in pairs)))
    return kept


def _hours(runs: Iterable[tuple[str, int, Recorded]]) -> float:
    return sum(sequence.seconds for _, _, sequence in runs) / 3600.0


def _cells(population: Mapping[Cell, int] | None, wanted: Callable[[Cell], bool]) -> Mapping[Cell, int] | None:
    if population is None:
        return None
    return MappingProxyType({cell: count for cell, count in population.items() if wanted(cell)})


def _left_out(count: int, why: str) -> tuple[str, ...]:
    return (f"{count} answered tracks {why}; they are left out",) if count else ()
