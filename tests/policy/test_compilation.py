"""From a policy to the records that kernels read: every value in its place."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
from filterpy.common import Q_continuous_white_noise

from tertium_server.engine import EngineParameters, StreamSettings
from tertium_server.engine.layout import BOX_FEATURES, CLASS, TRACK_FEATURES, TRACKER
from tertium_server.policy import Policy, compile_parameters
from tests.policies import plain_data, plain_policy, policy_with

# Where each value of a class goes: (its path in the policy, the record's field, its place there).
JUDGE = [
    *((f"scores.{name}", name, None) for name in ("offset", "gain", "clip")),
    *((f"evidence.{name}", name, None) for name in ("fast_drift", "slow_drift", "noise", "correlation_time")),
    ("evidence.birth.mean", "birth_mean", None),
    ("evidence.birth.variance", "birth_variance", None),
    ("evidence.miss.value", "miss", None),
    ("evidence.miss.noise", "miss_noise", None),
    *(
        (f"box.weights.{name}", "box_weights", place)
        for place, name in enumerate(
            (
                *("constant", "score", "fast", "slow", "hits", "fit", "overlap"),
                *("score_high", "slow_large", "cover", "neighbours", "size", "size_squared"),
            )
        )
    ),
    *(
        (f"track.weights.{name}", "track_weights", place)
        for place, name in enumerate(("constant", "slow", "fast", "spread", "hits", "misses", "size", "size_squared"))
    ),
    *((f"box.thresholds.{name}", f"box_{name}", None) for name in ("yes", "no")),
    *((f"track.thresholds.{name}", f"track_{name}", None) for name in ("yes", "no")),
    *((f"track.thresholds.{name}", name, None) for name in ("margin", "hold")),
]

# Heights in pixels, which kernels have as logarithms of hundreds of pixels.
HEIGHTS = {"box.heights.least": "size_least", "box.heights.most": "size_most"}

TRACKING = [
    *(
        (f"motion.{name}", name)
        for name in ("measurement_noise", "acceleration", "size_acceleration", "initial_speed")
    ),
    *((f"association.{name}", name) for name in ("established", "gate_high", "gate_low", "gate_candidate", "buffer")),
    *((f"lifetime.{name}", name) for name in ("coast", "candidate_coast", "hidden_cover", "inside", "max_gap")),
]  # fmt: skip


def compiled(policy: Policy | None = None, **settings: Any) -> EngineParameters:
    fields: dict[str, Any] = {"class_names": {0: "person"}, **settings}
    return compile_parameters(policy or plain_policy(), StreamSettings(**fields))


def leaves(content: dict[str, Any], *before: str) -> list[str]:
    found: list[str] = []
    for name, value in content.items():
        found += leaves(value, *before, name) if isinstance(value, dict) else [".".join((*before, name))]
    return found


def marked(paths: list[str], root: str) -> tuple[Policy, dict[str, float]]:
    """A policy in which each value is another, so that none can be taken for one of its neighbours."""
    values = {path: 0.3 + 0.01 * place for place, path in enumerate(paths)}
    return policy_with({f"{root}.{path}": value for path, value in values.items()}), values


def test_every_value_of_a_class_lies_where_the_kernels_read_it() -> None:
    paths = sorted(leaves(plain_data()["defaults"]), key=lambda path: path.endswith("yes"))
    assert sorted(paths) == sorted([*HEIGHTS, *(path for path, *_ in JUDGE)]), "no value is left out"
    policy, values = marked(paths, "defaults")
    [record] = compiled(policy).judges
    for path, name, place in JUDGE:
        assert (record[name] if place is None else record[name][place]) == values[path], path
    for path, name in HEIGHTS.items():
        assert record[name] == pytest.approx(math.log(values[path] / 100)), path


def test_weights_that_are_left_out_are_those_of_the_whole() -> None:
    policy = policy_with({"defaults.box.weights.score_high": None, "defaults.box.weights.slow_large": None})
    given = policy.defaults.box.weights
    weights = compiled(policy).judges[0]["box_weights"]
    assert weights[7] == weights[1] == given.score
    assert weights[8] == weights[3] == given.slow


def test_every_field_of_the_kernels_record_of_a_class_comes_from_the_policy() -> None:
    beside = {"id", "fingerprint", "dismissed_hits"}
    assert set(CLASS.names or ()) == {*beside, *HEIGHTS.values(), *(name for _, name, _ in JUDGE)}
    assert {name: CLASS[name].shape for name in ("box_weights", "track_weights")} == {
        "box_weights": (BOX_FEATURES,),
        "track_weights": (TRACK_FEATURES,),
    }


def test_a_class_has_its_own_mark_from_which_on_a_track_that_was_never_told_of_counts() -> None:
    policy = policy_with({"review.audit_no_hits": 5, "review.classes": {"car": {"audit_no_hits": 9}}})
    records = compile_parameters(policy, StreamSettings(class_names={3: "person", 4: "car"})).judges
    assert dict(zip(records["id"].tolist(), records["dismissed_hits"].tolist(), strict=True)) == {3: 5, 4: 9}


def test_every_value_of_the_tracker_lies_where_the_kernels_read_it() -> None:
    apart = {"association.class_aware", "decision_lag"}  # no real numbers: each has its own test
    paths = [path for path in leaves(plain_data()["tracker"]) if path not in apart]
    assert sorted(paths) == sorted(["association.high", *(path for path, _ in TRACKING)]), "no value is left out"
    policy, values = marked(paths, "tracker")
    [record] = compiled(policy).tracker
    for path, name in TRACKING:
        assert record[name] == values[path], path
    high = values["association.high"]
    assert record["high"] == pytest.approx(math.log(high / (1 - high)))


@pytest.mark.parametrize("aware", [False, True])
def test_whether_classes_count_is_a_switch(aware: object) -> None:
    assert bool(compiled(policy_with({"tracker.association.class_aware": aware})).tracker["class_aware"][0]) is aware


@pytest.mark.parametrize("lag", [0, 1, 300])
def test_answers_wait_for_whole_frames(lag: int) -> None:
    parameters = compiled(policy_with({"tracker.decision_lag": lag}))
    assert parameters.decision_lag == parameters.tracker["decision_lag"][0] == lag


@pytest.mark.parametrize(("high", "bound"), [(0.0, -1), (1.0, 1)])
def test_a_confidence_of_nought_or_one_is_finite_and_beyond_any_score(high: float, bound: int) -> None:
    record = compiled(policy_with({"tracker.association.high": high})).tracker[0]
    assert math.isfinite(record["high"])
    assert record["high"] * bound > 15


def test_process_noise_is_filterpys_for_one_second_at_density_one() -> None:
    [record] = compiled().tracker
    unit = Q_continuous_white_noise(2, 1.0, 1.0)
    assert [record["noise_position"], record["noise_cross"], record["noise_velocity"]] == [
        unit[0, 0],
        unit[0, 1],
        unit[1, 1],
    ]


SETTINGS: list[tuple[str, Any, str, float]] = [
    ("frame_width", 1920, "frame_width", 1920),
    ("frame_height", 1080, "frame_height", 1080),
    ("nominal_fps", 25.0, "frame_interval", 0.04),
    ("nominal_fps", 0.0, "frame_interval", 0.0),
    ("client_tracks", True, "client_tracks", 1),
    ("logits", True, "logits", 1),
    ("max_detections", 77, "max_detections", 77),
    ("max_tracks", 1234, "max_tracks", 1234),
    ("include_boxes", False, "want_boxes", 0),
    ("include_tracks", False, "want_tracks", 0),
    ("include_coasted", False, "want_coasted", 0),
    ("include_features", True, "want_features", 1),
]


@pytest.mark.parametrize(("name", "value", "field", "expected"), SETTINGS)
def test_what_the_caller_says_lies_where_the_kernels_read_it(
    name: str, value: object, field: str, expected: float
) -> None:
    changes: dict[str, Any] = {name: value}
    [record] = compiled(**changes).tracker
    assert record[field] == expected


def test_every_field_of_the_kernels_record_of_a_stream_is_filled() -> None:
    noise = {"noise_position", "noise_cross", "noise_velocity"}
    named = (
        {field for *_, field, _ in SETTINGS}
        | {name for _, name in TRACKING}
        | noise
        | {"high", "class_aware", "want_overlap", "decision_lag", "valid_from", "valid_until"}
    )
    assert set(TRACKER.names or ()) == named


class TestClasses:
    names = {9: "car", 2: "person", 65_535: "kite", 5: "car_2"}  # noqa: RUF012 - read only

    def test_records_come_by_ascending_id(self) -> None:
        parameters = compiled(class_names=self.names)
        assert parameters.judges["id"].tolist() == [2, 5, 9, 65_535]

    def test_the_lookup_finds_each_classs_row_and_no_other(self) -> None:
        lookup = compiled(class_names=self.names).class_lookup
        assert lookup.dtype == np.int32
        assert {int(place): int(lookup[place]) for place in np.flatnonzero(lookup >= 0)} == {
            2: 0,
            5: 1,
            9: 2,
            65_535: 3,
        }
        assert len(lookup) == 65_536

    def test_each_class_is_judged_by_its_name_and_the_unknown_by_the_defaults(self) -> None:
        policy = policy_with(
            {"classes": {"car": {"track": {"thresholds": {"yes": 0.91}}}, "bus": {"evidence": {"noise": 3.0}}}}
        )
        parameters = compiled(policy, class_names=self.names)
        assert parameters.judges["track_yes"].tolist() == [0.7, 0.7, 0.91, 0.7]
        assert set(parameters.judges["noise"].tolist()) == {1.0}

    def test_in_whatever_order_they_are_named_records_are_the_same(self) -> None:
        records = {
            compiled(class_names=dict(order)).judges.tobytes() for order in itertools.permutations(self.names.items())
        }
        assert len(records) == 1


class TestOverlaps:
    """Overlaps are computed only where somebody weighs them."""

    nothing = {f"defaults.box.weights.{name}": 0.0 for name in ("overlap", "cover", "neighbours")}  # noqa: RUF012 - read only
    without = policy_with(nothing)
    for_cars = policy_with({**nothing, "classes": {"car": {"box": {"weights": {"overlap": -0.5}}}}})

    def wanted(self, policy: Policy, **settings: Any) -> bool:
        return bool(compiled(policy, **settings).tracker["want_overlap"][0])

    def test_where_the_defaults_weigh_them(self) -> None:
        assert self.wanted(plain_policy())
        assert not self.wanted(self.without)

    def test_where_a_class_of_the_stream_does(self) -> None:
        assert self.wanted(self.for_cars, class_names={0: "person", 1: "car"})
        assert not self.wanted(self.for_cars, class_names={0: "person", 1: "bus"})

    @pytest.mark.parametrize("name", ["overlap", "cover", "neighbours"])
    def test_whichever_of_them_is_weighed(self, name: str) -> None:
        assert self.wanted(policy_with({**self.nothing, f"defaults.box.weights.{name}": 0.1}))

    def test_where_someone_asks_for_what_is_weighed(self) -> None:
        assert self.wanted(self.without, include_features=True)


def test_parameters_carry_the_policys_version() -> None:
    policy = policy_with({"number": 12})
    assert compiled(policy).version == policy.version
    assert policy.version.startswith("12-")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"class_names": {}}, "name at least one class"),
        ({"class_names": {0: "a"}, "max_tracks": 10}, "less than max_detections"),
    ],
)
def test_settings_that_can_not_be_run_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        StreamSettings(**fields)
