"""The work on answered tracks that have weights and scores: fit, choose, measure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tertium_server.policy import Policy
from tertium_server.policy.values import Thresholds
from tertium_server.tuning.limits import Limits
from tertium_server.tuning.objectives import F1, Objective, write_objective

from .calibrating import LEAST_OF_A_KIND, Calibrated, Shift, calibrate, with_shifts
from .cases import ReviewedTrack
from .choosing import Question, choose_pair
from .measuring import Sample, figures, folds_of, judged
from .scoring import TrackScores
from .weighing import Weighted

FOLDS = 5

Told = Callable[[str, int, int], None]
"""Hears what is being done, and how many of how many steps are done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewTuneOptions:
    """How a policy is tuned on answers."""

    objective: Objective = field(default_factory=F1)
    limits: Limits = field(default_factory=Limits)
    seed: int = 0
    """Of the resamples behind intervals."""
    name: str = "tuned"
    """The policy's name."""


@dataclass(frozen=True, slots=True, eq=False)
class ReviewTuning:
    """What tuning on answers came to."""

    policy: Policy
    summary: dict[str, Any]
    """Figures under plain names, unrounded; ready for JSON."""


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """Answered tracks with weights and scores."""

    start: Policy
    tracks: tuple[ReviewedTrack, ...]
    weighted: Weighted
    scores: TrackScores
    again: Callable[[Policy], TrackScores] | None
    """Scores by another policy; None: they can only be moved."""
    hours: float
    doubts: tuple[str, ...]

    def finish(self, options: ReviewTuneOptions, told: Told) -> ReviewTuning:
        """Fits, chooses and measures, class by class."""
        names = sorted({track.class_name for track in self.tracks})
        folds = folds_of([one.stream_id for one in self.tracks], [one.case_id for one in self.tracks], FOLDS)
        calibrated = {
            name: calibrate(self.scores, self._of_class(name), self._real(), self.weighted.weights, folds)
            for name in names
        }
        moved = with_shifts(self.start, {name: one.shift for name, one in calibrated.items()})
        scores = self._scores_by(moved, calibrated)
        tree = moved.model_dump(mode="json")
        classes: dict[str, Any] = {}
        warnings = [*self.doubts, *self.weighted.warnings]
        for name in names:
            pair, doubts = self._choose(name, scores, self._of_class(name), calibrated[name].shift, options)
            warnings += [f"{name}: {text}" for text in doubts]
            if pair is not None:
                tree["classes"][name]["track"]["thresholds"] |= pair.model_dump(mode="json")
            thresholds = pair or self._pair(name)
            classes[name] = self._describe(name, calibrated[name], scores, thresholds, folds, options)
        told("done", 2, 2)
        return self._tuning(tree, classes, warnings, options)

    def _scores_by(self, policy: Policy, calibrated: Mapping[str, Calibrated]) -> NDArray[np.float32]:
        """(T,) highest probabilities by the changed policy."""
        if all(one.shift == Shift() for one in calibrated.values()):
            return self.scores.highest
        if self.again is None:
            return self._moved({name: one.shift for name, one in calibrated.items()})
        return self.again(policy).highest

    def _moved(self, shifts: Mapping[str, Shift]) -> NDArray[np.float32]:
        """(T,) highest probabilities, each after the change of its class."""
        moved = self.scores.highest.copy()
        for name, shift in shifts.items():
            if shift != Shift():
                moved[self._of_class(name)] = shift.of(moved[self._of_class(name)])
        return moved

    def _choose(
        self,
        name: str,
        scores: NDArray[np.float32],
        chosen: NDArray[np.bool_],
        shift: Shift,
        options: ReviewTuneOptions,
    ) -> tuple[Thresholds | None, tuple[str, ...]]:
        """Thresholds of a class by some of its tracks."""
        kept = np.flatnonzero(chosen & ~np.isnan(scores))
        real = int(np.count_nonzero(self._real()[kept]))
        if min(real, len(kept) - real) < LEAST_OF_A_KIND:
            told = f"{real} answers yes and {len(kept) - real} no; thresholds stay with fewer than {LEAST_OF_A_KIND} of each"
            return None, (told,)
        before = self._pair(name).no
        if self._hears_of_dismissed(kept, before):
            before = 0.0
        question = Question(
            objective=options.objective,
            limits=options.limits,
            hours=self.hours,
            floor=before if shift == Shift() or not before else shift.of_one(before),
        )
        tracks = [self.tracks[place] for place in kept.tolist()]
        return choose_pair(tracks, scores[kept], self.weighted.weights[kept], question)

    def _hears_of_dismissed(self, places: NDArray[np.int64], no: float) -> bool:
        """Whether tracks that never left NO are among these: then people were asked about such, too, and lower thresholds can be judged."""
        never = self.scores.highest[places] < np.float32(no)
        said_no = np.array([self.tracks[place].stratum == "auto_no" for place in places.tolist()], np.bool_)
        return self.again is not None and int(np.count_nonzero(never & said_no)) >= LEAST_OF_A_KIND

    def _describe(
        self,
        name: str,
        calibrated: Calibrated,
        scores: NDArray[np.float32],
        thresholds: Thresholds,
        folds: NDArray[np.int64],
        options: ReviewTuneOptions,
    ) -> dict[str, Any]:
        """What a class has now, and what that does, beside what it had."""
        own = self._of_class(name)
        sample, before = self._sample().part(own), self._pair(name)
        losses = calibrated.losses or (None, None)
        return {
            "calibration": {
                "offset": calibrated.shift.offset,
                "gain": calibrated.shift.gain,
                "log_loss_held_out": {"as_it_was": losses[0], "changed": losses[1]},
            },
            "thresholds": thresholds.model_dump(mode="json"),
            "as_it_was": {
                "thresholds": before.model_dump(mode="json"),
                **figures(sample, judged(self.scores.highest[own], before), options.seed),
            },
            "all_data": figures(sample, judged(scores[own], thresholds), options.seed),
            "held_out": self._held_out(name, calibrated, folds, options),
        }

    def _held_out(
        self, name: str, calibrated: Calibrated, folds: NDArray[np.int64], options: ReviewTuneOptions
    ) -> dict[str, Any] | None:
        """Figures of tracks by thresholds that were chosen without their fold; None: a fold can't be done without."""
        own, verdicts = self._of_class(name), np.zeros(len(self.tracks), np.int64)
        for fold, shift in enumerate(calibrated.by_fold):
            scores = self._moved({name: shift})
            pair, _ = self._choose(name, scores, own & (folds != fold), shift, options)
            if pair is None:
                return None
            verdicts[folds == fold] = judged(scores[folds == fold], pair)
        return figures(self._sample().part(own), verdicts[own], options.seed)

    def _tuning(
        self, tree: dict[str, Any], classes: dict[str, Any], warnings: list[str], options: ReviewTuneOptions
    ) -> ReviewTuning:
        summary: dict[str, Any] = {
            "objective": write_objective(options.objective),
            "limits": options.limits.as_json(),
            "answers": len(self.tracks),
            "streams": sorted({track.stream_id for track in self.tracks}),
            "replayed": self.again is not None,
            "started_from": self.start.version,
            "classes": classes,
            "warnings": warnings,
        }
        told = ("objective", "limits", "answers", "replayed", "started_from", "classes")
        made = {
            "made_by": f"tertium tune --reviews {version('tertium')}",
            "date": datetime.now(UTC).date().isoformat(),
            **{key: summary[key] for key in told},
        }
        policy = Policy.model_validate({**tree, "name": options.name, "provenance": made})
        return ReviewTuning(policy, {"policy": {"name": policy.name, "version": policy.version}, **summary})

    def _pair(self, name: str) -> Thresholds:
        """What a class has."""
        pair = self.start.judgement(name).track.thresholds
        return Thresholds(yes=pair.yes, no=pair.no)

    def _real(self) -> NDArray[np.bool_]:
        return np.array([track.is_real for track in self.tracks], np.bool_)

    def _of_class(self, name: str) -> NDArray[np.bool_]:
        return np.array([track.class_name == name for track in self.tracks], np.bool_)

    def _sample(self) -> Sample:
        strata = np.unique([track.stratum for track in self.tracks], return_inverse=True)[1].reshape(-1)
        return Sample(self._real(), self.weighted.weights, strata.astype(np.int64))
