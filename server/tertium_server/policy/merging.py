"""Nested mappings laid over one another."""

from collections.abc import Iterator, Mapping
from typing import Any


def merged(base: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with the values of ``override`` in place of its own, section by section."""
    result = dict(base)
    for key, value in override.items():
        below = result.get(key)
        result[key] = merged(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return result


def difference(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """What ``own`` says otherwise than ``base``, section by section."""
    different: dict[str, Any] = {}
    for key, value in own.items():
        below = base.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            inner = difference(below, value)
            if inner:
                different[key] = inner
        elif key not in base or value != below:
            different[key] = value
    return different


def leaves(tree: Mapping[str, Any], *before: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Paths and values of everything that is no section. An empty section is a value."""
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, *before, key)
        else:
            yield (*before, key), value
