"""Where pictures lie: a folder, or any store that fsspec knows (``s3://…``)."""

from __future__ import annotations

from typing import Any

import fsspec

from tertium_server.errors import ConfigurationError


class Blobs:
    """Bytes by key. Keys are made here and hold nothing that a caller has named. May be used by any number of threads."""

    def __init__(self, url: str) -> None:
        try:
            fsspec_core: Any = fsspec.core
            self._fs, self._root = (
                fsspec_core.url_to_fs(url, auto_mkdir=True) if "://" not in url else fsspec_core.url_to_fs(url)
            )
        except (ValueError, ImportError) as error:
            raise ConfigurationError(
                "--evidence", url, f"can't be used: {error}", "name a folder, or install what that kind of store needs"
            ) from error

    def put(self, key: str, data: bytes) -> None:
        """Stores bytes.

        Raises:
            OSError: The store is away or full.
        """
        self._fs.pipe_file(self._path(key), data)

    def get(self, key: str) -> bytes | None:
        """The bytes of a key; None: there are none.

        Raises:
            OSError: The store is away.
        """
        try:
            data: bytes = self._fs.cat_file(self._path(key))
        except FileNotFoundError:
            return None
        return data

    def delete(self, key: str) -> None:
        """Deletes a key; one that is not there is deleted.

        Raises:
            OSError: The store is away.
        """
        try:
            self._fs.rm_file(self._path(key))
        except FileNotFoundError:
            return

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}"


def picture_key(case: str, frame: int) -> str:
    """Where a case's picture of a frame lies."""
    return f"{case[:2]}/{case}/{frame}.jpg"
