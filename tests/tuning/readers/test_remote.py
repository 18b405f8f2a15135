"""Recordings named by URL: the same sequences as from a folder, fetched once, and called by their URLs wherever something is said of them."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from fsspec.registry import known_implementations

from tertium_server.tuning.cache import content_of
from tertium_server.tuning.readers import (
    Labelled,
    Mirrors,
    NothingFoundError,
    ReadError,
    UnreadableError,
    read_detections,
    read_labelled,
)
from tests.scenes import scene
from tests.tuning.readers import writers


@pytest.fixture
def store() -> Iterator[Any]:
    memory = fsspec.filesystem("memory")
    yield memory
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]


def upload(folder: Path, store: Any, to: str) -> None:
    for file in folder.rglob("*"):
        if file.is_file():
            store.pipe_file(f"{to}/{file.relative_to(folder).as_posix()}", file.read_bytes())


def contents(labelled: tuple[Labelled, ...]) -> list[str]:
    return [content_of(one) for one in labelled]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two MOT sequences."""
    for seed in (1, 2):
        writers.mot(scene(seed, length=30), tmp_path / "recordings")
    return tmp_path / "recordings"


def test_a_folder_in_a_store_gives_what_the_folder_itself_gives(folder: Path, store: Any, tmp_path: Path) -> None:
    upload(folder, store, "/site/recordings")
    mirrors = Mirrors(folder=tmp_path / "copies")
    remote = read_labelled("memory://site/recordings", "memory://site/recordings/", "mot", mirrors=mirrors)
    assert contents(remote) == contents(read_labelled(folder, folder, "mot"))
    assert contents(read_labelled(folder.as_uri(), str(folder), "mot", mirrors=mirrors)) == contents(remote)


@pytest.mark.parametrize("form", ["kitti", "coco", "yolo", "tertium"])
def test_every_format_reads_the_same_from_a_store(form: str, store: Any, tmp_path: Path) -> None:
    detections, truth = getattr(writers, form)(scene(3, length=30), tmp_path / "data")
    upload(tmp_path / "data", store, "/data")
    urls = [f"memory://data/{path.relative_to(tmp_path / 'data')}".removesuffix("/.") for path in (detections, truth)]
    remote = read_labelled(urls[0], urls[1], form, mirrors=Mirrors(folder=tmp_path / "copies"))
    assert contents(remote) == contents(read_labelled(detections, truth, form))


def test_a_det_txt_alone_finds_the_seqinfo_beside_it(folder: Path, store: Any, tmp_path: Path) -> None:
    upload(folder, store, "/site")
    mirrors = Mirrors(folder=tmp_path / "copies")
    [remote] = read_detections("memory://site/scene-1/det/det.txt", "mot", mirrors=mirrors)
    [local] = read_detections(folder / "scene-1/det/det.txt", "mot")
    assert (remote.fps, remote.length) == (local.fps, local.length)
    np.testing.assert_array_equal(remote.scores, local.scores)


