"""The file form of a policy: YAML 1.2 (where ``yes`` and ``no`` are plain words, not truth values), read with errors that name the field."""

from collections.abc import Mapping
from functools import cache
from importlib import resources
from io import StringIO
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import YAMLError

from tertium_server.policy.errors import PolicyError
from tertium_server.policy.model import Policy


class _PlainConstructor(SafeConstructor):
    """Reads dates as they are written: JSON, and with it the hash, has no other form for them."""


_PlainConstructor.add_constructor("tag:yaml.org,2002:timestamp", SafeConstructor.construct_yaml_str)


def load_policy(path: str | Path) -> Policy:
    """Reads a policy file.

    Raises:
        PolicyError: the file can't be read, is no YAML, or a field is wrong; all wrong fields are named.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"{path}: can't be read: {error}") from error
    return parse_policy(text, str(path))


def parse_policy(text: str, source: str) -> Policy:
    """A policy of YAML text; ``source`` names it in errors.

    Raises:
        PolicyError: it is no YAML, or a field is wrong.
    """
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = _PlainConstructor
    try:
        data: Any = yaml.load(text)
    except (YAMLError, ValueError) as error:  # of the latter kind: a number with thousands of digits
        raise PolicyError(f"{source}: is no YAML: {error}") from error
    except RecursionError as error:
        raise PolicyError(f"{source}: is no policy: it is nested too deep") from error
    if not isinstance(data, dict):
        raise PolicyError(f"{source}: holds no policy: expected the keys format, name, tracker, defaults")
    try:
        return Policy.model_validate(data)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc']) or 'policy'}: {problem['msg']}"
            for problem in error.errors()
        )
        raise PolicyError(f"{source}: {problems}") from error


def dump_policy(policy: Policy, comment: str = "") -> str:
    """A policy as YAML text that :func:`parse_policy` reads back as an equal policy. ``comment`` heads it; classes say only what differs."""
    tree = policy.model_dump(mode="json")
    tree["classes"] = {name: _difference(tree["defaults"], own) for name, own in tree["classes"].items()}
    writer = YAML(pure=True)
    writer.width = 120
    writer.default_flow_style = None
    stream = StringIO()
    writer.dump(tree, stream)
    head = "".join(f"# {line}".rstrip() + "\n" for line in comment.splitlines())
    return head + stream.getvalue()


def _difference(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """What ``own`` says otherwise than ``base``, section by section."""
    different: dict[str, Any] = {}
    for key, value in own.items():
        if isinstance(value, Mapping):
            below = _difference(base[key], value)
            if below:
                different[key] = below
        elif value != base[key]:
            different[key] = value
    return different


@cache
def default_policy() -> Policy:
    """The built-in policy, in force where none is given."""
    text = resources.files("tertium_server.policy").joinpath("default.yaml").read_text(encoding="utf-8")
    return parse_policy(text, "the built-in policy")
