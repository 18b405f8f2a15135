import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from scipy.stats import norm

from tertium_server.engine import readout
from tests.engine.records import judge, track

weights = st.floats(-5, 5)
rising = st.floats(0, 5)
levels = st.floats(-7, 7)


@given(st.floats(allow_nan=False))
def test_the_logistic_function_overflows_nowhere_and_stays_in_its_range(log_odds: float) -> None:
    value = readout.sigmoid(log_odds)
    assert 0.0 <= value <= 1.0
    assert value == pytest.approx(float(expit(log_odds)), rel=1e-12, abs=1e-300)


@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_the_logistic_function_never_falls(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert readout.sigmoid(low) <= readout.sigmoid(high)


@given(st.floats(-700, 700))
def test_the_logistic_function_of_the_negative_is_the_complement(log_odds: float) -> None:
    assert readout.sigmoid(-log_odds) == pytest.approx(1.0 - readout.sigmoid(log_odds), abs=1e-15)


sizes = st.floats(-2.3, 2.3)
heights = st.floats(0, 5000)


@given(heights, st.floats(1, 2000), st.floats(1, 5))
def test_the_size_is_the_logarithm_of_hundreds_of_pixels_within_what_was_fitted_on(
    height: float, least: float, ratio: float
) -> None:
    settings = judge(size_least=math.log(least / 100), size_most=math.log(ratio * least / 100))
    nearest = min(max(height, 1.0, least), ratio * least)
    assert readout.box_size(height, settings) == pytest.approx(math.log(nearest / 100), rel=1e-9, abs=1e-9)


@given(
    st.lists(weights, min_size=13, max_size=13),
    st.tuples(levels, levels, levels),
    st.integers(1, 1000),
    st.floats(0, 50, width=32),
    st.tuples(st.floats(0, 1), st.floats(0, 1), st.integers(0, 20)),
    sizes,
)
def test_the_boxs_log_odds_are_the_weighted_sum_of_what_they_name(
    given_weights: list[float],
    state: tuple[float, float, float],
    hits: int,
    fit: float,
    around: tuple[float, float, int],
    size: float,
) -> None:
    measurement, fast, slow = state
    overlap, cover, neighbours = around
    ours = track(measurement=measurement, fast=fast, slow=slow, log_hits=math.log(hits), fit=fit, size=size)
    share_of_large = min(max((size + 1) / 2, 0), 1)
    features = [
        1.0,
        min(measurement, 1.0),
        fast,
        slow * (1 - share_of_large),
        math.log(hits),
        min(fit, readout.FIT_CLIP),
    ]
    features += [overlap, max(measurement - 1.0, 0.0), slow * share_of_large, cover, min(neighbours, 5), size, size**2]
    assert readout.box_log_odds(ours, judge(box_weights=given_weights), *around) == pytest.approx(
        float(np.dot(given_weights, features)), rel=1e-9, abs=1e-9
    )


@given(
    st.lists(weights, min_size=8, max_size=8),
    levels,
    levels,
    st.floats(0.01, 9),
    st.integers(1, 1000),
    st.integers(0, 100),
    sizes,
)
def test_the_tracks_log_odds_are_the_weighted_sum_of_what_they_name(
    given_weights: list[float], fast: float, slow: float, variance: float, hits: int, misses: int, size: float
) -> None:
    ours = track(
        fast=fast,
        slow=slow,
        slow_variance=variance,
        hits=hits,
        log_hits=math.log(hits),
        misses_in_a_row=misses,
        size=size,
    )
    features = [1.0, slow, fast, math.sqrt(variance), math.log(hits), math.log(1 + misses), size, size**2]
    assert readout.track_log_odds(ours, judge(track_weights=given_weights)) == pytest.approx(
        float(np.dot(given_weights, features)), rel=1e-9, abs=1e-9
    )


@given(
    st.lists(rising, min_size=13, max_size=13),
    st.tuples(levels, levels, levels),
    st.sampled_from(["measurement", "fast", "slow"]),
    rising,
    sizes,
)
def test_the_boxs_probability_never_falls_when_the_score_or_a_level_rises(
    given_weights: list[float], state: tuple[float, float, float], name: str, more: float, size: float
) -> None:
    settings = judge(box_weights=given_weights)
    ours = track(measurement=state[0], fast=state[1], slow=state[2], size=size)
    before = readout.sigmoid(readout.box_log_odds(ours, settings, 0.0, 0.0, 0.0))
    ours[name] += more
    assert readout.sigmoid(readout.box_log_odds(ours, settings, 0.0, 0.0, 0.0)) >= before


@given(st.lists(rising, min_size=8, max_size=8), levels, levels, st.sampled_from(["fast", "slow"]), rising)
def test_the_tracks_probability_never_falls_when_a_level_rises(
    given_weights: list[float], fast: float, slow: float, name: str, more: float
) -> None:
    settings = judge(track_weights=given_weights)
    ours = track(fast=fast, slow=slow, slow_variance=0.3)
    before = readout.sigmoid(readout.track_log_odds(ours, settings))
    ours[name] += more
    assert readout.sigmoid(readout.track_log_odds(ours, settings)) >= before


@given(weights, st.floats(1e-9, 50))
def test_the_interval_spans_95_percent_of_what_the_slow_level_may_be(weight: float, variance: float) -> None:
    half_width = readout.interval_half_width(
        track(slow_variance=variance), judge(track_weights=[0, weight, 0, 0, 0, 0, 0, 0])
    )
    assert half_width == pytest.approx(norm.ppf(0.975) * abs(weight) * math.sqrt(variance), rel=1e-12)


@given(st.lists(weights, min_size=8, max_size=8), levels, levels, st.floats(0, 50))
def test_the_interval_contains_the_probability_to_the_last_digit(
    given_weights: list[float], fast: float, slow: float, variance: float
) -> None:
    settings = judge(track_weights=given_weights)
    ours = track(fast=fast, slow=slow, slow_variance=variance)
    log_odds = readout.track_log_odds(ours, settings)
    half_width = readout.interval_half_width(ours, settings)
    lower, middle, upper = (
        np.float32(readout.sigmoid(value)) for value in (log_odds - half_width, log_odds, log_odds + half_width)
    )
    assert lower <= middle <= upper
