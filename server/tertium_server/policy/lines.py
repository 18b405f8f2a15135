"""Where in a YAML text a field stands."""

from collections.abc import Sequence
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode


def find_line(text: str, place: Sequence[str]) -> int:
    """The line (from 1) of a field, or, where the text has no such field, of the nearest section above it.

    The text has been read as YAML before. Parts of a place that are no keys of the text ("float", say, of a value that may be several things) are
    passed over.
    """
    node: Any = YAML(typ="safe", pure=True).compose(text)
    line = int(node.start_mark.line) + 1
    for part in place:
        found = _child(node, part)
        if found is not None:
            node, line = found
    return line


def _child(node: Node, part: str) -> tuple[Node, int] | None:
    """The node under a key or index, and the line its key is on."""
    if isinstance(node, MappingNode):
        for key, value in node.value:
            if key.value == part:
                return value, int(key.start_mark.line) + 1
    if isinstance(node, SequenceNode) and part.isdecimal() and int(part) < len(node.value):
        value = node.value[int(part)]
        return value, int(value.start_mark.line) + 1
    return None
