"""The Policy value: what a class is judged by, what is immutable, what may be asked of it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tertium_server.policy import Policy
from tests.policies import plain_data, plain_policy, policy_with

OVERRIDES = {
    "car": {"track": {"thresholds": {"yes": 0.9}}, "evidence": {"miss": {"value": -1.0}}},
    "bus": {"scores": {"offset": 0.5}},
    "dog": {},
}


def test_a_class_has_its_own_values_and_the_defaults_for_all_others() -> None:
    policy = policy_with({"classes": OVERRIDES})
    defaults = policy.defaults
    car = policy.judgement("car")
    assert (car.track.thresholds.yes, car.evidence.miss.value) == (0.9, -1.0)
    assert car.track.thresholds.no == defaults.track.thresholds.no
    assert car.track.weights == defaults.track.weights
    assert car.evidence.miss.noise == defaults.evidence.miss.noise
    assert (car.scores, car.box) == (defaults.scores, defaults.box)
    assert policy.judgement("bus").scores.offset == 0.5
    assert policy.judgement("bus").scores.clip == defaults.scores.clip
    assert policy.judgement("dog") == defaults


def test_a_copy_that_says_otherwise_has_another_hash() -> None:
    policy = plain_policy()
    before = policy.sha256
    waiting = policy.model_copy(update={"tracker": policy.tracker.model_copy(update={"decision_lag": 5})})
    assert waiting.sha256 == Policy.model_validate(waiting.model_dump()).sha256 != before
    assert policy.model_copy(update={"number": 7}).sha256 == policy.sha256 == before


def test_a_class_nobody_named_is_judged_by_the_defaults() -> None:
    policy = policy_with({"classes": OVERRIDES})
    assert policy.judgement("zebra") is policy.defaults
    assert policy.judgement("CAR") is policy.defaults, "names are told apart to the letter"


def test_classes_are_told_in_the_files_order() -> None:
    assert policy_with({"classes": OVERRIDES}).class_names() == ("car", "bus", "dog")


def test_an_override_is_judged_together_with_the_defaults_it_is_merged_with() -> None:
    with pytest.raises(ValidationError, match="lies over yes"):
        policy_with({"classes": {"car": {"track": {"thresholds": {"yes": 0.1}}}}})


def test_completing_a_class_leaves_the_data_it_was_made_of_alone() -> None:
    data = plain_data() | {"classes": {"car": {"box": {"thresholds": {"yes": 0.8}}}}}
    Policy.model_validate(data)
    assert data["classes"] == {"car": {"box": {"thresholds": {"yes": 0.8}}}}
    assert data["defaults"] == plain_data()["defaults"]


@given(
    st.lists(
        st.sampled_from(["evidence.noise", "box.thresholds.yes", "track.weights.hits", "scores.clip"]), unique=True
    ),
    st.floats(0.75, 1.0),
)
def test_any_part_of_a_class_may_be_its_own(paths: list[str], value: float) -> None:
    override: dict[str, Any] = {}
    for path in paths:
        *sections, name = path.split(".")
        section = override
        for each in sections:
            section = section.setdefault(each, {})
        section[name] = value
    judged = policy_with({"classes": {"car": override}}).judgement("car")
    expected = policy_with({f"defaults.{path}": value for path in paths}).defaults
    assert judged == expected


def test_a_policy_can_not_be_changed() -> None:
    policy = plain_policy()
    for value, name in ((policy, "name"), (policy.defaults, "scores"), (policy.defaults.scores, "clip")):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(value, name, getattr(value, name))


def test_equal_policies_are_one_and_the_same_to_a_set() -> None:
    assert policy_with({}) == plain_policy()
    assert policy_with({}).sha256 == plain_policy().sha256
    assert policy_with({"defaults.evidence.noise": 1.5}) != plain_policy()


def test_meeting_thresholds_are_allowed_and_leave_no_maybe() -> None:
    thresholds = policy_with({"defaults.box.thresholds": {"yes": 0.5, "no": 0.5}}).defaults.box.thresholds
    assert thresholds.yes == thresholds.no


def test_the_boxs_read_out_can_not_fall_in_the_score_or_a_level() -> None:
    for section, names in (("box", ("score", "fast", "slow")), ("track", ("fast", "slow"))):
        for name in names:
            with pytest.raises(ValidationError, match="greater than or equal to 0"):
                policy_with({f"defaults.{section}.weights.{name}": -1e-9})
