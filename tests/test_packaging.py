"""What is built holds what it should, and what is pinned is what is asked for."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PINNED = re.compile(r"^(?P<requirement>\S+==[^\\]+?) \\\n(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+", re.MULTILINE)


def _constraints(name: str) -> str:
    text = (ROOT / "constraints" / f"{name}.txt").read_text(encoding="utf-8")
    return "".join(line for line in text.splitlines(keepends=True) if not line.lstrip().startswith("#"))


def _pins(name: str) -> list[Requirement]:
    return [Requirement(match["requirement"]) for match in PINNED.finditer(_constraints(name))]


@pytest.mark.parametrize("name", ["server", "dev"])
def test_constraints_hold_pins_with_hashes_and_nothing_else(name: str) -> None:
    # No index, no host, no path of the machine they were written on.
    assert PINNED.sub("", _constraints(name)) == ""


@pytest.mark.parametrize(("name", "extras"), [("server", ["server"]), ("dev", ["server", "dev"])])
def test_everything_asked_for_is_pinned_at_a_version_that_will_do(name: str, extras: list[str]) -> None:
    pins = _pins(name)
    asked = [*PROJECT["dependencies"], *(line for extra in extras for line in PROJECT["optional-dependencies"][extra])]
    for requirement in map(Requirement, asked):
        versions = [
            next(iter(pin.specifier)).version
            for pin in pins
            if canonicalize_name(pin.name) == canonicalize_name(requirement.name)
        ]
        assert versions, f"{requirement} is not pinned: run `make constraints`"
        assert all(requirement.specifier.contains(version) for version in versions), f"{requirement}: {versions}"


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
