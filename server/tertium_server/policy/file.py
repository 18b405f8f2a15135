"""The file form of a policy: YAML 1.2 (where ``yes`` and ``no`` are plain words, not truth values), read with errors that name line and field."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import resources
from io import StringIO
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from tertium_server.policy.check import suggestion
from tertium_server.policy.errors import PolicyError, Problem
from tertium_server.policy.lines import find_line
from tertium_server.policy.merging import difference
from tertium_server.policy.model import Policy
from tertium_server.policy.schema import fields_at
from tertium_server.wording import in_words

_MOST_CHARACTERS = 2**20
_MOST_NODES = 100_000
"""Keys and values of a text, and again of what its references (*name) stand for written out. YAML is read at some 60 µs each, and whoever may put
a policy into a server must not keep it from its cameras."""

_ROOM = 10
"""So many times as much may be in files of this machine and in stores: what was taken from a caller is longer when it is written out."""

_MOST_ERRORS = 50

_MERGE = "tag:yaml.org,2002:merge"


class _TooLargeError(Exception):
    """A text has more in it than a policy may."""

    def __init__(self, what: str) -> None:
        super().__init__(f"is no policy: it has more than {what}")


class _BoundedComposer(Composer):
    """Stops where a text has more keys and values than may be."""

    most = _MOST_NODES
    _nodes = 0

    def compose_node(self, parent: Any, index: Any) -> Any:  # noqa: ANN401  # as ruamel has it
        self._nodes += 1
        if self._nodes > self.most:
            raise _TooLargeError(f"{self.most:,} keys and values")
        return super().compose_node(parent, index)


class _PlainConstructor(SafeConstructor):
    """Reads dates as they are written: JSON, and with it the hash, has no other form for them. Keeps the nodes, which know their lines."""

    most = _MOST_NODES
    root: Node | None = None
    _merged = 0

    def construct_document(self, node: Any) -> Any:  # noqa: ANN401  # as ruamel has it
        self.root = node
        return super().construct_document(node)

    def flatten_mapping(self, node: Any) -> Any:  # noqa: ANN401  # likewise
        """Puts in what a merge key (<<) refers to: again and again where references lead to references, so it is counted before."""
        for key, value in node.value:
            if key.tag != _MERGE:
                continue
            merged = value.value if isinstance(value, SequenceNode) else [value]
            sources = [each for each in merged if isinstance(each, MappingNode)]
            for source in {id(each): each for each in sources}.values():
                self.flatten_mapping(source)
            self._merged += sum(len(each.value) for each in sources)
            if self._merged > self.most:
                raise _TooLargeError(f"{self.most:,} values, with all that it merges (<<) written out")
        super().flatten_mapping(node)


_PlainConstructor.add_constructor("tag:yaml.org,2002:timestamp", SafeConstructor.construct_yaml_str)


def load_policy(path: str | Path) -> Policy:
    """Reads a policy file.

    Raises:
        PolicyError: the file can't be read, is no YAML, or a field is wrong; all wrong fields are named.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise PolicyError(f"{path}: can't be read: {reason}", str(path)) from error
    return parse_policy(text, str(path), ours=True)


def parse_policy(text: str, source: str, *, ours: bool = False) -> Policy:
    """A policy of YAML text; ``source`` names it in errors. ``ours``: it comes from this machine or a store, and may be longer.

    Raises:
        PolicyError: it is no YAML, too long, or a field is wrong.
    """
    room = _ROOM if ours else 1
    yaml = YAML(typ="safe", pure=True)
    yaml.Composer = _BoundedComposer
    yaml.Constructor = _PlainConstructor
    yaml.composer.most = yaml.constructor.most = most = room * _MOST_NODES
    if len(text) > room * _MOST_CHARACTERS:
        raise PolicyError(f"{source}: is no policy: it has more than {room * _MOST_CHARACTERS:,} characters", source)
    try:
        data: Any = yaml.load(text)
    except _TooLargeError as error:
        raise PolicyError(f"{source}: {error}", source) from error
    except (YAMLError, ValueError) as error:  # of the latter kind: a number with thousands of digits
        raise PolicyError(f"{source}: {_at(error)}is no YAML: {_in_short(error)}", source) from error
    except RecursionError as error:
        raise PolicyError(f"{source}: is no policy: it is nested too deep", source) from error
    if _values_in(data, {}) > most:
        raise PolicyError(
            f"{source}: is no policy: with all references (*name) written out it has more than {most:,} values", source
        )
    if not isinstance(data, dict):
        raise PolicyError(f"{source}: holds no policy: expected the keys format, name, tracker, defaults", source)
    try:
        return Policy.model_validate(data)
    except ValidationError as error:
        raise PolicyError.of(source, _problems(error.errors(), yaml.constructor.root)) from error


