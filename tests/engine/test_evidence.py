"""The two levels of evidence against filterpy's scalar filter, and against conditioning a Gaussian on everything at once."""

import math

import numpy as np
import pytest
from filterpy.kalman import KalmanFilter
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tertium_server.engine import evidence
from tests.engine.records import judge, track

Floats = NDArray[np.float64]
LEVELS = ("fast", "slow")
SHORTEST_STEP = 1e-3
PROBABILITY, LOGIT = False, True  # what a score is


def oracle(settings: np.void) -> KalmanFilter:
    """filterpy's filter of one level, before any detection."""
    result = KalmanFilter(dim_x=1, dim_z=1)
    result.x = np.array([[settings["birth_mean"]]])
    result.P = np.array([[settings["birth_variance"]]])
    result.F = result.H = np.eye(1)
    return result


def news_variance(noise: float, correlation_time: float, seconds: float) -> float:
    """R = r (1 + τ/Δt): what one of many correlated frames is worth."""
    return noise * (1.0 + correlation_time / max(seconds, SHORTEST_STEP))


def random_judge(random: np.random.Generator) -> np.void:
    return judge(
        birth_mean=random.uniform(-5, 0),
        birth_variance=random.uniform(0.5, 9),
        fast_drift=random.uniform(0.5, 20),
        slow_drift=random.uniform(0.01, 1),
        noise=random.uniform(0.3, 3),
        correlation_time=random.uniform(0, 2),
        miss=random.uniform(-6, 0),
        miss_noise=random.uniform(0.5, 8),
    )


def history(random: np.random.Generator, length: int) -> list[tuple[float, float | None]]:
    """(seconds, measurement or None for a miss) of each frame."""
    pace = [random.uniform(0.01, 0.2), random.uniform(0.5, 9.0), random.uniform(0.0, 1e-3)]
    return [
        (
            float(pace[random.choice(3, p=[0.85, 0.1, 0.05])] * random.uniform(0.8, 1.2)),
            float(random.uniform(-7, 7)) if random.random() < 0.6 else None,
        )
        for _ in range(length)
    ]


def played(settings: np.void, frames: list[tuple[float, float | None]]) -> np.void:
    """A track whose evidence went through a history."""
    ours = track()
    evidence.begin(ours, settings)
    for seconds, observed in frames:
        evidence.predict(ours, settings, seconds)
        if observed is None:
            evidence.update_miss(ours, settings, seconds)
        else:
            evidence.update_hit(ours, settings, observed, seconds)
    return ours


def measured(settings: np.void, seconds: float, observed: float | None) -> tuple[float, float]:
    """What a frame measures, and the variance of that: absence is a measurement too."""
    if observed is None:
        return float(settings["miss"]), news_variance(settings["miss_noise"], settings["correlation_time"], seconds)
    return observed, news_variance(settings["noise"], settings["correlation_time"], seconds)


