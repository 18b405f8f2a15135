"""The Policy value: everything that turns detections into verdicts.

A policy is immutable. ``defaults`` hold for every class; ``classes`` override any of them by class name. Probabilities lie between 0 and 1,
evidence is in log-odds, times in seconds.
"""

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

Probability = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(ge=1e-9, le=1e6)]
"""Not so small that its square is nothing: the engine divides by it."""
NotNegative = Annotated[float, Field(ge=0.0, le=1e6)]
LogOdds = Annotated[float, Field(ge=-50.0, le=50.0)]
Weight = Annotated[float, Field(ge=-100.0, le=100.0)]
RisingWeight = Annotated[float, Field(ge=0.0, le=100.0)]


class _Value(BaseModel):
    # Strict: true is no 1, and "0.5" no 0.5.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)


class Scores(_Value):
    """How a detector's scores are put on a calibrated log-odds scale: z = offset + gain · logit(score), within ± clip."""

    offset: LogOdds = 0.0
    gain: Positive = 1.0
    clip: Positive = 7.0


class Birth(_Value):
    """The level of a track before its first detection: well below zero, for most one-frame tracks are clutter."""

    mean: LogOdds
    variance: Positive


class Miss(_Value):
    """What the absence of a track measures, that should have been seen."""

    value: LogOdds
    noise: Positive


class Evidence(_Value):
    """The two Kalman-filtered levels of a track."""

    birth: Birth
    miss: Miss
    fast_drift: NotNegative
    """Growth of the fast level's variance a second."""
    slow_drift: NotNegative
    """Growth of the slow level's variance a second."""
    noise: Positive = 1.0
    """Variance of one measurement; 1 fixes the scale of all others."""
    correlation_time: NotNegative
    """Seconds over which a detector repeats its errors."""


class BoxWeights(_Value):
    """Read-out of "is this box right, here, now?". Not falling in score and levels."""

    constant: Weight
    score: RisingWeight
    fast: RisingWeight
    slow: RisingWeight
    hits: Weight
    """Of the logarithm of the number of detections."""
    fit: Weight
    """Of the normalized innovation squared by degree of freedom, at most 4."""
    overlap: Weight
    """Of the IoU with the best better box of the class."""


class TrackWeights(_Value):
    """Read-out of "is this track a real object?"."""

    constant: Weight
    slow: RisingWeight
    fast: RisingWeight
    spread: Weight
    """Of the slow level's standard deviation."""
    hits: Weight
    """Of the logarithm of the number of detections."""
    misses: Weight
    """Of log(1 + misses in a row)."""


class Thresholds(_Value):
    """Two thresholds on a probability: YES from ``yes`` on, NO under ``no``, MAYBE between."""

    yes: Probability
    no: Probability

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.no > self.yes:
            raise ValueError(f"no ({self.no:g}) lies over yes ({self.yes:g}): lower no or raise yes")
        return self


class TrackThresholds(Thresholds):
    """Thresholds with hysteresis: a verdict falls only ``margin`` under its threshold, or after ``hold`` seconds under it."""

    margin: Probability
    hold: NotNegative


class BoxJudgement(_Value):
    """How boxes are judged."""

    weights: BoxWeights
    thresholds: Thresholds


class TrackJudgement(_Value):
    """How tracks are judged."""

    weights: TrackWeights
    thresholds: TrackThresholds


class Judgement(_Value):
    """All that a class is judged by."""

    scores: Scores
    evidence: Evidence
    box: BoxJudgement
    track: TrackJudgement


class Motion(_Value):
    """The box filter. Noise is in sizes of the box (the square root of its area)."""

    measurement_noise: Positive
    """Standard deviation of an observed centre or size."""
    acceleration: NotNegative
    """White-noise acceleration of the centre, sizes by second^1.5."""
    size_acceleration: NotNegative
    """White-noise acceleration of the size, sizes by second^1.5."""
    initial_speed: Positive
    """Standard deviation of a new track's speed, sizes a second."""


class Association(_Value):
    """Which detections may belong to which tracks."""

    established: Probability
    """Track probability from which a track is established: matched before candidates, and kept longer without detections."""
    high: Probability
    """Calibrated score from which a detection is confident: matched first."""
    gate_high: Probability
    """Least IoU of a confident detection with an established track."""
    gate_low: Probability
    """Least IoU of a low detection with an established track."""
    gate_candidate: Probability
    """Least IoU of a detection with a candidate."""
    buffer: Annotated[float, Field(ge=0.0, le=2.0)]
    """Boxes are grown by this share of their size on each side before they are compared."""
    class_aware: bool = True
    """Only detections of a track's class may join it."""


class Lifetime(_Value):
    """When tracks end and streams start over."""

    coast: Positive
    """Seconds an established track lives without a detection."""
    candidate_coast: Positive
    """Seconds a candidate lives without a detection."""
    hidden_cover: Probability
    """A track this much covered by a nearer one is hidden: its absence is no evidence."""
    inside: Probability
    """A track less than this much inside the picture is leaving: its absence is no evidence."""
    max_gap: Positive
    """Seconds between frames after which a stream starts over."""


class Tracker(_Value):
    """How detections become tracks, for all classes alike."""

    motion: Motion
    association: Association
    lifetime: Lifetime


def _merged(base: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with the values of ``override`` in place of its own, section by section."""
    result = dict(base)
    for key, value in override.items():
        below = result.get(key)
        result[key] = _merged(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return result


class Policy(_Value):
    """Everything that turns detections into verdicts, and where it came from."""

    format: Literal["tertium.policy/v1"]
    name: Annotated[str, Field(min_length=1, max_length=64)]
    number: Annotated[int, Field(ge=0, lt=1 << 63)] = 0
    """Version number; 0 where nobody counts."""
    provenance: dict[str, JsonValue] = {}
    """Where the numbers came from: data, hashes, date, figures. Read by people."""
    tracker: Tracker
    defaults: Judgement
    classes: dict[Annotated[str, Field(min_length=1, max_length=64)], Judgement] = {}

    @model_validator(mode="before")
    @classmethod
    def _complete_classes(cls, data: object) -> object:
        """Completes what a class leaves out from ``defaults``, so that each stands alone."""
        if not isinstance(data, Mapping) or not isinstance(data.get("classes"), Mapping):
            return data
        defaults = data.get("defaults")
        if not isinstance(defaults, Mapping):
            return data
        completed = {
            name: _merged(defaults, override) if isinstance(override, Mapping) else override
            for name, override in data["classes"].items()
        }
        return {**data, "classes": completed}

    @cached_property
    def sha256(self) -> str:
        """Content hash: equal policies have equal hashes, however their files are written."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def version(self) -> str:
        """Number and the first twelve digits of the content hash: what decisions are stamped with."""
        return f"{self.number}-{self.sha256[:12]}"

    def class_names(self) -> tuple[str, ...]:
        """Classes that have values of their own, in the file's order."""
        return tuple(self.classes)

    def judgement(self, class_name: str) -> Judgement:
        """What a class is judged by: its own values, or the defaults."""
        return self.classes.get(class_name, self.defaults)
