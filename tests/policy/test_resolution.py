"""Which values hold where: layers over one another, by an independent reading of the precedence."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from tertium_server.policy import Policy, PolicyError, Situation, dump_policy, effective_judgement, parse_policy
from tertium_server.policy.check import BOUNDS
from tertium_server.policy.resolution import effective_tracker, origins, profile_for, settled
from tertium_server.policy.values import Judgement, Tracker
from tests.policies import plain_data

SQUARE = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]
ALWAYS = [{"opens": "00:00", "closes": "00:00"}]


def yes(value: float) -> dict[str, Any]:
    return {"box": {"thresholds": {"yes": value}}}


def policy_of(**sections: Any) -> Policy:
    return Policy.model_validate(plain_data() | sections)


def yes_in(policy: Policy, **situation: Any) -> float:
    return effective_judgement(policy, Situation(**situation)).box.thresholds.yes


LAYERED = policy_of(
    classes={"person": yes(0.61)},
    groups={"yard": {"all": yes(0.62), "classes": {"person": yes(0.63)}}, "y*": {"all": yes(0.9)}},
    streams={"gate-1": {"all": yes(0.64)}, "gate-*": {"classes": {"person": yes(0.65)}}},
    zones={"drive": {"polygon": SQUARE, "all": yes(0.66), "classes": {"person": yes(0.67)}}},
    profiles={"night": {"schedule": ALWAYS, "all": yes(0.68), "classes": {"person": yes(0.69)}}},
)


@pytest.mark.parametrize(
    ("situation", "expected"),
    [
        ({}, 0.6),
        ({"class_name": "person"}, 0.61),
        ({"group": "yard"}, 0.62),
        ({"group": "yard", "class_name": "car"}, 0.62),
        ({"group": "yard", "class_name": "person"}, 0.63),
        ({"group": "yacht"}, 0.9),
        ({"group": "Yard"}, 0.6),
        ({"group": "yard", "stream": "gate-1", "class_name": "person"}, 0.64),
        ({"stream": "gate-2", "class_name": "person"}, 0.65),
        ({"stream": "gate-2"}, 0.6),
        ({"stream": "gate-1", "zone": "drive", "class_name": "car"}, 0.66),
        ({"group": "yard", "zone": "drive", "class_name": "person"}, 0.67),
        ({"zone": "drive", "profile": "night", "class_name": "car"}, 0.68),
        ({"group": "yard", "stream": "gate-1", "zone": "drive", "profile": "night", "class_name": "person"}, 0.69),
    ],
)
def test_the_more_particular_layer_lies_over_the_more_general(situation: dict[str, Any], expected: float) -> None:
    assert yes_in(LAYERED, **situation) == expected


PATHS = ("box.thresholds.yes", "track.thresholds.hold", "evidence.noise", "track.weights.hits")


def nested(path: str, value: float) -> dict[str, Any]:
    result: Any = value
    for part in reversed(path.split(".")):
        result = {part: result}
    return dict(result)


@given(
    st.dictionaries(
        st.tuples(st.sampled_from(["groups", "streams", "zones", "profiles"]), st.booleans()),
        st.tuples(st.sampled_from(PATHS), st.floats(0.75, 1.0)),
    )
)
def test_each_value_is_that_of_the_last_layer_that_names_it(said: dict[tuple[str, bool], tuple[str, float]]) -> None:
    extra: dict[str, dict[str, Any]] = {"zones": {"polygon": SQUARE}, "profiles": {"schedule": ALWAYS}}
    sections: dict[str, Any] = {}
    for (layer, for_class), (path, value) in said.items():
        entry = sections.setdefault(layer, {"x": dict(extra.get(layer, {}))})["x"]
        entry.update({"classes": {"person": nested(path, value)}} if for_class else {"all": nested(path, value)})
    policy = policy_of(**sections)
    situation = Situation(
        class_name="person",
        group="x",
        stream="x",
        zone="x" if "zones" in sections else None,
        profile="x" if "profiles" in sections else None,
    )
    tree = effective_judgement(policy, situation).model_dump()
    plain = policy.defaults.model_dump()
    where = origins(policy, situation)
    for path in PATHS:
        expected, origin = plain, "defaults"
        for part in path.split("."):
            expected = expected[part]
        for layer in ("groups", "streams", "zones", "profiles"):
            for for_class in (False, True):
                said_path, value = said.get((layer, for_class), ("", 0.0))
                if said_path == path:
                    expected, origin = value, f"{layer}.x.{'classes.person' if for_class else 'all'}"  # type: ignore[assignment]
        found: Any = tree
        for part in path.split("."):
            found = found[part]
        assert found == expected
        assert where[tuple(path.split("."))] == origin


def test_groups_and_streams_may_be_tracked_otherwise() -> None:
    policy = policy_of(
        groups={"yard": {"tracker": {"lifetime": {"coast": 3.0}}}}, streams={"gate": {"tracker": {"motion": {"acceleration": 9.0}}}}
    )  # fmt: skip
    tracker = effective_tracker(policy, "yard", "gate")
    assert (tracker.lifetime.coast, tracker.motion.acceleration) == (3.0, 9.0)
    assert effective_tracker(policy, "default", "door") is policy.tracker


def test_the_first_profile_that_is_open_and_meant_for_the_zone_holds() -> None:
    policy = policy_of(
        zones={"drive": {"polygon": SQUARE}},
        profiles={
            "night drive": {"schedule": ALWAYS, "zones": ["drive"]},
            "night": {"schedule": ALWAYS},
            "holiday": {"schedule": ALWAYS},
        },
    )
    assert profile_for(policy.profiles, ["night", "night drive", "holiday"], "drive") == "night drive"
    assert profile_for(policy.profiles, ["night", "night drive", "holiday"], None) == "night"
    assert profile_for(policy.profiles, ["night drive"], None) is None
    assert profile_for(policy.profiles, ["holiday"], "drive") == "holiday"
    assert profile_for(policy.profiles, [], "drive") is None


def test_a_policy_settled_for_a_stream_judges_it_the_same_without_naming_it() -> None:
    alone = settled(LAYERED, "yard", "gate-1")
    assert not alone.groups
    assert not alone.streams
    for name in ("person", "car", ""):
        for zone in (None, "drive"):
            for profile in (None, "night"):
                there = Situation(class_name=name, group="yard", stream="gate-1", zone=zone, profile=profile)
                here = Situation(class_name=name, zone=zone, profile=profile)
                assert effective_judgement(LAYERED, there) == effective_judgement(alone, here)


def problems_of(**sections: Any) -> list[str]:
    text = dump_policy(policy_of()).replace("classes: {}", "")
    import json  # noqa: PLC0415 - YAML holds JSON

    text += "".join(f"{name}: {json.dumps(value)}\n" for name, value in sections.items())
    with pytest.raises(PolicyError) as caught:
        parse_policy(text, "site.yaml")
    return [str(problem) for problem in caught.value.problems]


def no(value: float) -> dict[str, Any]:
    return {"box": {"thresholds": {"no": value}}}


class TestThresholdsThatCross:
    """The plain policy has box thresholds yes 0.6, no 0.2."""

    def test_in_one_layer(self) -> None:
        [problem] = problems_of(groups={"yard": {"all": {"box": {"thresholds": {"yes": 0.3, "no": 0.4}}}}})
        assert "groups.yard.all.box.thresholds" in problem

    def test_against_what_lies_below(self) -> None:
        [problem] = problems_of(zones={"drive": {"polygon": SQUARE, "all": yes(0.1)}})
        assert "zones.drive.all.box.thresholds.yes" in problem
        assert "no (0.2, of defaults.box.thresholds) would lie over yes (0.1" in problem

    def test_only_where_two_layers_meet(self) -> None:
        [problem] = problems_of(
            groups={"yard": {"all": no(0.5)}}, profiles={"night": {"schedule": ALWAYS, "all": yes(0.4)}}
        )
        assert "profiles.night.all.box.thresholds.yes" in problem
        assert "groups.yard.all.box.thresholds.no" in problem

    def test_only_for_one_class(self) -> None:
        [problem] = problems_of(classes={"person": no(0.55)}, streams={"gate": {"classes": {"person": yes(0.5)}}})
        assert 'for class "person"' in problem

    def test_not_where_the_upper_layer_mends_it(self) -> None:
        both = {"box": {"thresholds": {"yes": 0.4, "no": 0.1}}}
        policy_of(groups={"yard": {"all": no(0.5)}}, zones={"drive": {"polygon": SQUARE, "all": both}})

    def test_not_between_two_entries_of_a_layer(self) -> None:
        policy_of(groups={"yard": {"all": no(0.5)}, "street": {"all": yes(0.4)}})

    def test_not_where_the_two_never_meet(self) -> None:
        zone = {"polygon": SQUARE, "all": yes(0.4), "streams": ["door"]}
        policy_of(streams={"gate": {"all": no(0.5)}}, zones={"drive": zone})
        problems_of(streams={"gate": {"all": no(0.5)}}, zones={"drive": zone | {"streams": ["g*"]}})
        other = {"schedule": ALWAYS, "all": yes(0.4), "zones": ["lawn"]}
        zones = {"drive": {"polygon": SQUARE, "all": no(0.5)}, "lawn": {"polygon": SQUARE}}
        policy_of(zones=zones, profiles={"night": other})
        problems_of(zones=zones, profiles={"night": other | {"zones": ["drive"]}})


def sections_with_rules(model: type[BaseModel], *before: str) -> set[tuple[str, ...]]:
    """Sections of a judgement whose values are checked against one another."""
    found: set[tuple[str, ...]] = {before} if model.__pydantic_decorators__.model_validators else set()
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found |= sections_with_rules(field.annotation, *before, name)
    return found


def test_whatever_a_section_checks_is_checked_where_overrides_meet() -> None:
    assert sections_with_rules(Judgement) == {bounds.section for bounds in BOUNDS}
    assert sections_with_rules(Tracker) == set(), "a tracker's overrides can't break it"


def test_heights_may_not_cross_either() -> None:
    [problem] = problems_of(
        groups={"yard": {"all": {"box": {"heights": {"least": 300.0}}}}},
        zones={"drive": {"polygon": SQUARE, "all": {"box": {"heights": {"most": 200.0}}}}},
    )
    assert "least (300, of groups.yard.all.box.heights.least) would lie over most (200" in problem


@given(st.data())
def test_a_policy_that_is_accepted_crosses_nowhere(data: st.DataObject) -> None:
    value = st.sampled_from([0.1, 0.3, 0.5, 0.7])
    thresholds = st.dictionaries(st.sampled_from(["yes", "no"]), value)
    override = st.fixed_dictionaries({"all": st.builds(lambda each: {"box": {"thresholds": each}}, thresholds)})
    zone = override.map(lambda each: each | {"polygon": SQUARE})
    profile = override.map(lambda each: each | {"schedule": ALWAYS})
    sections = {
        layer: data.draw(st.dictionaries(st.sampled_from("ab"), kind), label=layer)
        for layer, kind in (("groups", override), ("streams", override), ("zones", zone), ("profiles", profile))
    }
    crossing = any(
        _thresholds(sections, group, stream, zone_name, profile_name)["no"]
        > _thresholds(sections, group, stream, zone_name, profile_name)["yes"]
        for group in "ab-"
        for stream in "ab-"
        for zone_name in "ab-"
        for profile_name in "ab-"
    )
    try:
        policy_of(**sections)
    except ValueError:
        assert crossing
    else:
        assert not crossing


def _thresholds(sections: dict[str, Any], *chosen: str) -> dict[str, float]:
    """By brute force."""
    found = {"yes": 0.6, "no": 0.2}
    for layer, name in zip(("groups", "streams", "zones", "profiles"), chosen, strict=True):
        if name in sections[layer]:
            found |= sections[layer][name]["all"]["box"]["thresholds"]
    return found


class TestNames:
    def test_classes_that_nobody_knows_are_named_with_a_suggestion(self) -> None:
        [problem] = problems_of(known_classes=["person", "car"], groups={"yard": {"classes": {"persn": yes(0.7)}}})
        assert problem.endswith('groups.yard.classes.persn: there is no class "persn"; did you mean "person"?')

    def test_zones_that_are_not_there_are_named_with_a_suggestion(self) -> None:
        [problem] = problems_of(
            zones={"drive": {"polygon": SQUARE}}, profiles={"night": {"schedule": ALWAYS, "zones": ["drvie"]}}
        )
        assert 'there is no zone "drvie"; did you mean "drive"?' in problem

    def test_fields_that_are_not_there_are_named_with_a_suggestion(self) -> None:
        [problem] = problems_of(zones={"drive": {"polygon": SQUARE, "all": {"box": {"threshold": {}}}}})
        assert 'zones.drive.all.box.threshold: there is no such field; did you mean "thresholds"?' in problem

    def test_zones_can_not_change_how_scores_are_read(self) -> None:
        [problem] = problems_of(zones={"drive": {"polygon": SQUARE, "all": {"scores": {"gain": 2.0}}}})
        assert "zones.drive.all.scores: there is no such field" in problem


def test_the_order_of_entries_is_part_of_the_content() -> None:
    one = policy_of(groups={"y*": {"all": yes(0.7)}, "yard": {"all": yes(0.8)}})
    other = policy_of(groups={"yard": {"all": yes(0.8)}, "y*": {"all": yes(0.7)}})
    assert one.sha256 != other.sha256
    assert parse_policy(dump_policy(one), "here").sha256 == one.sha256


def test_a_policy_with_every_section_is_read_back_as_it_was_written() -> None:
    assert parse_policy(dump_policy(LAYERED), "here") == LAYERED
    assert parse_policy(dump_policy(LAYERED), "here").version == LAYERED.version
