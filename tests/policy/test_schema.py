"""The JSON Schema of policy files: shipped, published, and of the same mind as the program."""

import copy
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from tertium_server.policy import PolicyError, default_policy, dump_policy, parse_policy
from tertium_server.policy.schema import policy_schema, schema_text
from tests.policies import plain_data

ROOT = Path(__file__).parents[2]
SQUARE = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]

RICH: dict[str, Any] = plain_data() | {
    "classes": {"person": {"track": {"thresholds": {"yes": 0.9}}}},
    "groups": {"yard": {"all": {"box": {"thresholds": {"no": 0.1}}}, "tracker": {"lifetime": {"coast": 2.0}}}},
    "zones": {"drive": {"polygon": SQUARE, "classes": {"person": {"evidence": {"noise": 2.0}}}}},
    "profiles": {"night": {"schedule": [{"days": ["mon"], "opens": "22:00", "closes": "06:00"}], "zones": ["drive"]}},
}


def with_value(path: str, value: object) -> dict[str, Any]:
    content = copy.deepcopy(RICH)
    section: Any = content
    *sections, name = path.split(".")
    for each in sections:
        section = section[int(each) if isinstance(section, list) else each]
    section[name] = value
    return content


@pytest.mark.parametrize(
    "file", [ROOT / "docs/policy.schema.json", ROOT / "server/tertium_server/policy/policy.schema.json"], ids=str
)
def test_the_files_are_what_the_program_says(file: Path) -> None:
    assert file.read_text() == schema_text(), "run: tertium policy schema > the file"


def test_the_schema_ships_with_the_package() -> None:
    shipped = resources.files("tertium_server.policy").joinpath("policy.schema.json")
    assert shipped.read_text(encoding="utf-8") == schema_text()


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(policy_schema())


@pytest.mark.parametrize("content", [plain_data(), RICH], ids=["plain", "rich"])
def test_it_takes_what_the_program_takes(content: dict[str, Any]) -> None:
    Draft202012Validator(policy_schema()).validate(content)
    import json  # noqa: PLC0415 - YAML holds JSON

    parse_policy(json.dumps(content), "here")


def test_it_takes_the_built_in_policy_as_it_is_written() -> None:
    Draft202012Validator(policy_schema()).validate(YAML(typ="safe", pure=True).load(dump_policy(default_policy())))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("name", ""),
        ("treshold", 1),
        ("defaults.box.thresholds.yes", 1.5),
        ("classes.person.track.thresholds.yes", -0.1),
        ("classes.person.trak", {}),
        ("groups.yard.all.box.thresholds.no", "low"),
        ("groups.yard.tracker.lifetime.cost", 1),
        ("zones.drive.all", {"scores": {"gain": 2.0}}),
        ("zones.drive.units", "inches"),
        ("zones.drive.polygon", [[0, 0, 0]]),
        ("profiles.night.schedule.0.opens", "7:00"),
        ("profiles.night.schedule.0.days", ["monday"]),
        ("known_classes", "person"),
    ],
)
def test_it_refuses_what_the_program_refuses(path: str, value: object) -> None:
    import json  # noqa: PLC0415 - YAML holds JSON

    content = with_value(path, value)
    assert list(Draft202012Validator(policy_schema()).iter_errors(content))
    with pytest.raises(PolicyError):
        parse_policy(json.dumps(content), "here")
