"""Where in a YAML text a field stands."""

from collections.abc import Sequence

from ruamel.yaml.nodes import MappingNode, Node, SequenceNode


def find_line(root: Node, place: Sequence[str]) -> int:
    """The line (from 1) of a field of what was read, or, where that has no such field, of the nearest section above it.

    Parts of a place that are no keys of the text ("float", say, of a value that may be several things) are passed over.
    """
    node, line = root, int(root.start_mark.line) + 1
    for part in place:
        found = _child(node, part)
        if found is not None:
            node, line = found
    return line


def _child(node: Node, part: str) -> tuple[Node, int] | None:
    """The node under a key or index, and the line its key is on."""
    if isinstance(node, MappingNode):
        for key, value in reversed(node.value):  # what a mapping has of its own stands behind what was merged into it
            if key.value == part:
                return value, int(key.start_mark.line) + 1
    if isinstance(node, SequenceNode) and part.isdecimal() and int(part) < len(node.value):
        value = node.value[int(part)]
        return value, int(value.start_mark.line) + 1
    return None
