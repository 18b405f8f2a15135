"""The JSON Schema of policy files, for editors and for whoever writes policies by program."""

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

from tertium_server.policy.model import Policy

_TITLE = "Tertium policy"


@cache
def policy_schema() -> dict[str, Any]:
    """The schema, draft 2020-12. What a schema can't say (thresholds that cross where overrides meet) is left to ``tertium policy validate``."""
    schema = Policy.model_json_schema(mode="validation")
    # In memory a class has all its values; in a file it says only what is its own.
    schema["properties"]["classes"]["additionalProperties"] = {"$ref": "#/$defs/JudgementOverride"}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": _TITLE}


def schema_text() -> str:
    """The schema as the file that is shipped."""
    return json.dumps(policy_schema(), indent=1, sort_keys=True) + "\n"


def fields_at(place: Sequence[str]) -> list[str]:
    """Names of the fields that a section of a policy may have."""
    node = _resolved(policy_schema())
    for part in place:
        below = node.get("properties", {}).get(part, node.get("additionalProperties", node.get("items")))
        if not isinstance(below, dict):
            return []
        node = _resolved(below)
    return list(node.get("properties", {}))


def _resolved(node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        node = policy_schema()["$defs"][node["$ref"].rpartition("/")[2]]
    return node