def _problems(errors: Sequence[ErrorDetails], root: Node) -> list[Problem]:
    """What pydantic found, as much of it as anybody reads."""
    problems = [problem for each in errors[:_MOST_ERRORS] for problem in _explain(each, root)]
    if len(errors) > _MOST_ERRORS:
        problems.append(Problem("policy", 0, f"there are {len(errors) - _MOST_ERRORS} more problems; mend these first"))
    return problems


def _values_in(data: object, counted: dict[int, int]) -> int:
    """How many values there are, with what a reference names counted each time. One that leads to itself is refused by its field, later."""
    if not isinstance(data, dict | list):
        return 1
    if id(data) not in counted:
        counted[id(data)] = 1  # until it is known: who meets it again is inside of it
        within: Iterable[object] = data.values() if isinstance(data, dict) else data
        counted[id(data)] = 1 + sum(_values_in(each, counted) for each in within)
    return counted[id(data)]


def _at(error: Exception) -> str:
    """Where the YAML ends to be any: "line 7, column 3: "."""
    mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
    return "" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}: "


def _in_short(error: Exception) -> str:
    """What is wrong with it, in one line: logs hold it, too."""
    if isinstance(error, MarkedYAMLError):
        return ", ".join(part for part in (error.context, error.problem) if part)
    return " ".join(str(error).split())


def _explain(error: ErrorDetails, root: Node) -> list[Problem]:
    """What pydantic found, with its place in the file and a remedy."""
    together = error.get("ctx", {}).get("problems")
    if together is not None:
        return [_problem(place, message, root) for place, message in together]
    place = tuple(str(part) for part in error["loc"])
    message = in_words(error)
    if error["type"] == "extra_forbidden":
        message = f"there is no such field; {suggestion(place[-1], fields_at(place[:-1]))}"
    return [_problem(place, message, root)]


def _problem(place: Sequence[str], message: str, root: Node) -> Problem:
    return Problem(".".join(place) or "policy", find_line(root, place), message)


def problems_at(found: Sequence[tuple[Sequence[str], str]], path: Path) -> list[Problem]:
    """Problems by their places, with the lines of a file that was read before."""
    root: Node = YAML(typ="safe", pure=True).compose(path.read_text(encoding="utf-8"))
    return [_problem(place, message, root) for place, message in found]


def dump_policy(policy: Policy, comment: str = "") -> str:
    """A policy as YAML text that :func:`parse_policy` reads back as an equal policy. ``comment`` heads it; classes say only what differs."""
    tree = policy.to_tree()
    tree["classes"] = {name: difference(tree["defaults"], own) for name, own in tree["classes"].items()}
    writer = YAML(pure=True)
    writer.width = 120
    writer.default_flow_style = None
    stream = StringIO()
    writer.dump(tree, stream)
    head = "".join(f"# {line}".rstrip() + "\n" for line in comment.splitlines())
    return head + stream.getvalue()


def differing(old: Policy, new: Policy) -> dict[str, tuple[Any, Any]]:
    """What two policies say differently, by path: (old, new), None where one says nothing. Number and story of either do not count."""
    trees = [_comparable(policy) for policy in (old, new)]
    paths = dict.fromkeys((*trees[0], *trees[1]))
    return {
        path: (trees[0].get(path), trees[1].get(path)) for path in paths if trees[0].get(path) != trees[1].get(path)
    }


def _comparable(policy: Policy) -> dict[str, Any]:
    tree = policy.to_tree()
    # A class that has all its values in memory says in its file only what is its own.
    tree["classes"] = {name: difference(tree["defaults"], own) for name, own in tree["classes"].items()}
    for name in ("number", "about", "provenance", "format", "reference"):
        tree.pop(name, None)
    order = {name: list(tree[name]) for name in ("groups", "streams", "zones", "profiles") if name in tree}
    return dict(_flat(tree)) | {f"order of {name}": entries for name, entries in order.items() if len(entries) > 1}


def _flat(tree: Mapping[str, Any], before: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in tree.items():
        path = f"{before}{key}"
        if isinstance(value, Mapping):
            found += _flat(value, f"{path}.")
        elif value != []:  # an empty section says as little as one that is not there
            found.append((path, value))
    return found


@cache
def default_policy() -> Policy:
    """The built-in policy, in force where none is given."""
    text = resources.files("tertium_server.policy").joinpath("default.yaml").read_text(encoding="utf-8")
    return parse_policy(text, "the built-in policy")
