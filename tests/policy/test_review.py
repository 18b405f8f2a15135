"""The rules of human review in a policy."""

import pytest

from tertium_server.policy import Policy, PolicyError, default_policy, dump_policy, parse_policy


def policy_with(review: str) -> Policy:
    return parse_policy(f"{dump_policy(default_policy())}\nreview: {review}\n", "test")


def test_rules_that_say_nothing_new_are_not_written_and_change_no_version() -> None:
    assert "review" not in dump_policy(default_policy())
    assert policy_with("{open_after: 2.0}").version == default_policy().version


def test_other_rules_are_another_version_and_outlive_the_file() -> None:
    policy = policy_with("{audit_no: 0.2, default_verdict: no, salt: s}")
    assert policy.version != default_policy().version
    assert parse_policy(dump_policy(policy), "again") == policy


def test_a_class_has_its_own_rules_and_the_others_for_the_rest() -> None:
    rules = policy_with("{deadline: 60, audit_yes: 0.5, classes: {car: {default_verdict: yes, audit_yes: 1}}}").review
    car, person = rules.for_class("car"), rules.for_class("person")
    assert (car.deadline, car.default_verdict, car.audit_yes) == (60, "yes", 1)
    assert (person.deadline, person.default_verdict, person.audit_yes) == (60, "maybe", 0.5)


@pytest.mark.parametrize(
    ("review", "field"),
    [
        ("{audit_yes: 0}", "review.audit_yes"),
        ("{audit_no: 0.0}", "review.audit_no"),
        ("{classes: {car: {audit_no: 0}}}", "review.classes.car.audit_no"),
        ("{audit_yes: 1.5}", "review.audit_yes"),
        ("{deadline: 0}", "review.deadline"),
        ("{open_after: -1}", "review.open_after"),
        ("{default_verdict: perhaps}", "review.default_verdict"),
        ("{reviewers: 3}", "review.reviewers"),
    ],
)
def test_a_wrong_rule_is_named(review: str, field: str) -> None:
    with pytest.raises(PolicyError, match=field.replace(".", r"\.")):
        policy_with(review)


def test_a_class_that_does_not_exist_is_found() -> None:
    text = f"{dump_policy(default_policy())}\nknown_classes: [car]\nreview: {{classes: {{cat: {{deadline: 60}}}}}}\n"
    with pytest.raises(PolicyError, match="cat"):
        parse_policy(text, "test")


def test_unlikely_tracks_are_audited_less_often_and_none_never() -> None:
    rules = default_policy().review
    shares = [rules.audit_of_dismissed(probability) for probability in (0.0, 0.001, 0.02, 0.1, 0.5)]
    assert shares == sorted(shares)
    assert shares[0] > 0.0
    assert shares[-1] == rules.audit_no
    assert all(share <= rules.audit_no for share in shares)


def test_no_audit_share_is_scaled_away() -> None:
    rules = policy_with("{audit_no: 0.0001}").review
    assert rules.audit_of_dismissed(1e-9) == rules.audit_no == 0.0001
