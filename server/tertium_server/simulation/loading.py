"""Worlds from files and by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from tertium_server.policy.check import suggestion
from tertium_server.wording import in_words, shown

from .errors import WorldError
from .world import World

_WORLDS = resources.files("tertium_server.simulation") / "worlds"


def preset_names() -> tuple[str, ...]:
    """The worlds that ship with Tertium."""
    return tuple(sorted(file.name.removesuffix(".yaml") for file in _WORLDS.iterdir() if file.name.endswith(".yaml")))


def preset(name: str, /, **changes: object) -> World:
    """A world that ships with Tertium, with some of its numbers changed: ``preset("drift", frames=300, detector={"sure": 2})``.

    Raises:
        WorldError: there is none of this name, or it can't be with these numbers.
    """
    if name not in preset_names():
        raise WorldError(
            f"world {name}: there is none of this name; give a file, or one of {', '.join(preset_names())}"
        )
    return world_of(_parsed((_WORLDS / f"{name}.yaml").read_text("utf-8"), name), f"world {name}").change(**changes)


def load_world(where: str | Path, /, **changes: object) -> World:
    """A world from a YAML file; or by its name, where there is no such file and a world of this name ships with Tertium.

    Raises:
        WorldError: the file can't be read, or is no world; each field at fault has a line.
    """
    path = Path(where)
    if str(where) in preset_names() and not path.is_file():
        return preset(str(where), **changes)
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        remedy = f"give a YAML file, or one of {', '.join(preset_names())}"
        raise WorldError(f"world {where}: can't be read ({reason}); {remedy}") from error
    return world_of(_parsed(text, str(where)), str(where)).change(**changes)


def world_of(tree: Mapping[str, Any], where: str = "world") -> World:
    """A world from what a file says of it.

    Raises:
        WorldError: it is none; each field at fault has a line.
    """
    try:
        return World.model_validate(dict(tree))
    except ValidationError as error:
        wrong = error.errors()
        inner = {one["loc"][:length] for one in wrong for length in range(len(one["loc"]))}
        # A list one of whose entries can't be is said to be too short, too; that is no news.
        lines = [_told(where, one) for one in wrong if not one["loc"] or one["loc"] not in inner]
        raise WorldError("\n".join(lines)) from error


def _told(where: str, wrong: ErrorDetails) -> str:
    field = ".".join(map(str, wrong["loc"])) or "the file"
    if wrong["type"] == "extra_forbidden":
        return f"{where}: {field}: there is no such field; {suggestion(str(wrong['loc'][-1]), _fields_at(wrong['loc'][:-1]))}"
    found = f", not {shown(wrong['input'])}" if wrong["loc"] and wrong["type"] != "missing" else ""
    return f"{where}: {field}: {in_words(wrong)}{found}"


def _fields_at(place: Sequence[int | str]) -> list[str]:
    """The fields that there are at a place of a world."""
    kind: Any = World
    for part in place:
        kind = kind.model_fields[part].annotation if isinstance(part, str) else get_args(kind)[0]
    return list(kind.model_fields)


def dump_world(world: World) -> str:
    """The world as YAML, whole: what `load_world` reads back as the same."""
    import io  # noqa: PLC0415  # only here

    out = io.StringIO()
    YAML().dump(world.model_dump(mode="json"), out)
    return out.getvalue()


def _parsed(text: str, where: str) -> dict[str, Any]:
    try:
        tree: Any = YAML(typ="safe", pure=True).load(text)
    except (YAMLError, ValueError) as error:  # of the latter kind: a number with thousands of digits
        raise WorldError(
            f"world {where}: is no YAML ({str(error).splitlines()[0]}); compare it with a world that is"
        ) from error
    except RecursionError as error:
        raise WorldError(f"world {where}: is no world: it is nested too deep; compare it with one that is") from error
    if not isinstance(tree, dict):
        raise WorldError(f"world {where}: holds no fields; write name: value, a line each")
    return tree