@pytest.mark.parametrize("seed", range(5))
def test_both_levels_equal_filterpys_scalar_filter_over_long_sequences(seed: int) -> None:
    random = np.random.default_rng(seed)
    settings = random_judge(random)
    ours = track()
    evidence.begin(ours, settings)
    theirs = {level: oracle(settings) for level in LEVELS}
    for seconds, observed in history(random, 2000):
        evidence.predict(ours, settings, seconds)
        if observed is None:
            evidence.update_miss(ours, settings, seconds)
        else:
            evidence.update_hit(ours, settings, observed, seconds)
        value, variance = measured(settings, seconds, observed)
        for level in LEVELS:
            theirs[level].predict(Q=np.array([[settings[f"{level}_drift"] * seconds]]))
            theirs[level].update(np.array([[value]]), R=np.array([[variance]]))
            assert ours[level] == pytest.approx(theirs[level].x.item(), rel=1e-9, abs=1e-9)
            assert ours[f"{level}_variance"] == pytest.approx(theirs[level].P.item(), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("seed", range(10))
def test_both_levels_equal_the_batch_posterior_given_all_frames_at_once(seed: int) -> None:
    random = np.random.default_rng(50 + seed)
    settings = random_judge(random)
    # Frames with the same time leave no drift between two levels, and the joint precision without an inverse.
    frames = [(max(seconds, 1e-4), observed) for seconds, observed in history(random, 120)]
    ours = played(settings, frames)
    for level in LEVELS:
        mean, variance = batch_posterior(settings, float(settings[f"{level}_drift"]), frames)
        assert ours[level] == pytest.approx(mean, rel=1e-9, abs=1e-9)
        assert ours[f"{level}_variance"] == pytest.approx(variance, rel=1e-9)


def batch_posterior(settings: np.void, drift: float, frames: list[tuple[float, float | None]]) -> tuple[float, float]:
    """Mean and variance of the last level: the tridiagonal joint precision of all levels, inverted in one go."""
    size = len(frames) + 1
    precision, information = np.zeros((size, size)), np.zeros(size)
    precision[0, 0] = 1.0 / settings["birth_variance"]
    information[0] = settings["birth_mean"] / settings["birth_variance"]
    for place, (seconds, observed) in enumerate(frames):
        stiffness = 1.0 / (drift * seconds)
        precision[place : place + 2, place : place + 2] += stiffness * np.array([[1.0, -1.0], [-1.0, 1.0]])
        value, variance = measured(settings, seconds, observed)
        precision[place + 1, place + 1] += 1.0 / variance
        information[place + 1] += value / variance
    covariance = np.linalg.inv(precision)
    return float(covariance[-1] @ information), float(covariance[-1, -1])


@pytest.mark.parametrize("seed", range(5))
def test_without_drift_a_level_is_the_precision_weighted_mean_of_all_it_saw(seed: int) -> None:
    random = np.random.default_rng(80 + seed)
    settings = random_judge(random)
    settings["fast_drift"] = settings["slow_drift"] = 0.0
    frames = history(random, 300)
    values, variances = zip(*(measured(settings, *frame) for frame in frames), strict=True)
    weights = 1.0 / np.array([settings["birth_variance"], *variances])
    ours = played(settings, frames)
    for level in LEVELS:
        assert ours[level] == pytest.approx(np.average([settings["birth_mean"], *values], weights=weights), rel=1e-9)
        assert ours[f"{level}_variance"] == pytest.approx(1.0 / weights.sum(), rel=1e-9)


@given(st.lists(st.tuples(st.floats(0, 20), st.none() | st.floats(-7, 7)), min_size=1, max_size=80))
def test_levels_stay_between_the_lowest_and_the_highest_thing_they_saw(
    frames: list[tuple[float, float | None]],
) -> None:
    settings = judge()
    ours = played(settings, frames)
    seen = [float(settings["birth_mean"]), *(measured(settings, *frame)[0] for frame in frames)]
    for level in LEVELS:
        assert min(seen) - 1e-9 <= ours[level] <= max(seen) + 1e-9
        assert 0.0 < ours[f"{level}_variance"] < np.inf


@given(st.lists(st.tuples(st.floats(0, 2), st.none() | st.floats(-7, 7)), min_size=1, max_size=40), st.floats(0.01, 3))
def test_a_higher_score_anywhere_in_the_past_lowers_no_level(
    frames: list[tuple[float, float | None]], more: float
) -> None:
    settings = judge()
    raised = [(seconds, None if observed is None else observed + more) for seconds, observed in frames]
    lower, higher = played(settings, frames), played(settings, raised)
    for level in LEVELS:
        assert higher[level] >= lower[level]


@given(st.floats(1e-4, 1 - 1e-4))
def test_log_odds_are_the_logit_of_a_score(score: float) -> None:
    assert evidence.log_odds(score, PROBABILITY) == pytest.approx(math.log(score / (1 - score)), rel=1e-12, abs=1e-12)


@given(st.floats(-1e6, 1e6))
def test_a_score_that_is_a_logit_is_taken_as_it_is(score: float) -> None:
    assert evidence.log_odds(score, LOGIT) == score


@pytest.mark.parametrize(("score", "sign"), [(0.0, -1), (1.0, 1), (1e-30, -1), (1 - 1e-16, 1)])
def test_scores_of_exactly_nought_and_one_are_strong_but_finite(score: float, sign: int) -> None:
    odds = evidence.log_odds(score, PROBABILITY)
    assert odds * sign == pytest.approx(math.log((1 - evidence.SCORE_MARGIN) / evidence.SCORE_MARGIN))


@given(st.floats(0, 1), st.floats(-5, 5), st.floats(0.1, 5), st.floats(0.5, 9))
def test_a_measurement_is_the_calibrated_logit_within_the_clip(
    score: float, offset: float, gain: float, clip: float
) -> None:
    bounded = min(max(score, evidence.SCORE_MARGIN), 1 - evidence.SCORE_MARGIN)
    wanted = offset + gain * math.log(bounded / (1 - bounded))
    value = evidence.measurement(judge(offset=offset, gain=gain, clip=clip), score, PROBABILITY)
    assert value == pytest.approx(min(max(wanted, -clip), clip), rel=1e-12, abs=1e-12)


@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_a_logit_of_any_size_is_clipped(score: float) -> None:
    assert evidence.measurement(judge(clip=6.0), score, LOGIT) == min(max(score, -6.0), 6.0)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0.01, 5))
