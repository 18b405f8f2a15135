"""The whole step against filterpy: one object alone in the picture, so that everything can be said of it by formulas."""

import math
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from filterpy.common import Q_continuous_white_noise
from filterpy.kalman import KalmanFilter
from numpy.typing import NDArray

from tertium_server.engine import Workspace
from tertium_server.engine.readout import MOST_HITS
from tertium_server.policy import Policy
from tests.engine.streams import SECOND, Frame, columns, engine_with, play
from tests.policies import policy_with

Floats = NDArray[np.float64]
INTERVAL = 0.04


def scalar_filter(mean: float, variance: float) -> KalmanFilter:
    result = KalmanFilter(dim_x=1, dim_z=1)
    result.x, result.P = np.array([[mean]]), np.array([[variance]])
    result.F = result.H = np.eye(1)
    return result


def axis_filter(position: float, variance: float, speed_variance: float) -> KalmanFilter:
    result = KalmanFilter(dim_x=2, dim_z=1)
    result.x, result.P = np.array([[position], [0.0]]), np.diag([variance, speed_variance])
    result.H = np.array([[1.0, 0.0]])
    return result


@dataclass
class Oracle:
    """What the published formulas say of one track, with filterpy's filters."""

    policy: Policy
    axes: list[KalmanFilter] = field(default_factory=list)
    fit: float = 1.0
    measurement: float = 0.0
    size: float = 0.0
    hits: int = 0
    misses: int = 0
    in_a_row: int = 0

    def __post_init__(self) -> None:
        self.evidence = self.policy.defaults.evidence
        birth = self.evidence.birth
        self.levels = {name: scalar_filter(birth.mean, birth.variance) for name in ("fast", "slow")}

    def scale(self) -> float:
        width, height = (axis.x[0, 0] for axis in self.axes[2:])
        return math.sqrt(max(width, 1.0) * max(height, 1.0))

    def predict(self, seconds: float) -> None:
        motion, scale = self.policy.tracker.motion, self.scale()
        for number, axis in enumerate(self.axes):
            strength = motion.acceleration if number < 2 else motion.size_acceleration
            axis.predict(
                F=np.array([[1.0, seconds], [0.0, 1.0]]),
                Q=Q_continuous_white_noise(2, seconds, (strength * scale) ** 2),
            )
        for name, drift in (("fast", self.evidence.fast_drift), ("slow", self.evidence.slow_drift)):
            self.levels[name].predict(Q=np.array([[drift * seconds]]))

    def measure(self, value: float, noise: float, seconds: float) -> None:
        variance = noise * (1.0 + self.evidence.correlation_time / max(seconds, 1e-3))
        for level in self.levels.values():
            level.update(np.array([[value]]), R=np.array([[variance]]))

    def see(self, centre_and_size: Floats, score: float, seconds: float) -> None:
        motion, scores = self.policy.tracker.motion, self.policy.defaults.scores
        if self.axes:
            noise = (motion.measurement_noise * self.scale()) ** 2
            distances = []
            for axis, observed in zip(self.axes, centre_and_size, strict=True):
                axis.update(np.array([[observed]]), R=np.array([[noise]]))
                distances.append((axis.y.T @ np.linalg.solve(axis.S, axis.y)).item())
            self.fit = float(np.mean(distances))
        else:
            scale = math.sqrt(centre_and_size[2] * centre_and_size[3])
            spread = (motion.measurement_noise * scale) ** 2, (motion.initial_speed * scale) ** 2
            self.axes = [axis_filter(float(observed), *spread) for observed in centre_and_size]
        calibrated = scores.offset + scores.gain * logit(score)
        self.measurement = min(max(calibrated, -scores.clip), scores.clip)
        self.measure(self.measurement, self.evidence.noise, seconds)
        heights = self.policy.defaults.box.heights
        self.size = math.log(min(max(self.axes[3].x[0, 0], heights.least), heights.most) / 100)
        self.hits += 1
        self.in_a_row = 0

    def miss(self, seconds: float) -> None:
        self.measure(self.evidence.miss.value, self.evidence.miss.noise, seconds)
        self.misses += 1
        self.in_a_row += 1

    def level(self, name: str) -> float:
        return float(self.levels[name].x[0, 0])

    def slow_deviation(self) -> float:
        return math.sqrt(self.levels["slow"].P[0, 0])

    def log_hits(self) -> float:
        return math.log(min(self.hits, MOST_HITS))

    def box_features(self) -> list[float]:
        fit, low, size = min(self.fit, 4.0), min(self.measurement, 1.0), self.size
        large = min(max((1 + size) / 2, 0.0), 1.0)
        small_slow, large_slow = (1 - large) * self.level("slow"), large * self.level("slow")
        first = [1.0, low, self.level("fast"), small_slow, self.log_hits(), fit, 0.0]
        return [*first, self.measurement - low, large_slow, 0.0, 0.0, size, size**2]

    def track_features(self) -> list[float]:
        levels, size = [self.level("slow"), self.level("fast")], self.size
        return [1.0, *levels, self.slow_deviation(), self.log_hits(), math.log(1 + self.in_a_row), size, size**2]

    def box_log_odds(self) -> float:
        weights = self.policy.defaults.box.weights
        order = [
            *(weights.constant, weights.score, weights.fast, weights.slow, weights.hits, weights.fit, weights.overlap),
            weights.score_high or 0.0,
            *(weights.slow_large or 0.0, weights.cover, weights.neighbours, weights.size, weights.size_squared),
        ]
        return float(np.dot(order, self.box_features()))

    def track_log_odds(self) -> float:
        weights = self.policy.defaults.track.weights
        life = [weights.constant, weights.slow, weights.fast, weights.spread, weights.hits, weights.misses]
        return float(np.dot([*life, weights.size, weights.size_squared], self.track_features()))

    def half_width(self) -> float:
        return 1.959963984540054 * self.policy.defaults.track.weights.slow * self.slow_deviation()

    def corners(self) -> list[float]:
        x, y, width, height = (axis.x[0, 0] for axis in self.axes)
        return [x - width / 2, y - height / 2, x + width / 2, y + height / 2]


