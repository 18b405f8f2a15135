from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tertium_server.errors import ConfigurationError, StartError
from tertium_server.rpc import checkpoint_key
from tertium_server.storage.once import write_once


def test_a_key_is_made_once_for_the_servers_user_only(tmp_path: Path) -> None:
    key = checkpoint_key.make_or_read_key(tmp_path)
    assert len(key) == 64
    assert checkpoint_key.make_or_read_key(tmp_path) == key
    assert stat.S_IMODE((tmp_path / "checkpoint.key").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.key"]


def test_each_data_folder_has_a_key_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    assert checkpoint_key.make_or_read_key(tmp_path) != checkpoint_key.make_or_read_key(tmp_path / "other")


def test_a_key_that_another_process_has_made_meanwhile_stays(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.key"
    path.write_bytes(b"k" * 40)
    write_once(path, b"another" * 10)
    assert path.read_bytes() == b"k" * 40
    assert [entry.name for entry in tmp_path.iterdir()] == ["checkpoint.key"]


def test_threads_that_race_agree_on_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: checkpoint_key.make_or_read_key(tmp_path), range(8)))
    assert len(keys) == 1


def test_white_space_around_a_key_is_no_part_of_it(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"  " + b"k" * 40 + b"\n")
    assert checkpoint_key.read_key(path) == b"k" * 40


@pytest.mark.parametrize("content", [b"", b"short", b"k" * 31 + b"\n"])
def test_a_short_key_is_refused_with_a_remedy(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"--checkpoint-key-file .*needs 32.*openssl rand"):
        checkpoint_key.read_key(path)


def test_a_key_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"missing\.key.*No such file"):
        checkpoint_key.read_key(tmp_path / "missing.key")


def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(StartError, match="--data-dir"):
        checkpoint_key.make_or_read_key(file)
