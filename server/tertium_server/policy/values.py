"""The numbers of a policy, by section: what a class is judged by, and how detections become tracks.

Probabilities lie between 0 and 1, evidence is in log-odds, times in seconds.
"""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Name = Annotated[str, Field(min_length=1, max_length=64)]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(ge=1e-9, le=1e6)]
"""Not so small that its square is nothing: the engine divides by it."""
NotNegative = Annotated[float, Field(ge=0.0, le=1e6)]
LogOdds = Annotated[float, Field(ge=-50.0, le=50.0)]
Weight = Annotated[float, Field(ge=-100.0, le=100.0)]
RisingWeight = Annotated[float, Field(ge=0.0, le=100.0)]


class Value(BaseModel):
    """A section of a policy."""

    # Strict: true is no 1, and "0.5" no 0.5.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)


class Scores(Value):
    """How a detector's scores are put on a calibrated log-odds scale: z = offset + gain · logit(score), within ± clip."""

    offset: LogOdds = 0.0
    gain: Positive = 1.0
    clip: Positive = 7.0


class Birth(Value):
    """The level of a track before its first detection: well below zero, for most one-frame tracks are clutter."""

    mean: LogOdds
    variance: Positive


class Miss(Value):
    """What the absence of a track measures, that should have been seen."""

    value: LogOdds
    noise: Positive


class Evidence(Value):
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


class BoxWeights(Value):
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
    score_high: RisingWeight | None = None
    """Of what a measurement has over 1; None: as `score`, which then weighs all of it."""
    slow_large: RisingWeight | None = None
    """Of the slow level of boxes 272 pixels high or more; those of 37 or less have `slow`, others a mixture. None: as `slow`."""
    cover: Weight = 0.0
    """Of the share of the box that is covered by a better box of the class."""
    neighbours: Weight = 0.0
    """Of the number of boxes of the class, at most 5, with an IoU over 0.3."""
    size: Weight = 0.0
    """Of the logarithm of the height in hundreds of pixels."""
    size_squared: Weight = 0.0
    """Of its square."""


class Heights(Value):
    """Heights of boxes (pixels) that the weights were fitted on. Those beyond are weighed as if they were the nearest of these."""

    least: Positive = 10.0
    most: Positive = 1000.0

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.least > self.most:
            raise ValueError(f"least ({self.least:g}) lies over most ({self.most:g}): lower least or raise most")
        return self


class TrackWeights(Value):
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
    size: Weight = 0.0
    """Of the logarithm of the height in hundreds of pixels, within the heights of the box's weights."""
    size_squared: Weight = 0.0
    """Of its square."""


class Thresholds(Value):
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


class BoxJudgement(Value):
    """How boxes are judged."""

    weights: BoxWeights
    heights: Heights = Heights()
    thresholds: Thresholds


class TrackJudgement(Value):
    """How tracks are judged."""

    weights: TrackWeights
    thresholds: TrackThresholds


class Judgement(Value):
    """All that a class is judged by."""

    scores: Scores
    evidence: Evidence
    box: BoxJudgement
    track: TrackJudgement


class Motion(Value):
    """The box filter. Noise is in sizes of the box (the square root of its area)."""

    measurement_noise: Positive
    """Standard deviation of an observed centre or size."""
    acceleration: NotNegative
    """White-noise acceleration of the centre, sizes by second^1.5."""
    size_acceleration: NotNegative
    """White-noise acceleration of the size, sizes by second^1.5."""
    initial_speed: Positive
    """Standard deviation of a new track's speed, sizes a second."""


class Association(Value):
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


class Lifetime(Value):
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


class Tracker(Value):
    """How detections become tracks, for all classes alike."""

    motion: Motion
    association: Association
    lifetime: Lifetime
    decision_lag: Annotated[int, Field(ge=0, le=300)] = 0
    """Frames by which answers wait, so that evidence is smoothed by what comes after. 0: each frame is answered at once."""