def test_what_did_not_change_is_fetched_once(
    folder: Path, store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(folder, store, "/site")
    fetched: list[str] = []
    plain = type(store).get_file

    def counted(self: Any, remote: str, local: Any, **more: Any) -> None:
        fetched.append(remote)
        plain(self, remote, local, **more)

    monkeypatch.setattr(type(store), "get_file", counted)
    told: list[tuple[int, int]] = []
    mirrors = Mirrors(folder=tmp_path / "copies", told=lambda _, done, total: told.append((done, total)))
    first = read_labelled("memory://site", "memory://site", "mot", mirrors=mirrors)
    assert len(fetched) == 6  # detections, truth and seqinfo of both
    assert told[-1][0] == told[-1][1] == sum(store.size(name) for name in store.find("/site"))
    read_labelled("memory://site", "memory://site", "mot", mirrors=mirrors)
    assert len(fetched) == 6
    store.pipe_file("/site/scene-1/det/det.txt", store.cat_file("/site/scene-1/det/det.txt").replace(b"0.", b"0.0"))
    changed = read_labelled("memory://site", "memory://site", "mot", mirrors=mirrors)
    assert contents(changed)[0] != contents(first)[0]
    assert contents(changed)[1] == contents(first)[1]


def test_a_fetch_that_broke_off_goes_on_where_it_stood(
    folder: Path, store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(folder, store, "/site")
    plain = type(store).get_file
    asked: list[str] = []

    def breaking(self: Any, remote: str, local: Any, **more: Any) -> None:
        asked.append(remote)
        if len(asked) == 4:
            raise ConnectionResetError("the cable")
        plain(self, remote, local, **more)

    monkeypatch.setattr(type(store), "get_file", breaking)
    monkeypatch.setattr("tertium_server.tuning.readers.remote_copy._AT_A_TIME", 1)
    mirrors = Mirrors(folder=tmp_path / "copies")
    with pytest.raises(ReadError, match=r"memory://site: can't be read \(ConnectionResetError: the cable\)"):
        read_detections("memory://site", "mot", mirrors=mirrors)
    assert not list((tmp_path / "copies").rglob("*.part"))
    read_detections("memory://site", "mot", mirrors=mirrors)
    assert len(asked) == 6 + 1
    broken = [tmp_path / "copies" / f"tertium-mirror-{digit * 20}" for digit in "ab"]
    for place in broken:
        (place / "memory").mkdir(parents=True)
    os.utime(broken[0], (1, 1))  # long ago, and nobody took it up again
    read_detections("memory://site", "mot", mirrors=mirrors)
    assert [place.exists() for place in broken] == [False, True]


def test_videos_and_pictures_beside_a_recording_stay_where_they_are(folder: Path, store: Any, tmp_path: Path) -> None:
    upload(folder, store, "/site")
    store.pipe_file("/site/scene-1/img1/000001.jpg", b"x" * 1000)
    store.pipe_file("/site/scene-1/video.mp4", b"x" * 1000)
    read_detections("memory://site", "mot", mirrors=Mirrors(folder=tmp_path / "copies"))
    assert {path.suffix for path in (tmp_path / "copies").rglob("*") if path.is_file()} == {".txt", ".ini", ".json"}


@pytest.mark.parametrize("home", ["cache", "a folder with blanks"])
def test_a_bad_row_is_named_by_its_url(
    folder: Path, store: Any, tmp_path: Path, home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / home))
    upload(folder, store, "/site")
    store.pipe_file("/site/scene-2/det/det.txt", b"1,-1,5,5,10,10,nan\n")
    with pytest.raises(UnreadableError, match=r"^sequence scene-2: memory://site/scene-2/det/det.txt, row 1, column 7"):
        read_labelled("memory://site", "memory://site", "mot")


def test_warnings_name_the_url(folder: Path, store: Any, tmp_path: Path) -> None:
    upload(folder, store, "/site")
    store.pipe_file("/site/scene-1/det/det.txt", b"1,-1,5,5,10,10\n")
    [labelled, _] = read_labelled("memory://site", "memory://site", "mot", mirrors=Mirrors(folder=tmp_path / "copies"))
    assert any(text.startswith("memory://site/scene-1/det/det.txt: has no score") for text in labelled.warnings)


def test_without_keeping_nothing_is_left(folder: Path, store: Any, tmp_path: Path) -> None:
    upload(folder, store, "/site")
    read_detections("memory://site", "mot", mirrors=Mirrors(folder=tmp_path / "copies", keep=False))
    assert list((tmp_path / "copies").iterdir()) == []


def test_copies_used_longest_ago_go_first(folder: Path, store: Any, tmp_path: Path) -> None:
    sizes = []
    for place in ("/a", "/b", "/c"):
        upload(folder, store, place)
        sizes.append(sum(store.size(name) for name in store.find(place)))
    mirrors = Mirrors(folder=tmp_path / "copies", most_bytes=2 * sizes[0])
    for place in ("a", "b"):
        read_detections(f"memory://{place}", "mot", mirrors=mirrors)
    [of_a] = [note for note in (tmp_path / "copies").glob("*.json") if "memory://a" in note.read_text()]
    os.utime(of_a, (1, 1))
    read_detections("memory://c", "mot", mirrors=mirrors)
    left = "".join(note.read_text() for note in (tmp_path / "copies").glob("*.json"))
    assert "memory://a" not in left
    assert "memory://b" in left
    assert "memory://c" in left
    assert not of_a.with_suffix("").exists()


def test_an_address_with_nothing_there_is_named(store: Any, tmp_path: Path) -> None:
    mirrors = Mirrors(folder=tmp_path)
    with pytest.raises(NothingFoundError, match="memory://nowhere: holds no files; check the address"):
        read_detections("memory://nowhere", "mot", mirrors=mirrors)
    store.pipe_file("/videos/a.mp4", b"x")
    store.pipe_file("/videos/b.mp4", b"x")
    with pytest.raises(NothingFoundError, match=r"memory://videos: holds nothing that is read \(\.txt"):
        read_detections("memory://videos", "mot", mirrors=mirrors)


def test_a_scheme_that_nobody_knows_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=r"tape://one: can't be used .*Protocol not known"):
        read_detections("tape://one", "mot", mirrors=Mirrors(folder=tmp_path))


def test_a_package_that_is_missing_is_named_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(known_implementations, "gs", {"class": "no_such_module.X", "err": "Please install gcsfs"})
    with pytest.raises(ReadError, match=r"gs://bucket/site: needs a package .*pip install gcsfs"):
        read_detections("gs://bucket/site", "mot", mirrors=Mirrors(folder=tmp_path))


def test_a_bucket_of_s3_is_read(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a server of that kind is installed: pip install 'moto[server]' s3fs."""
    pytest.importorskip("s3fs")
    moto: Any = pytest.importorskip("moto.server")
    for name, value in (("ACCESS_KEY_ID", "us"), ("SECRET_ACCESS_KEY", "us"), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        bucket = fsspec.filesystem("s3", skip_instance_cache=True)
        bucket.mkdir("site")
        bucket.put(str(folder), "site/recordings", recursive=True)
        mirrors = Mirrors(folder=tmp_path / "copies")
        remote = read_labelled("s3://site/recordings", "s3://site/recordings", "mot", mirrors=mirrors)
        assert contents(remote) == contents(read_labelled(folder, folder, "mot"))
        with pytest.raises(ReadError, match="s3://nobodys: can't be read"):
            read_detections("s3://nobodys", "mot", mirrors=mirrors)
    finally:
        server.stop()
