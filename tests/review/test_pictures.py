"""Pictures: made harmless, stored, and deleted for good."""

import io
import os
import sqlite3
import struct
import warnings
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from sqlalchemy import event, select, update

from tertium_server.review import gallery as gallery_module
from tertium_server.review.blobs import Blobs
from tertium_server.review.footage import Footage, FrameOfTrack, thinned, worth_a_picture
from tertium_server.review.gallery import Gallery, SentPicture
from tertium_server.review.pictures import MOST_BYTES, PictureRefusedError, make_safe
from tertium_server.review.values import now_micros
from tertium_server.storage import Database
from tertium_server.storage.tables import review
from tests.review.builders import booking, office
from tests.stores import sqlite_store


def picture(form: str = "PNG", size: tuple[int, int] = (40, 30), **options: Any) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, (200, 10, 10)).save(out, form, **options)
    return out.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that says it is so large, and holds next to nothing."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" * 1_000_000, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


class TestMakingSafe:
    @pytest.mark.parametrize("form", ["PNG", "JPEG"])
    def test_a_picture_comes_out_as_a_jpeg_of_the_same_size(self, form: str) -> None:
        safe = make_safe(picture(form))
        assert (safe.width, safe.height, safe.media_type) == (40, 30, "image/jpeg")
        with Image.open(io.BytesIO(safe.data)) as again:
            assert again.format == "JPEG"
            red, green, _ = again.convert("RGB").getpixel((20, 15))  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]
        assert red > 180
        assert green < 40

    def test_a_large_picture_is_made_smaller(self) -> None:
        safe = make_safe(picture("JPEG", (2560, 1000)))
        assert (safe.width, safe.height) == (1280, 500)

    def test_nothing_but_pixels_is_kept(self) -> None:
        notes = PngInfo()
        notes.add_text("secret", "where I live")
        assert b"where I live" in picture(pnginfo=notes)
        assert b"where I live" not in make_safe(picture(pnginfo=notes)).data
        # What is behind the picture's end is no picture.
        assert b"<script>" not in make_safe(picture("JPEG") + b"<script>alert(1)</script>").data

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"GIF89a" + bytes(100),
            picture("GIF"),
            picture("BMP"),
            picture("TIFF"),
            b"<svg xmlns='http://www.w3.org/2000/svg'/>",
            picture()[:-30],
            picture("JPEG")[:200],
            b"\xff\xd8\xff" + os.urandom(2000),
            b"\x89PNG\r\n\x1a\n" + os.urandom(2000),
        ],
        ids=["nothing", "gif magic", "gif", "bmp", "tiff", "svg", "cut png", "cut jpeg", "jpeg noise", "png noise"],
    )
    def test_what_is_no_sound_jpeg_or_png_is_refused(self, data: bytes) -> None:
        with pytest.raises(PictureRefusedError):
            make_safe(data)

    @pytest.mark.parametrize("size", [(50_000, 50_000), (8000, 8000), (2**31 - 1, 1), (20_000, 1)])
    def test_a_bomb_is_refused_by_its_header(self, size: tuple[int, int]) -> None:
        with pytest.raises(PictureRefusedError):
            make_safe(png_header(*size))

    def test_a_hundred_megabytes_are_refused_unread(self) -> None:
        with pytest.raises(PictureRefusedError, match="bytes"):
            make_safe(picture() + bytes(100 * MOST_BYTES))

    def test_other_threads_may_be_warned_while_a_picture_is_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        reading, read = Event(), Event()
        open_picture = Image.open

        def open_slowly(*arguments: Any, **options: Any) -> Any:
            reading.set()
            assert read.wait(30)
            return open_picture(*arguments, **options)

        monkeypatch.setattr(Image, "open", open_slowly)
        with warnings.catch_warnings(), ThreadPoolExecutor(1) as pool:
            warnings.simplefilter("ignore")
            made = pool.submit(make_safe, picture())
            try:
                assert reading.wait(30)
                warnings.warn("of something else", DeprecationWarning, stacklevel=1)
            finally:
                read.set()
            assert made.result().width == 40

    def test_a_text_bomb_is_refused(self) -> None:
        notes = PngInfo()
        for _ in range(2):
            notes.add_text("x", "y" * 60_000_000, zip=True)
        assert len(picture(pnginfo=notes)) < MOST_BYTES
        with pytest.raises(PictureRefusedError):
            make_safe(picture(pnginfo=notes))


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Database]:
    store = sqlite_store(tmp_path)
    yield store
    store.close()


def sent(frame: int, data: bytes | None = None) -> SentPicture:
    return SentPicture(frame, picture() if data is None else data, (1.0, 2.0, 41.0, 32.0))


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


