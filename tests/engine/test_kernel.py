"""Compilation: all of it before the first frame, from the cache where it can be, and never anything stale."""

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tertium_server.engine import message, step, warm_up
from tertium_server.engine.kernel import ENGINE, KernelCompiler

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    """What a fresh process says of its kernels, the cache being warm."""
    warm_up()
    run = subprocess.run(
        [sys.executable, "-m", "tests.engine.compilation"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    result: dict[str, Any] = json.loads(run.stdout)
    return result


def test_after_warm_up_no_frame_compiles_anything(told: dict[str, Any]) -> None:
    assert told["worked"] == told["warm"]
    assert told["entries"] == told["entries_warm"]


def test_what_python_calls_is_compiled_for_one_kind_of_arguments(told: dict[str, Any]) -> None:
    assert set(told["entries"]) == {"tertium_server.engine.message.run", "tertium_server.engine.step.end_all"}
    assert [len(each) for each in told["entries"].values()] == [1, 1]


def test_a_second_process_compiles_nothing_it_finds_in_the_cache(told: dict[str, Any]) -> None:
    for name in ("message.run", "step.end_all"):
        hits, misses = told["cache"][f"tertium_server.engine.{name}"]
        assert (hits, misses) == (1, 0)
    assert not any(misses for _, misses in told["cache"].values())


def sources(folder: Path, **changes: str) -> Path:
    """A folder of sources, some of them perhaps changed."""
    folder.mkdir()
    for name, text in {"one": "a = 1\n", "two": "b = 2\n", **changes}.items():
        (folder / f"{name}.py").write_text(text)
    return folder


def test_the_cache_is_another_for_other_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    same, moved = sources(tmp_path / "same"), sources(tmp_path / "moved")
    changed = sources(tmp_path / "changed", two="b = 3\n")
    more = sources(tmp_path / "more", three="c = 1\n")

    def caches(*folders: Path) -> int:
        KernelCompiler(*folders)
        return len(list((tmp_path / "cache" / "tertium").iterdir()))

    assert [caches(same), caches(moved), caches(changed), caches(more), caches(same, changed)] == [1, 1, 2, 3, 4]
    (same / "one.py").write_text("a = 9\n")
    assert caches(same) == 5


def test_the_engines_kernels_are_cached_by_the_hash_of_the_engines_sources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    KernelCompiler(Path(step.__file__).parent)
    [expected] = (tmp_path / "tertium").iterdir()
    for compiled in (message.run, step.end_all):
        path = Path(vars(compiled)["_cache"].cache_path)
        assert expected.name in path.parts, "or a source was edited while this ran"


class TestWhereTheCacheLies:
    def choose(self, monkeypatch: pytest.MonkeyPatch, **places: Path) -> None:
        """Makes a compiler in an environment of these places."""
        for name in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "HOME"):
            monkeypatch.delenv(name, raising=False)
        for name, place in places.items():
            monkeypatch.setenv(name, str(place))
        KernelCompiler(ENGINE)

    @pytest.fixture
    def nowhere(self, tmp_path: Path) -> Path:
        """A place in which no folder can be made, whoever tries."""
        file = tmp_path / "file"
        file.write_text("in the way")
        return file

    def test_numbas_own_setting_comes_first(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self.choose(monkeypatch, NUMBA_CACHE_DIR=tmp_path / "n", XDG_CACHE_HOME=tmp_path / "x", HOME=tmp_path / "h")
        assert [place.name for place in tmp_path.iterdir()] == ["n"]
        [folder] = (tmp_path / "n" / "tertium").iterdir()
        assert folder.name.startswith("kernels-")

    def test_then_the_users_cache(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, nowhere: Path) -> None:
        self.choose(monkeypatch, NUMBA_CACHE_DIR=nowhere, XDG_CACHE_HOME=tmp_path / "x", HOME=tmp_path / "h")
        assert (tmp_path / "x" / "tertium").is_dir()
        assert not (tmp_path / "h").exists()
        self.choose(monkeypatch, XDG_CACHE_HOME=nowhere, HOME=tmp_path / "h")
        assert (tmp_path / "h" / ".cache" / "tertium").is_dir()

    def test_and_a_temporary_folder_where_nothing_else_can_be_written(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, nowhere: Path
    ) -> None:
        temporary = tmp_path / "temporary"
        temporary.mkdir()
        monkeypatch.setattr("tempfile.tempdir", str(temporary))
        self.choose(monkeypatch, NUMBA_CACHE_DIR=nowhere, XDG_CACHE_HOME=nowhere, HOME=nowhere)
        assert len(list(temporary.iterdir())) == 1


def test_other_peoples_caches_stay_where_they_are() -> None:
    settings = vars(importlib.import_module("numba.core.config"))
    before = settings["CACHE_DIR"]
    KernelCompiler(ENGINE)(lambda value: value)
    assert settings["CACHE_DIR"] == before
