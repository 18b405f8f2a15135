"""What is built holds what it should, and what is pinned is what is asked for."""

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OURS = {"tertium", "tertium_client", "tertium_server", "tests", "benchmarks"}
PINNED = re.compile(r"^(?P<requirement>\S+==[^\\]+?) \\\n(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+", re.MULTILINE)


def _constraints(name: str) -> str:
    text = (ROOT / "constraints" / f"{name}.txt").read_text(encoding="utf-8")
    return "".join(line for line in text.splitlines(keepends=True) if not line.lstrip().startswith("#"))


def _pins(name: str) -> list[Requirement]:
    return [Requirement(match["requirement"]) for match in PINNED.finditer(_constraints(name))]


def _asked(extras: list[str]) -> list[Requirement]:
    """What pyproject.toml asks for in an installation with these extras."""
    lines = [*PROJECT["dependencies"], *(line for extra in extras for line in PROJECT["optional-dependencies"][extra])]
    return [Requirement(line) for line in lines]


def _imported(folder: str) -> set[str]:
    """The top-level packages of others that the modules of a folder import."""
    names = set[str]()
    for path in (ROOT / folder).rglob("*.py"):
        if any(part.startswith(".") for part in path.relative_to(ROOT / folder).parts):
            continue  # an environment that a benchmark has made for rivals
        # A script that is run as a file finds the modules and folders beside it.
        beside = {sibling.stem for start in (path.parent, ROOT / folder) for sibling in start.iterdir()}
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names} - beside
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names |= {(node.module or "").partition(".")[0]} - beside
    return names - OURS - set(sys.stdlib_module_names)


@pytest.mark.parametrize("name", ["server", "dev"])
def test_constraints_hold_pins_with_hashes_and_nothing_else(name: str) -> None:
    # No index, no host, no path of the machine they were written on.
    assert PINNED.sub("", _constraints(name)) == ""


@pytest.mark.parametrize(("name", "extras"), [("server", ["server"]), ("dev", ["server", "dev"])])
def test_everything_asked_for_is_pinned_at_a_version_that_will_do(name: str, extras: list[str]) -> None:
    pins = _pins(name)
    for requirement in _asked(extras):
        versions = [
            next(iter(pin.specifier)).version
            for pin in pins
            if canonicalize_name(pin.name) == canonicalize_name(requirement.name)
        ]
        assert versions, f"{requirement} is not pinned: run `make constraints`"
        assert all(requirement.specifier.contains(version) for version in versions), f"{requirement}: {versions}"


@pytest.mark.parametrize(
    ("folder", "extras"),
    [
        ("protos", []),
        ("client", []),
        ("server", ["server", "plot"]),  # the pictures of tertium explain are loaded when they are asked for
        ("tests", ["server", "dev"]),
        ("benchmarks", ["server", "dev"]),
    ],
)
def test_everything_imported_is_asked_for(folder: str, extras: list[str]) -> None:
    asked = {canonicalize_name(requirement.name) for requirement in _asked(extras)}
    installed = packages_distributions()
    undeclared = {
        name
        for name in _imported(folder)
        if asked.isdisjoint(canonicalize_name(distribution) for distribution in installed.get(name, []))
    }
    assert undeclared == set(), "name it in pyproject.toml, then run `make constraints`"


def test_the_server_is_pinned_alike_for_running_and_for_developing() -> None:
    assert {str(pin) for pin in _pins("server")} <= {str(pin) for pin in _pins("dev")}


def test_the_wheel_holds_three_packages_and_their_data(tmp_path: Path) -> None:
    options = ["--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(ROOT)], check=True, capture_output=True)

    (wheel,) = tmp_path.glob("tertium-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {
        "tertium",
        "tertium_client",
        "tertium_server",
    }
    for source_root, package in [("protos", "tertium"), ("client", "tertium_client"), ("server", "tertium_server")]:
        files = (path for path in (ROOT / source_root / package).rglob("*") if path.is_file())
        wanted = {str(path.relative_to(ROOT / source_root)) for path in files if "__pycache__" not in path.parts}
        assert wanted
        assert wanted <= names
    assert "tertium/__init__.py" not in names


def test_every_make_target_is_explained() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    assert phony is not None
    listed = subprocess.run(["make", "-C", ROOT], check=True, capture_output=True, text=True).stdout
    assert set(re.findall(r"^  make (\S+) +\S", listed, re.MULTILINE)) == set(phony[1].split())