def logit(score: float) -> float:
    bounded = min(max(score, 1e-4), 1 - 1e-4)
    return math.log(bounded / (1 - bounded))


def sigmoid(log_odds: float) -> float:
    return 1.0 / (1.0 + math.exp(-log_odds))


POLICY = policy_with(
    {
        # It is never lost, and any overlap will do.
        "tracker.lifetime.coast": 1000.0,
        "tracker.lifetime.candidate_coast": 1000.0,
        "tracker.association.gate_high": 0.0,
        "tracker.association.gate_low": 0.0,
        "tracker.association.gate_candidate": 0.0,
        "tracker.association.buffer": 1.0,
        # All weights say something.
        "defaults.scores": {"offset": -0.3, "gain": 1.2, "clip": 4.0},
        "defaults.box.weights": {
            "constant": 0.2, "score": 0.5, "fast": 0.3, "slow": 0.2, "hits": 0.1, "fit": -0.15, "overlap": -1.0,
            "score_high": 0.6, "slow_large": 0.35, "cover": -0.2, "neighbours": -0.1, "size": 0.4, "size_squared": -0.3,
        },
        "defaults.box.heights": {"least": 70.0, "most": 110.0},
        "defaults.track.weights": {
            "constant": -0.1, "slow": 0.7, "fast": 0.2, "spread": -0.3, "hits": 0.2, "misses": -0.2,
            "size": 0.3, "size_squared": -0.2,
        },
    }
)  # fmt: skip


def film(seed: int, length: int) -> list[Frame]:
    """One object on a wandering path, at an unsteady pace, now and then unseen."""
    random = np.random.default_rng(seed)
    time = int(random.integers(-(10**18), 10**18))
    centre, size, speed = np.array([300.0, 200.0]), np.array([50.0, 90.0]), np.zeros(2)
    frames = []
    for index in range(length):
        pace = float(random.choice([random.uniform(0.02, 0.08), random.uniform(0.2, 0.6)], p=[0.9, 0.1]))
        time += int(pace * SECOND)
        speed = 0.97 * speed + random.normal(0, 3, 2)
        centre = centre + speed * pace
        size = np.clip(size * np.exp(random.normal(0, 0.02, 2)), 20, 200)
        corners = np.concatenate([centre - size / 2, centre + size / 2]) + random.normal(0, 1.5, 4)
        if index == 0 or random.random() < 0.75:
            left, top, right, bottom = corners.tolist()
            score = float(random.choice([random.uniform(0, 1), 0.0, 1.0], p=[0.9, 0.05, 0.05]))
            frames.append(Frame(index, time, ((left, top, right, bottom),), (score,), (0,)))
        else:
            frames.append(Frame(index, time))
    return frames


