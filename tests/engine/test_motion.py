"""The closed form of the box filter against filterpy's matrices, and against conditioning a Gaussian on everything at once."""

import numpy as np
import pytest
from filterpy.common import Q_continuous_white_noise
from filterpy.kalman import KalmanFilter
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tertium_server.engine import motion
from tests.engine.records import track, tracker

Floats = NDArray[np.float64]
AXES = 4


def side(box: Floats) -> float:
    """The side of a square of the box's area, by the published formula."""
    return float(np.sqrt(max(box[2], 1.0) * max(box[3], 1.0)))


def transition(seconds: float) -> Floats:
    return np.array([[1.0, seconds], [0.0, 1.0]])


def process_noise(settings: np.void, box: Floats, seconds: float) -> list[Floats]:
    """(2, 2) for each axis, from filterpy and the sizes of the box before the step."""
    strengths = [settings["acceleration"]] * 2 + [settings["size_acceleration"]] * 2
    return [Q_continuous_white_noise(2, seconds, float(strength * side(box)) ** 2) for strength in strengths]


def interleaved(record: np.void) -> tuple[Floats, Floats]:
    """A track's state as an eight-state filter writes it: mean (8,) and covariance (8, 8), position before velocity, axis by axis."""
    mean = np.column_stack([record["position"], record["velocity"]]).ravel()
    blocks = [
        [
            [record["variance"][axis], record["covariance"][axis]],
            [record["covariance"][axis], record["velocity_variance"][axis]],
        ]
        for axis in range(AXES)
    ]
    return mean, on_the_diagonal([np.array(block) for block in blocks])


def on_the_diagonal(blocks: list[Floats]) -> Floats:
    """(8, 8) of four (2, 2)."""
    result = np.zeros((2 * AXES, 2 * AXES))
    for axis, block in enumerate(blocks):
        result[2 * axis : 2 * axis + 2, 2 * axis : 2 * axis + 2] = block
    return result


def oracle(settings: np.void, first: Floats) -> KalmanFilter:
    """filterpy's filter over all eight states, begun at an observed box."""
    result = KalmanFilter(dim_x=8, dim_z=4)
    result.x = np.column_stack([first, np.zeros(AXES)]).reshape(8, 1)
    result.P = np.diag(
        [(settings["measurement_noise"] * side(first)) ** 2, (settings["initial_speed"] * side(first)) ** 2] * AXES
    )
    result.H = np.asarray(np.kron(np.eye(AXES), [[1.0, 0.0]]), dtype=np.float64)
    return result


def wandering_box(random: np.random.Generator, box: Floats) -> Floats:
    moved = box + random.normal(0, [8, 8, 3, 3])
    moved[2:] = np.clip(moved[2:], 15, 400)
    return np.asarray(moved, dtype=np.float64)


def step_seconds(random: np.random.Generator) -> float:
    """Mostly a camera's pace, sometimes a dropped second, sometimes two frames with the same time."""
    return float(random.choice([random.uniform(0.01, 0.2), random.uniform(0.5, 3.0), 0.0], p=[0.85, 0.1, 0.05]))


