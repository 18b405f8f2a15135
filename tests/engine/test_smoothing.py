"""Levels of evidence, smoothed: beside filterpy's smoother, and beside the batch posterior of all frames at once."""

from itertools import pairwise

import numpy as np
import pytest
from filterpy.kalman import KalmanFilter

from tertium_server.engine import evidence
from tertium_server.engine.layout import TRACK
from tertium_server.engine.smoothing import filtered_levels, links_between, smoothed_levels
from tests.engine.records import judge

LEVELS = (("fast", "fast_drift", 0), ("slow", "slow_drift", 2))
Frames = list[tuple[float, float | None, bool]]
"""Seconds since the frame before, what was measured (None: a miss), and whether it was hidden, which says nothing."""


def history(random: np.random.Generator, length: int) -> Frames:
    return [
        (
            float(random.uniform(0.01, 0.5)),
            None if random.random() < 0.3 else float(random.normal(0, 2)),
            random.random() < 0.2,
        )
        for _ in range(length)
    ]


def random_judge(random: np.random.Generator) -> np.void:
    drifts = {"fast_drift": random.uniform(1, 20), "slow_drift": random.uniform(0.001, 1)}
    return judge(**drifts, correlation_time=random.uniform(0, 0.5), miss_noise=random.uniform(0.5, 4))


def filtered(settings: np.void, frames: Frames) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    """The track after each frame, by the engine's kernels."""
    track: np.void = np.zeros(1, TRACK)[0]
    evidence.begin(track, settings)
    after = np.zeros(len(frames), TRACK)
    for place, (seconds, observed, hidden) in enumerate(frames):
        if place:
            evidence.predict(track, settings, seconds)
        if not hidden and observed is None:
            evidence.update_miss(track, settings, seconds)
        elif not hidden and observed is not None:
            evidence.update_hit(track, settings, observed, seconds)
        after[place] = track
    return after


def smoothed(
    after: np.ndarray[tuple[int], np.dtype[np.void]], first: int
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """What the engine makes of the window from ``first`` to the end: (4,) of its first frame."""
    window = [after[place : place + 1] for place in range(first, len(after))]
    links = [links_between(one, other) for one, other in pairwise(window)]
    row: np.ndarray[tuple[int], np.dtype[np.float64]] = smoothed_levels(
        [filtered_levels(one) for one in window], links
    )[0]
    return row


def noise(settings: np.void, frame: tuple[float, float | None, bool]) -> float:
    seconds, observed, _ = frame
    plain = settings["miss_noise"] if observed is None else settings["noise"]
    return float(plain * (1.0 + settings["correlation_time"] / seconds))


@pytest.mark.parametrize("seed", range(5))
def test_it_equals_filterpys_rts_smoother(seed: int) -> None:
    random = np.random.default_rng(seed)
    settings, frames = random_judge(random), history(random, 60)
    after = filtered(settings, frames)
    for _, drift, column in LEVELS:
        oracle = KalmanFilter(dim_x=1, dim_z=1)
        oracle.F = oracle.H = np.eye(1)
        oracle.x, oracle.P = np.array([[settings["birth_mean"]]]), np.array([[settings["birth_variance"]]])
        means, variances, drifts = [], [], []
        for place, frame in enumerate(frames):
            q = settings[drift] * frame[0] if place else 0.0
            oracle.predict(Q=np.array([[q]]))
            if not frame[2]:
                observed = settings["miss"] if frame[1] is None else frame[1]
                oracle.update(np.array([[observed]]), R=np.array([[noise(settings, frame)]]))
            means.append(oracle.x.copy())
            variances.append(oracle.P.copy())
            drifts.append(np.array([[q]]))
        # filterpy takes the noise of the step from k to k + 1 from place k + 1.
        expected, spread, *_ = oracle.rts_smoother(
            np.array(means), np.array(variances), Fs=[np.eye(1)] * len(frames), Qs=drifts
        )
        for first in range(len(frames)):
            found = smoothed(after, first)
            assert found[column] == pytest.approx(float(expected[first, 0, 0]), abs=1e-9)
            assert found[column + 1] == pytest.approx(float(spread[first, 0, 0]), abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_it_equals_the_posterior_given_all_frames_at_once(seed: int) -> None:
    random = np.random.default_rng(seed)
    settings, frames = random_judge(random), history(random, 25)
    after = filtered(settings, frames)
    count = len(frames)
    for _, drift, column in LEVELS:
        # The walk as one Gaussian over all frames: its precision is the prior's, the steps' and the measurements'.
        precision, pull = np.zeros((count, count)), np.zeros(count)
        precision[0, 0] += 1.0 / settings["birth_variance"]
        pull[0] += settings["birth_mean"] / settings["birth_variance"]
        for place in range(1, count):
            step = 1.0 / (settings[drift] * frames[place][0])
            precision[place - 1 : place + 1, place - 1 : place + 1] += step * np.array([[1.0, -1.0], [-1.0, 1.0]])
        for place, frame in enumerate(frames):
            if not frame[2]:
                precision[place, place] += 1.0 / noise(settings, frame)
                pull[place] += (settings["miss"] if frame[1] is None else frame[1]) / noise(settings, frame)
        covariance = np.linalg.inv(precision)
        expected = covariance @ pull
        for first in range(count):
            found = smoothed(after, first)
            assert found[column] == pytest.approx(expected[first], abs=1e-8)
            assert found[column + 1] == pytest.approx(covariance[first, first], abs=1e-8)


def test_the_last_frame_of_a_window_is_as_it_was_filtered() -> None:
    after = filtered(judge(), history(np.random.default_rng(1), 5))
    last = after[-1]
    assert smoothed(after, 4).tolist() == [last[name] for name in ("fast", "fast_variance", "slow", "slow_variance")]


def test_tracks_are_followed_by_id_and_birth_wherever_they_are() -> None:
    before, after = np.zeros(5, TRACK), np.zeros(5, TRACK)
    before["id"], before["first_frame"] = [4, 9, 2, 7, 5], [1, 1, 2, 3, 3]
    before["closing"] = [0, 0, 0, 0, 2]
    after["id"], after["first_frame"] = [4, 8, 7, 2, 5], [1, 4, 3, 4, 3]
    # 9 is gone, 2 is another object by now, 5 was over.
    assert links_between(before, after).tolist() == [0, -1, -1, 2, -1]