def test_a_higher_score_never_measures_less(one: float, other: float, gain: float) -> None:
    settings = judge(gain=gain)
    low, high = sorted((one, other))
    assert evidence.measurement(settings, low, PROBABILITY) <= evidence.measurement(settings, high, PROBABILITY)


@given(st.floats(0.1, 10), st.floats(0, 10), st.floats(0, 10), st.floats(0, 10))
def test_frames_closer_together_carry_no_more_news_each(
    noise: float, correlation: float, one: float, other: float
) -> None:
    near, far = sorted((one, other))
    assert (
        evidence.effective_noise(noise, correlation, near) >= evidence.effective_noise(noise, correlation, far) >= noise
    )


def settled(settings: np.void, fps: float, seconds: float, observed: float) -> np.void:
    """A track seen at one score for some time at some frame rate."""
    return played(settings, [(1.0 / fps, observed)] * round(fps * seconds))


@pytest.mark.parametrize("fps", [8, 15, 30, 60])
@pytest.mark.parametrize("observed", [-0.85, 0.5, 3.0])
def test_doubling_the_frame_rate_by_repeated_frames_hardly_moves_a_level_where_errors_repeat(
    fps: float, observed: float
) -> None:
    settings = judge(correlation_time=1.0)
    once, twice = (settled(settings, rate, 2.0, observed) for rate in (fps, 2 * fps))
    for level in LEVELS:
        assert abs(twice[level] - once[level]) < 0.05
        assert twice[f"{level}_variance"] == pytest.approx(once[f"{level}_variance"], rel=0.12)


def test_without_a_correlation_time_doubling_the_frame_rate_makes_a_track_surer() -> None:
    settings = judge(correlation_time=0.0, slow_drift=0.0)
    once, twice = (settled(settings, rate, 2.0, 0.5) for rate in (15, 30))
    assert twice["slow_variance"] < 0.6 * once["slow_variance"]


def test_in_the_limit_of_many_frames_the_news_of_a_second_is_bounded_by_the_correlation_time() -> None:
    settings = judge(correlation_time=0.5, slow_drift=0.0, noise=1.0, birth_variance=1e6)
    # However finely a second is cut, it is worth 1/τ independent measurements.
    for fps in (100, 300, 900):
        assert 1.0 / settled(settings, fps, 1.0, 1.0)["slow_variance"] == pytest.approx(1 / 0.5, rel=0.03)
