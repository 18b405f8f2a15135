"""Kept replays: found by content alone, whole or not at all, within a bound."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tertium_server.tuning import cache as caching
from tertium_server.tuning.cache import ReplayCache, default_folder, key_of
from tertium_server.tuning.readers import Labelled
from tests.tuning.labelled import crowd

ARRAYS: dict[str, NDArray[Any]] = {"one": np.arange(5), "two": np.linspace(0, 1, 3, dtype=np.float32)}


def test_what_was_kept_is_found_again_bit_for_bit(tmp_path: Path) -> None:
    kept = ReplayCache(tmp_path / "deep" / "folder")
    assert kept.get("key") is None
    kept.put("key", ARRAYS)
    found = kept.get("key")
    assert found is not None
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype
        assert found[name].tobytes() == array.tobytes()


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 not really", None])
def test_a_damaged_entry_counts_as_missing(tmp_path: Path, damage: bytes | None) -> None:
    kept = ReplayCache(tmp_path)
    kept.put("key", ARRAYS)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-40] if damage is None else damage)
    assert kept.get("key") is None
    kept.put("key", ARRAYS)
    assert kept.get("key") is not None


def test_the_entries_used_longest_ago_are_dropped_beyond_the_bound(tmp_path: Path) -> None:
    large: dict[str, NDArray[Any]] = {"array": np.zeros(1000)}
    kept = ReplayCache(tmp_path, most_bytes=3 * 8500)
    for second, name in enumerate("abc"):
        kept.put(name, large)
        os.utime(tmp_path / f"{name}.npz", (second, second))
    assert kept.get("a") is not None  # used now
    kept.put("d", large)
    assert {file.stem for file in tmp_path.iterdir()} == {"a", "c", "d"}


def test_what_a_killed_process_left_behind_is_dropped_and_what_another_writes_now_is_not(tmp_path: Path) -> None:
    kept = ReplayCache(tmp_path)
    for name in ("old.part", "new.part"):
        (tmp_path / name).write_bytes(b"half")
    os.utime(tmp_path / "old.part", (1, 1))
    kept.put("a", ARRAYS)
    assert {file.name for file in tmp_path.iterdir()} == {"new.part", "a.npz"}


def test_a_folder_that_cannot_be_made_keeps_nothing_and_loses_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    kept = ReplayCache(tmp_path / "file" / "folder")
    kept.put("key", ARRAYS)
    assert kept.get("key") is None


def test_the_folder_is_where_caches_belong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "tertium" / "replays"


def test_a_key_follows_from_content_settings_and_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    one = crowd(0)

    def key(labelled: Labelled, **settings: int) -> str:
        return key_of("replay", [labelled], settings)

    same = key(one, fold=1)
    moved = one.truth.boxes.copy()
    moved[0, 0] -= 1e-9
    scores = one.sequence.scores.copy()
    scores[-1] += 1e-12
    assert key(crowd(0), fold=1) == same
    others = {
        key(one, fold=2),
        key(Labelled(replace(one.sequence, scores=scores), one.truth), fold=1),
        key(Labelled(replace(one.sequence, fps=24.0), one.truth), fold=1),
        key(Labelled(one.sequence, replace(one.truth, boxes=moved)), fold=1),
        key_of("fold", [one], {"fold": 1}),
    }
    assert len(others) == 5
    assert same not in others
    monkeypatch.setattr(caching, "_sources_hash", lambda: "other sources")
    assert key(one, fold=1) != same


def test_where_a_file_lies_does_not_change_a_key() -> None:
    one = crowd(0)
    elsewhere = Labelled(replace(one.sequence, source=Path("b.txt")), replace(one.truth, source=Path("c.txt")))
    assert key_of("replay", [one], {}) == key_of("replay", [elsewhere], {})
