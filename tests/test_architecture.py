"""Imports go one way: cli, app → rpc, web → review, quality, tuning → policy → engine, storage; and the client stays thin."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE_ROOTS = ("protos", "client", "server")

WIRE = frozenset({"grpc", "grpc_health", "grpc_reflection", "grpc_status", "google", "tertium"})
"""gRPC and protobuf, with the classes generated from the contract."""

THIN_WIRE = frozenset({"grpc", "google.protobuf", "tertium"})
"""As much of it as the base install brings."""

SHARED = frozenset({"errors", "config", "metrics", "logs", "pacing", "wording"})
"""Modules of the server that every layer above the engine may use."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What a package, or a part of the server, may import beside itself and the standard library."""

    ours: frozenset[str] = frozenset()
    """Parts of the server ("engine"), and "tertium_client"."""

    others: frozenset[str] | None = None
    """Packages of others; None: any."""

    wire: frozenset[str] = frozenset()
    """Of gRPC, protobuf and the generated classes."""


def _server_rules() -> dict[str, Rule]:
    """The server's layers, lowest first: each may import all those below it, and of its own what is named here."""
    domain = frozenset({"policy", "engine", "storage"}) | SHARED
    serving = domain | {"review", "quality", "tuning"}
    top = serving | {"rpc", "web"}
    return {
        "engine": Rule(others=frozenset({"numpy", "numba", "filterpy"})),
        "storage": Rule(ours=SHARED),
        "policy": Rule(ours=frozenset({"engine", "storage"}) | SHARED),
        "review": Rule(ours=domain),
        "quality": Rule(ours=domain),
        # What cameras sent is written by servers and clients and read here: the layout of these files is nobody's own, and needs no protobuf.
        "tuning": Rule(ours=domain, wire=frozenset({"tertium.recording"})),
        "rpc": Rule(ours=serving, wire=WIRE),
        "web": Rule(ours=serving),
        "app": Rule(ours=top, wire=WIRE),
        "demo": Rule(ours=top | {"app", "tertium_client"}),
        # Plays its cameras as a pipeline does, and writes them as recordings.
        "simulation": Rule(ours=top | {"demo", "tertium_client"}, wire=frozenset({"tertium.recording"})),
        "cli": Rule(ours=top | {"app", "demo", "simulation", "tertium_client"}),
        # Shared modules serve all layers, so they know none of them but the engine, whose names are everybody's.
        **{name: Rule(ours=SHARED | {"engine"}) for name in SHARED},
        # The package's own __init__ imports nothing: whoever imports a part of the server gets that part alone.
        "": Rule(others=frozenset()),
    }


RULES: dict[str, dict[str, Rule]] = {
    "tertium": {"": Rule(others=frozenset(), wire=THIN_WIRE)},
    "tertium_client": {"": Rule(others=frozenset({"numpy"}), wire=THIN_WIRE)},
    "tertium_server": _server_rules(),
}
"""By package and, in the server, by the part a module belongs to."""


@dataclass(frozen=True, slots=True)
class Module:
    """A source file."""

    name: str
    """Its dotted name."""

    source: str = field(repr=False)

    is_package: bool = False
    """Whether it is an __init__."""

    def imports(self) -> Iterator[tuple[int, str]]:
        """The lines and absolute names of everything it imports, wherever in the file."""
        for node in ast.walk(ast.parse(self.source, self.name)):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield node.lineno, alias.name
            elif isinstance(node, ast.ImportFrom):
                base = self._absolute(node)
                for alias in node.names:
                    yield node.lineno, f"{base}.{alias.name}"

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parts = self.name.split(".")
        parents = parts[: len(parts) - node.level + self.is_package]
        return ".".join([*parents, node.module] if node.module else parents)


def _part(name: str) -> tuple[str, str]:
    """The package a dotted name belongs to and, in the server, the part: ("tertium_server", "rpc")."""
    package, _, rest = name.partition(".")
    return package, rest.partition(".")[0] if package == "tertium_server" else ""


def violations(modules: list[Module]) -> list[str]:
    """Each import that no rule allows, as "module:line imports name"."""
    found = []
    for module in modules:
        package, part = _part(module.name)
        rule = RULES[package].get(part)
        if rule is None:
            found.append(f"{module.name}:1 belongs to no layer: give {part!r} its rule")
            continue
        found += [
            f"{module.name}:{line} imports {name}"
            for line, name in module.imports()
            if not _allowed(name, package, part, rule)
        ]
    return found


def _allowed(name: str, package: str, part: str, rule: Rule) -> bool:
    target, target_part = _part(name)
    if target in sys.stdlib_module_names:
        return True
    if target == package == "tertium_server":
        return target_part in {part, *rule.ours}
    if target in RULES and target != "tertium":
        return target == package or target in rule.ours
    if target in WIRE:
        return _is_one_of(name, rule.wire)
    return rule.others is None or _is_one_of(name, rule.others)


