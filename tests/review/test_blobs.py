"""Where pictures lie: a folder, or another store by fsspec, alike."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from tertium_server.errors import ConfigurationError
from tertium_server.review.blobs import Blobs, picture_key
from tertium_server.review.gallery import Gallery, SentPicture
from tertium_server.review.office import ReviewOffice
from tests.review.builders import booking
from tests.stores import sqlite_store

KINDS = ["folder", "memory"]


def blobs_of(kind: str, folder: Path) -> Blobs:
    return Blobs(str(folder / "blobs") if kind == "folder" else f"memory://{folder.name}/evidence")


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_are_kept_replaced_and_deleted_by_key(kind: str, tmp_path: Path) -> None:
    blobs, key = blobs_of(kind, tmp_path), picture_key("ab" * 16, 7)
    assert blobs.get(key) is None
    blobs.delete(key)
    blobs.put(key, b"one")
    blobs.put(key, b"two")
    assert blobs_of(kind, tmp_path).get(key) == b"two"
    blobs.delete(key)
    assert blobs.get(key) is None


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_of_cases_are_stored_shown_and_deleted(kind: str, tmp_path: Path) -> None:
    store = sqlite_store(tmp_path)
    gallery = Gallery(store, blobs_of(kind, tmp_path))
    (case,) = ReviewOffice(store).book([booking()])
    out = io.BytesIO()
    Image.new("RGB", (30, 20)).save(out, "PNG")
    assert gallery.take(case, [SentPicture(5, out.getvalue(), (0.0, 0.0, 30.0, 20.0))]) == 1
    (picture,) = gallery.pictures(case)
    data = gallery.bytes_of(picture)
    assert data is not None
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.size) == ("JPEG", (30, 20))
    assert gallery.delete(stream="gate") == 1
    assert gallery.pictures(case) == []
    assert gallery.bytes_of(picture) is None
    store.close()


def test_a_store_of_a_kind_that_there_is_not_is_refused_with_the_option() -> None:
    with pytest.raises(ConfigurationError, match="--evidence"):
        Blobs("nosuch://bucket/x")