@pytest.mark.parametrize("seed", range(3))
def test_every_number_of_a_lone_objects_life_is_that_of_filterpy_and_the_formulas(seed: int) -> None:
    frames = film(seed, 300)
    journal = play(engine_with(POLICY, nominal_fps=1 / INTERVAL, include_features=True), frames, finish=True)
    oracle = Oracle(POLICY)
    detections, coasted = 0, 0
    for place, frame in enumerate(frames):
        # Before the first frame, the nominal interval stands for the time that has passed.
        seconds = (frame.time - frames[place - 1].time) / SECOND if place else INTERVAL
        if place:
            oracle.predict(seconds)
        if frame.boxes:
            left, top, right, bottom = np.array(frame.boxes[0], dtype=np.float32).astype(np.float64)
            observed = np.array([(left + right) / 2, (top + bottom) / 2, right - left, bottom - top])
            oracle.see(observed, float(np.float32(frame.scores[0])), seconds)
            assert journal["track_ids"][detections] == 1, "or it is not one track, and the film is at fault"
            np.testing.assert_allclose(
                journal["box_features"][detections], oracle.box_features(), rtol=1e-9, atol=2e-7 * oracle.fit
            )
            np.testing.assert_allclose(
                journal["track_features"][detections], oracle.track_features(), rtol=1e-9, atol=1e-9
            )
            np.testing.assert_allclose(journal["boxes"][detections], oracle.corners(), rtol=1e-6)
            found = [
                journal[name][detections]
                for name in ("probabilities", "track_probabilities", "track_lower", "track_upper")
            ]
            middle, half = oracle.track_log_odds(), oracle.half_width()
            wanted = [oracle.box_log_odds(), middle, middle - half, middle + half]
            np.testing.assert_allclose(found, [sigmoid(each) for each in wanted], rtol=1e-6)
            detections += 1
        else:
            oracle.miss(seconds)
            np.testing.assert_allclose(journal["coasted_boxes"][coasted], oracle.corners(), rtol=1e-6)
            assert journal["coasted_probabilities"][coasted] == pytest.approx(
                sigmoid(oracle.track_log_odds()), rel=1e-6
            )
            coasted += 1
    assert (len(journal["track_ids"]), len(journal["coasted_track_ids"])) == (detections, coasted)
    last = journal["events"][-1]
    assert (last["hits"], last["misses"]) == (oracle.hits, oracle.misses)
    for name in ("fast", "slow"):
        assert last[f"evidence_{name}"] == pytest.approx(oracle.level(name), rel=1e-6)
    assert last["score"] == np.float32(next(frame.scores[0] for frame in reversed(frames) if frame.boxes))


def test_logits_and_their_probabilities_are_the_same_scores() -> None:
    frames = film(7, 120)
    odds = [replace(each, scores=tuple(logit(score) for score in each.scores)) for each in frames]
    plain, logits = (
        play(engine_with(POLICY, logits=as_logits), film, finish=True)
        for film, as_logits in ((frames, False), (odds, True))
    )
    np.testing.assert_allclose(logits["probabilities"], plain["probabilities"], rtol=2e-3)
    assert (logits["track_ids"] == plain["track_ids"]).all()


def test_absent_scores_are_sure_ones() -> None:
    frames = film(8, 60)
    sure = [replace(each, scores=(1.0,) * len(each.boxes)) for each in frames]
    silent = [replace(each, scores=()) for each in frames]
    assert (
        play(engine_with(POLICY), silent)["probabilities"].tobytes()
        == play(engine_with(POLICY), sure)["probabilities"].tobytes()
    )


def test_absent_times_and_classes_are_those_of_the_nominal_frame_rate_and_the_one_class() -> None:
    frames = [replace(each, time=each.index * SECOND // 25) for each in film(9, 60)]
    told, left_out = (engine_with(POLICY, class_names={0: "person"}, nominal_fps=25.0) for _ in range(2))
    message = columns(frames)
    expected = told.advance(message, Workspace())
    found = left_out.advance(message._replace(times=message.times[:0], class_ids=message.class_ids[:0]), Workspace())
    assert not found.status.any()
    assert found.probabilities.tobytes() == expected.probabilities.tobytes()