def _is_one_of(name: str, packages: frozenset[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def _modules() -> list[Module]:
    modules = []
    for root in SOURCE_ROOTS:
        for path in sorted((ROOT / root).rglob("*.py")):
            parts = path.relative_to(ROOT / root).with_suffix("").parts
            is_package = parts[-1] == "__init__"
            name = ".".join(parts[:-1] if is_package else parts)
            modules.append(Module(name, path.read_text(encoding="utf-8"), is_package))
    return modules


def test_imports_go_one_way() -> None:
    modules = _modules()
    assert {module.name.split(".")[0] for module in modules} == set(RULES)
    assert violations(modules) == []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("tertium_server.engine.motion", "import scipy.optimize"),
        ("tertium_server.engine.motion", "from tertium_server.policy import Policy"),
        ("tertium_server.engine.motion", "from ..policy import Policy"),
        ("tertium_server.engine.motion", "from tertium_server import policy"),
        ("tertium_server.policy.policy", "def load():\n    from tertium_server.tuning import readers"),
        ("tertium_server.tuning.readers.mot", "import tertium_server.rpc.service"),
        ("tertium_server.tuning.readers.mot", "from tertium.v1 import frames_pb2"),
        ("tertium_server.quality.estimates", "from tertium_server.review import store"),
        ("tertium_server.review.store", "import grpc.aio"),
        ("tertium_server.web.pages", "from google.protobuf import json_format"),
        ("tertium_server.web.pages", "from tertium_server.rpc import service"),
        ("tertium_server.rpc.service", "from tertium_server import app"),
        ("tertium_server.rpc.service", "import tertium_client"),
        ("tertium_server.metrics", "from .rpc import service"),
        ("tertium_server.cli.replay", "if TYPE_CHECKING:\n    import grpc"),
        ("tertium_server.attic", "import os"),
        ("tertium_client.stream", "import scipy"),
        ("tertium_client.stream", "import numba"),
        ("tertium_client.stream", "from grpc_status import rpc_status"),
        ("tertium_client.stream", "from google.rpc import error_details_pb2"),
        ("tertium_client.stream", "from tertium_server.engine import StreamEngine"),
        ("tertium.v1.frames_pb2", "import tertium_client"),
        ("tertium.recording.layout", "import numpy"),
    ],
)
def test_an_import_against_the_direction_is_found(name: str, source: str) -> None:
    assert len(violations([Module(name, source)])) == 1


@pytest.mark.parametrize(
    ("name", "source"),
    [
        (
            "tertium_server.engine.motion",
            "import math\nimport numba\nfrom filterpy.common import Q_continuous_white_noise",
        ),
        ("tertium_server.engine.motion", "from tertium_server.engine.kernel import kernel\nfrom . import layout"),
        ("tertium_server.tuning.readers.mot", "from ...policy import Policy\nfrom .errors import ReadError"),
        ("tertium_server.tuning.readers.tertium", "from tertium.recording import parse_part"),
        ("tertium_client.record", "from tertium.recording import Recorder"),
        (
            "tertium_server.rpc.service",
            "import grpc_health.v1\nfrom tertium.v1 import frames_pb2\nfrom ..errors import Refused",
        ),
        ("tertium_server.cli.replay", "import typer, tertium_client\nfrom tertium_server import app"),
        (
            "tertium_client.stream",
            "import grpc.aio, numpy\nfrom google.protobuf import message\nfrom tertium.v1 import frames_pb2",
        ),
    ],
)
def test_an_import_along_the_direction_is_allowed(name: str, source: str) -> None:
    assert violations([Module(name, source)]) == []


def test_a_relative_import_in_a_package_starts_from_the_package() -> None:
    module = Module("tertium_server.engine", "from .kernel import kernel\nfrom ..policy import Policy", is_package=True)
    assert [name for _, name in module.imports()] == [
        "tertium_server.engine.kernel.kernel",
        "tertium_server.policy.Policy",
    ]


def test_the_client_loads_nothing_of_the_server() -> None:
    program = "import sys, tertium_client; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert "tertium_client" in loaded
    assert {"tertium_server", "numba", "llvmlite", "scipy", "filterpy", "pydantic"}.isdisjoint(loaded)


@pytest.mark.parametrize("folder", ["protos", "protos/tertium", "protos/tertium/v1", "client", "server", "tests"])
def test_a_source_root_is_no_package(folder: str) -> None:
    # tertium/__init__.py anywhere would hide tertium.v1; the others would be imported under two names.
    assert (ROOT / folder).is_dir()
    assert not (ROOT / folder / "__init__.py").exists()


def _untyped_functions(module: Module) -> Iterator[str]:
    """Functions that leave out a type and are no kernels."""
    for node in ast.walk(ast.parse(module.source, module.name)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        parameters = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        untyped = any(parameter.annotation is None and parameter.arg not in {"self", "cls"} for parameter in parameters)
        is_kernel = any(
            isinstance(decorator, ast.Name) and decorator.id in {"kernel", "array_kernel"}
            for decorator in node.decorator_list
        )
        if (untyped or node.returns is None) and not is_kernel:
            yield f"{module.name}.{node.name}"


def test_only_kernels_go_without_types() -> None:
    # mypy is told to let untyped functions of the engine pass, for the sake of its kernels.
    engine = [module for module in _modules() if module.name.startswith("tertium_server.engine")]
    assert [name for module in engine for name in _untyped_functions(module)] == []


def test_a_function_without_types_is_found() -> None:
    module = Module("tertium_server.engine.stream", "def step(frame):\n    ...\n@kernel\ndef update(track):\n    ...")
    assert list(_untyped_functions(module)) == ["tertium_server.engine.stream.step"]