@pytest.mark.parametrize("seed", range(4))
def test_predict_and_update_equal_filterpys_eight_state_filter_over_long_sequences(seed: int) -> None:
    random = np.random.default_rng(seed)
    settings = tracker(
        measurement_noise=random.uniform(0.02, 0.2),
        acceleration=random.uniform(0.0, 4.0),
        size_acceleration=random.uniform(0.0, 2.0),
        initial_speed=random.uniform(0.2, 3.0),
    )
    box = np.array([300.0, 200.0, 60.0, 120.0])
    ours = track()
    motion.start(ours, settings, *box)
    theirs = oracle(settings, box)
    for _ in range(1000):
        seconds = step_seconds(random)
        before = ours["position"].copy()
        motion.predict(ours, settings, seconds)
        theirs.predict(
            F=np.kron(np.eye(AXES), transition(seconds)), Q=on_the_diagonal(process_noise(settings, before, seconds))
        )
        box = wandering_box(random, box)
        predicted_noise = settings["measurement_noise"] * side(ours["position"])
        if random.random() < 0.7:
            fit = motion.update(ours, settings, *box)
            theirs.update(box.reshape(4, 1), R=np.eye(4) * predicted_noise**2)
            normalized = (theirs.y.T @ np.linalg.solve(theirs.S, theirs.y)).item() / AXES
            assert fit == pytest.approx(normalized, rel=1e-9, abs=1e-9)
        mean, covariance = interleaved(ours)
        np.testing.assert_allclose(mean, theirs.x.ravel(), rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(covariance, theirs.P, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("seed", range(8))
def test_a_short_history_equals_the_batch_posterior_given_all_boxes_at_once(seed: int) -> None:
    random = np.random.default_rng(100 + seed)
    settings = tracker()
    first = box = np.array([120.0, 90.0, 40.0, 70.0])
    ours = track()
    motion.start(ours, settings, *box)
    steps = []
    for _ in range(25):
        seconds = float(random.uniform(0.02, 0.4))
        noises = process_noise(settings, ours["position"].copy(), seconds)
        motion.predict(ours, settings, seconds)
        variance = (settings["measurement_noise"] * side(ours["position"])) ** 2
        box = wandering_box(random, box)
        seen = bool(random.random() < 0.7)
        if seen:
            motion.update(ours, settings, *box)
        steps.append((seconds, noises, variance, box if seen else None))
    for axis in range(AXES):
        mean, covariance = batch_posterior(axis, settings, first, steps)
        assert ours["position"][axis] == pytest.approx(mean[0], rel=1e-9)
        assert ours["velocity"][axis] == pytest.approx(mean[1], rel=1e-7, abs=1e-7)
        np.testing.assert_allclose(
            [ours["variance"][axis], ours["covariance"][axis], ours["velocity_variance"][axis]],
            [covariance[0, 0], covariance[0, 1], covariance[1, 1]],
            rtol=1e-8,
        )


def batch_posterior(
    axis: int, settings: np.void, first: Floats, steps: list[tuple[float, list[Floats], float, Floats | None]]
) -> tuple[Floats, Floats]:
    """Mean (2,) and covariance (2, 2) of an axis's last state: the joint precision of all states, inverted in one go."""
    size = 2 * (len(steps) + 1)
    precision, information = np.zeros((size, size)), np.zeros(size)
    prior = np.diag(
        [(settings["measurement_noise"] * side(first)) ** 2, (settings["initial_speed"] * side(first)) ** 2]
    )
    precision[:2, :2] += np.linalg.inv(prior)
    information[:2] += np.linalg.solve(prior, [first[axis], 0.0])
    for place, (seconds, noises, variance, box) in enumerate(steps):
        # (x' - F x)ᵀ Q⁻¹ (x' - F x), as a quadratic form in (x, x')
        difference = np.hstack([-transition(seconds), np.eye(2)])
        both = slice(2 * place, 2 * place + 4)
        precision[both, both] += difference.T @ np.linalg.solve(noises[axis], difference)
        if box is not None:
            now = 2 * place + 2
            precision[now, now] += 1.0 / variance
            information[now] += box[axis] / variance
    covariance = np.linalg.inv(precision)
    return covariance[-2:] @ information, np.asarray(covariance[-2:, -2:], dtype=np.float64)


@given(st.lists(st.tuples(st.floats(0, 5), st.booleans()), max_size=60), st.floats(1, 300), st.floats(1, 300))
def test_the_covariance_stays_positive_semidefinite(
    steps: list[tuple[float, bool]], width: float, height: float
) -> None:
    settings = tracker()
    ours = track()
    motion.start(ours, settings, 50.0, 50.0, width, height)
    for seconds, seen in steps:
        motion.predict(ours, settings, seconds)
        if seen:
            motion.update(ours, settings, 52.0, 49.0, width, height)
        _, covariance = interleaved(ours)
        scale = np.abs(covariance).max()
        assert np.isfinite(covariance).all()
        assert np.linalg.eigvalsh(covariance).min() >= -1e-9 * scale


@given(st.floats(0.1, 5), st.floats(0, 5))
def test_two_steps_without_a_box_are_one_long_step_where_the_size_stands_still(first: float, second: float) -> None:
    settings = tracker()
    once, twice = (track() for _ in range(2))
    for ours in (once, twice):
        motion.start(ours, settings, 10.0, 20.0, 30.0, 40.0)
        ours["velocity"][:2] = (3.0, -2.0)
    motion.predict(once, settings, first + second)
    motion.predict(twice, settings, first)
    motion.predict(twice, settings, second)
    for name in ("position", "velocity", "variance", "covariance", "velocity_variance"):
        np.testing.assert_allclose(once[name], twice[name], rtol=1e-9)


def test_a_step_of_no_time_changes_nothing() -> None:
    ours = track()
    settings = tracker()
    motion.start(ours, settings, 10.0, 20.0, 30.0, 40.0)
    before = ours.copy()
    motion.predict(ours, settings, 0.0)
    assert ours == before


@pytest.mark.parametrize(
    ("width", "height", "scale"), [(30, 30, 30), (9, 16, 12), (100, 1, 10), (0.25, 0.25, 1), (0, 100, 10), (-5, 64, 8)]
)
def test_noise_is_proportional_to_the_side_of_a_square_of_the_boxs_area_and_never_under_a_pixel(
    width: float, height: float, scale: float
) -> None:
    assert motion.box_scale(float(width), float(height)) == pytest.approx(scale)


def test_the_filter_follows_a_scene_in_any_unit_of_length_alike() -> None:
    settings = tracker()
    small, large = track(), track()
    random = np.random.default_rng(5)
    box = np.array([100.0, 80.0, 30.0, 60.0])
    fits = []
    motion.start(small, settings, *box)
    motion.start(large, settings, *(8.0 * box))
    for _ in range(200):
        box = wandering_box(random, box)
        for ours, observed in ((small, box), (large, 8.0 * box)):
            motion.predict(ours, settings, 0.1)
            fits.append(motion.update(ours, settings, *observed))
    assert fits[::2] == fits[1::2]
    assert (large["position"] == 8.0 * small["position"]).all()


def test_a_size_never_falls_under_a_pixel_whatever_the_velocity_said() -> None:
    settings = tracker()
    ours = track()
    motion.start(ours, settings, 50.0, 50.0, 40.0, 40.0)
    for size in (30.0, 20.0, 10.0, 1.0, 0.01):
        motion.predict(ours, settings, 1.0)
        motion.update(ours, settings, 50.0, 50.0, size, size)
        assert ours["position"][2:].min() >= 1.0


def test_the_unit_of_process_noise_scales_to_any_step_and_density() -> None:
    unit = motion.unit_process_noise()
    for seconds, density in ((0.04, 3.0), (1.7, 0.2)):
        powers = np.array([[seconds**3, seconds**2], [seconds**2, seconds]])
        np.testing.assert_allclose(unit * powers * density, Q_continuous_white_noise(2, seconds, density), rtol=1e-12)
