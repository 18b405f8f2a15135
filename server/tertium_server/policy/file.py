"""The file form of a policy: YAML 1.2 (where ``yes`` and ``no`` are plain words, not truth values), read with errors that name the field."""

from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from tertium_server.policy.errors import PolicyError
from tertium_server.policy.model import Policy


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
    try:
        data: Any = YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        raise PolicyError(f"{source}: is no YAML: {error}") from error
    if not isinstance(data, dict):
        raise PolicyError(f"{source}: holds no policy: expected the keys format, name, tracker, defaults")
    try:
        return Policy.model_validate(data)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc']) or 'policy'}: {problem['msg']}" for problem in error.errors()
        )
        raise PolicyError(f"{source}: {problems}") from error


@cache
def default_policy() -> Policy:
    """The built-in policy, in force where none is given."""
    text = resources.files("tertium_server.policy").joinpath("default.yaml").read_text(encoding="utf-8")
    return parse_policy(text, "the built-in policy")
