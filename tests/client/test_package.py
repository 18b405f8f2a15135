"""The package as others see it."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import resources
from pathlib import Path

import tertium_client
from tertium_client import errors, values


def test_what_is_exported_is_what_is_said_to_be() -> None:
    public = {name for name in vars(tertium_client) if not name.startswith("_")}
    modules = {"errors", "values"}
    assert public - modules == set(tertium_client.__all__)
    assert sorted(tertium_client.__all__) == tertium_client.__all__


def test_all_errors_and_values_are_exported() -> None:
    for module in (errors, values):
        here = {
            name
            for name, thing in vars(module).items()
            if isinstance(thing, type) and thing.__module__ == module.__name__
        }
        assert {name for name in here if not name.startswith("_")} <= set(tertium_client.__all__)


def test_the_tree_of_errors_is_the_one_that_is_drawn() -> None:
    assert errors.__doc__ is not None
    drawn: dict[str, str] = {}
    stack: list[str] = []
    for line in errors.__doc__.splitlines():
        words = line.lstrip(" │├└─").split()
        if words and words[0].endswith("Error") and line.startswith("    "):
            depth = (len(line) - len(line.lstrip(" │├└─"))) // 4 - 1
            stack[depth:] = [words[0]]
            drawn[words[0]] = stack[depth - 1] if depth else "Exception"
    actual = {}
    for name in vars(errors):
        thing = getattr(errors, name)
        if isinstance(thing, type) and issubclass(thing, errors.TertiumError) and not name.startswith("_"):
            actual[name] = next(base.__name__ for base in thing.__mro__[1:] if not base.__name__.startswith("_"))
    assert drawn == actual


def test_it_is_typed() -> None:
    assert resources.files("tertium_client").joinpath("py.typed").is_file()


def test_it_needs_neither_numba_nor_server_code_nor_packages_that_only_servers_have() -> None:
    program = "import sys, tertium_client; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "tertium_client" in loaded
    assert not loaded & {
        "numba",
        "llvmlite",
        "scipy",
        "filterpy",
        "tertium_server",
        "grpc_status",
        "pydantic",
        "structlog",
        "rich",
        "uvloop",
    }


def test_it_imports_only_what_it_may() -> None:
    allowed = {"grpc", "google", "numpy", "tertium", "tertium_client"} | sys.stdlib_module_names
    for path in Path(str(resources.files("tertium_client"))).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                assert not node.level
                names = [node.module or ""]
            for name in names:
                assert name.partition(".")[0] in allowed, f"{path.name} imports {name}"