class TestGallery:
    def test_pictures_are_kept_with_their_case(self, sqlite: Database, tmp_path: Path) -> None:
        gallery = Gallery(sqlite, Blobs(str(tmp_path / "blobs")))
        (case,) = office(sqlite).book([booking()])
        assert gallery.take(case, [sent(20), sent(10), sent(15, b"no picture")]) == 2
        found = gallery.pictures(case)
        assert [(each.frame_index, each.width, each.crop) for each in found] == [
            (10, 40, (1.0, 2.0, 41.0, 32.0)),
            (20, 40, (1.0, 2.0, 41.0, 32.0)),
        ]
        data = gallery.bytes_of(found[0])
        assert data is not None
        assert data.startswith(b"\xff\xd8")

    def test_the_same_pictures_again_are_no_more(self, sqlite: Database, tmp_path: Path) -> None:
        gallery = Gallery(sqlite, Blobs(str(tmp_path / "blobs")))
        (case,) = office(sqlite).book([booking()])
        gallery.take(case, [sent(10)])
        gallery.take(case, [sent(10), sent(11)])
        assert len(gallery.pictures(case)) == len(files(tmp_path / "blobs")) == 2

    def test_no_case_has_more_than_sixteen(self, sqlite: Database, tmp_path: Path) -> None:
        gallery = Gallery(sqlite, Blobs(str(tmp_path / "blobs")))
        (case,) = office(sqlite).book([booking()])
        assert gallery.take(case, [sent(frame) for frame in range(40)]) == 16

    def test_a_streams_pictures_are_deleted_and_no_others(self, sqlite: Database, tmp_path: Path) -> None:
        gallery = Gallery(sqlite, Blobs(str(tmp_path / "blobs")))
        gate, yard = office(sqlite).book([booking(1), booking(2, stream_id="yard")])
        gallery.take(gate, [sent(10), sent(11)])
        gallery.take(yard, [sent(10)])
        assert gallery.delete(stream="gate") == 2
        assert gallery.pictures(gate) == []
        assert len(gallery.pictures(yard)) == len(files(tmp_path / "blobs")) == 1

    def test_old_pictures_are_deleted_by_age(self, sqlite: Database, tmp_path: Path) -> None:
        gallery = Gallery(sqlite, Blobs(str(tmp_path / "blobs")))
        (case,) = office(sqlite).book([booking()])
        gallery.take(case, [sent(10), sent(11)])
        with sqlite.write() as connection:
            connection.execute(update(review.pictures).where(review.pictures.c.frame_index == 10).values(stored_at=5))
        assert gallery.delete(stored_before=5) == 0
        assert gallery.delete(stored_before=6) == 1
        assert [each.frame_index for each in gallery.pictures(case)] == [11]

    def test_retention_lets_go_of_what_was_closed_long_ago(self, store: Database, tmp_path: Path) -> None:
        gallery = Gallery(store, Blobs(str(tmp_path / "blobs")))
        old, recent, waiting = office(store).book([booking(1), booking(2), booking(3)])
        for case in (old, recent, waiting):
            gallery.take(case, [sent(10)])
        with store.write() as connection:
            cases = review.cases
            connection.execute(update(cases).where(cases.c.id == old).values(state="closed", closed_at=1))
            connection.execute(update(cases).where(cases.c.id == recent).values(state="closed", closed_at=2**60))
            connection.execute(update(review.pictures).values(stored_at=1))
        assert not gallery.retain(3600)
        assert (gallery.pictures(old), len(gallery.pictures(recent)), len(gallery.pictures(waiting))) == ([], 1, 1)

    def test_pictures_whose_time_has_come_are_deleted_a_few_at_a_time(
        self, sqlite: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(gallery_module, "_DELETIONS_AT_A_TIME", 5)
        gallery = Gallery(sqlite, Blobs(str(tmp_path / "blobs")))
        for case in office(sqlite).book([booking(number) for number in range(12)]):
            gallery.take(case, [sent(10)])
        with sqlite.write() as connection:
            connection.execute(update(review.cases).values(state="closed", closed_at=1))
            connection.execute(update(review.pictures).values(stored_at=1))
        left: list[int] = []
        while gallery.retain(3600):
            left.append(len(files(tmp_path / "blobs")))
        assert (left, files(tmp_path / "blobs")) == ([7, 2], [])

    def test_any_number_of_pictures_is_deleted_at_once(
        self, sqlite: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(gallery_module, "_DELETIONS_AT_A_TIME", 5)
        gallery = Gallery(sqlite, Blobs(str(tmp_path / "blobs")))
        cases = office(sqlite).book([booking(number) for number in range(1, 31)])
        for case in cases:
            gallery.take(case, [sent(10)])
        # As a store has one: of 32,766 parameters or 65,535 of a statement.
        event.listen(sqlite.engine, "checkout", lambda raw, *_: raw.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 20))
        assert gallery.delete(stream="gate") == 30
        assert files(tmp_path / "blobs") == []
        with sqlite.read() as connection:
            assert connection.execute(select(review.blob_deletions)).all() == []
            told = connection.execute(select(review.evidence.c.pictures).distinct()).scalars().all()
        assert told == ["deleted"]

    def test_a_blob_that_can_not_be_deleted_now_is_deleted_later(self, sqlite: Database, tmp_path: Path) -> None:
        class Stubborn(Blobs):
            stubborn = True

            def delete(self, key: str) -> None:
                if self.stubborn:
                    raise OSError("busy")
                super().delete(key)

        blobs = Stubborn(str(tmp_path / "blobs"))
        gallery = Gallery(sqlite, blobs)
        (case,) = office(sqlite).book([booking()])
        gallery.take(case, [sent(10)])
        assert gallery.delete(stream="gate") == 1
        assert gallery.pictures(case) == []
        assert len(files(tmp_path / "blobs")) == 1
        blobs.stubborn = False
        gallery.sweep()
        assert files(tmp_path / "blobs") == []
        with sqlite.read() as connection:
            assert connection.execute(select(review.blob_deletions)).all() == []

    def test_blobs_that_can_not_be_deleted_keep_no_others(
        self, sqlite: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Locked(Blobs):
            def delete(self, key: str) -> None:
                if key.endswith("/10.jpg"):
                    raise PermissionError(key)
                super().delete(key)

        monkeypatch.setattr(gallery_module, "_DELETIONS_AT_A_TIME", 2)
        gallery = Gallery(sqlite, Locked(str(tmp_path / "blobs")))
        for case in office(sqlite).book([booking(number) for number in range(3)]):
            gallery.take(case, [sent(10)])
        gallery.delete(stream="gate")
        (case,) = office(sqlite).book([booking(4, stream_id="yard")])
        gallery.take(case, [sent(11)])
        gallery.delete(stream="yard")
        for _ in range(2):
            gallery.sweep()
        assert [path.name for path in files(tmp_path / "blobs")] == ["10.jpg"] * 3

    def test_no_picture_stays_of_which_the_store_does_not_know(
        self, sqlite: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def break_off(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            if statement.startswith("INSERT INTO pictures"):
                raise ConnectionAbortedError

        now = [now_micros()]
        monkeypatch.setattr(gallery_module, "now_micros", lambda: now[0])
        gallery = Gallery(sqlite, Blobs(str(tmp_path / "blobs")))
        first, second = office(sqlite).book([booking(1), booking(2)])
        assert gallery.take(first, [sent(10), sent(10)]) == 1
        event.listen(sqlite.engine, "before_cursor_execute", break_off)
        with pytest.raises(ConnectionAbortedError):
            gallery.take(second, [sent(10)])
        event.remove(sqlite.engine, "before_cursor_execute", break_off)
        gallery.sweep()
        assert len(files(tmp_path / "blobs")) == 2  # its row may be on its way
        now[0] += 7200 * 1_000_000
        gallery.sweep()
        assert [path.parent.name for path in files(tmp_path / "blobs")] == [first]
        assert gallery.delete(stream="gate") == 1
        assert files(tmp_path / "blobs") == []

    def test_names_of_streams_and_classes_are_no_paths(self, sqlite: Database, tmp_path: Path) -> None:
        gallery = Gallery(sqlite, Blobs(str(tmp_path / "blobs")))
        hostile = "../../etc/passwd"
        (case,) = office(sqlite).book([booking(stream_id=hostile, class_name=hostile)])
        gallery.take(case, [sent(10)])
        assert [path.relative_to(tmp_path / "blobs") for path in files(tmp_path / "blobs")] == [
            Path(case[:2]) / case / "10.jpg"
        ]


def frame(index: int, probability: float = 0.5) -> FrameOfTrack:
    return FrameOfTrack(index, index * 1000, 0.0, 0.0, 10.0, 10.0, 0.4, probability)


class TestFootage:
    def test_what_is_stored_comes_back(self) -> None:
        footage = Footage((frame(1), frame(2, 0.25)), 1920, 1080, 0.75, 0.125)
        assert Footage.from_json(footage.to_json()) == footage
        assert Footage.from_json({}) == Footage(())

    def test_of_many_frames_some_are_left_out_evenly(self) -> None:
        kept = thinned([frame(k) for k in range(6000)])
        assert (len(kept), kept[0].index, kept[-1].index) == (600, 0, 5999)
        gaps = {after.index - before.index for before, after in pairwise(kept)}
        assert gaps <= {10, 11}

    def test_pictures_are_asked_of_the_best_the_first_the_last_and_some_between(self) -> None:
        frames = [frame(k, 0.9 if k == 30 else 0.5) for k in range(101)]
        assert [each.index for each in worth_a_picture(frames, 5)] == [
            30,
            0,
            100,
            65,
            47,
        ]  # 30 and 65 are the furthest apart
        assert [each.index for each in worth_a_picture(frames[:2], 5)] == [0, 1]
        assert worth_a_picture([], 5) == []
