"""A place that is named by URL: what lies there, and how it comes here."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
from fsspec.callbacks import Callback

from .errors import NothingFoundError, Place, ReadError
from .image_size import SUFFIXES as PICTURES

READ = (".txt", ".ini", ".json", ".yaml", ".yml", ".tertium")
"""What names of files end with that readers read, compressed (.gz) or not. Videos beside them stay where they are."""

_STAMPS = (
    "ETag", "etag", "md5Hash", "crc32c", "content_md5", "LastModified", "last_modified", "updated", "mtime", "created",
)  # fmt: skip
"""What stores call it that changes with a file's content."""

_PACKAGES = {
    "s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs", "abfss": "adlfs", "az": "adlfs",
    "http": "aiohttp", "https": "aiohttp", "sftp": "paramiko", "hf": "huggingface_hub",
}  # fmt: skip
"""What fsspec needs for a scheme."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file in a store."""

    name: str
    """What the store calls it."""

    path: str
    """Where it lies, as in the URL without its scheme."""

    size: int
    """Bytes; 0 where the store does not say."""

    stamp: str
    """What changes with its content; empty: the store does not say."""


@dataclass(frozen=True, slots=True)
class Store:
    """Where a URL leads."""

    url: str
    system: Any
    """fsspec's file system."""
    root: str
    """What that calls the place."""

    @classmethod
    def open(cls, url: str) -> Store:
        """The store of a URL.

        Raises:
            ReadError: there is none, or a package is missing; it is named.
        """
        try:
            core: Any = fsspec.core
            system, root = core.url_to_fs(url)
        except ImportError as error:
            package = _PACKAGES.get(url.partition("://")[0])
            remedy = f"install it with: pip install {package}" if package else "install what fsspec needs for it"
            raise ReadError(Place(url), f"needs a package that is not there ({error})", remedy) from error
        except ValueError as error:
            remedy = "check the address; s3://, gs://, file:// and what else fsspec knows can be read"
            raise ReadError(Place(url), f"can't be used ({error})", remedy) from error
        return cls(url, system, root)

    @property
    def scheme(self) -> str:
        """That of the URL."""
        return self.url.partition("://")[0].lower()

    @property
    def path(self) -> str:
        """The URL without its scheme."""
        return "/".join(part for part in self.url.partition("://")[2].split("/") if part)

    def is_local(self) -> bool:
        """Whether it is a folder or file of this machine."""
        return isinstance(self.system, fsspec.get_filesystem_class("file"))

    def list(self, *, pictures: bool) -> tuple[Entry, ...]:
        """What there is to read, in order of paths.

        Raises:
            ReadError: the store can't be reached, or holds nothing of the kind.
        """
        with self._reached():
            self.system.invalidate_cache()
            found: dict[str, Mapping[str, Any]] = self.system.find(self.root, detail=True)
            alone = set(found) == {self.root}
            if alone:
                entries = [self._entry(self.root, self.path, found[self.root]), *self._beside()]
            else:
                within = len(self.root.rstrip("/")) + 1
                entries = [self._entry(name, f"{self.path}/{name[within:]}", info) for name, info in found.items()]
        endings = (*READ, *PICTURES) if pictures else READ
        wanted = [one for one in entries if alone or one.path.lower().removesuffix(".gz").endswith(endings)]
        if not wanted:
            what = f"holds nothing that is read ({', '.join(endings)})" if found else "holds no files"
            raise NothingFoundError(Place(self.url), what, "check the address, and that you may list it")
        for one in wanted:
            if ".." in one.path.split("/"):
                raise ReadError(Place(f"{self.scheme}://{one.path}"), "has a name with .. in it", "rename it")
        return tuple(sorted(wanted, key=lambda one: one.path))

    def _beside(self) -> Generator[Entry]:
        """A det.txt that is named alone goes with the seqinfo.ini beside it or one folder up."""
        for up in (1, 2):
            folders, path = self.root.rsplit("/", up)[0], self.path.split("/")[:-up]
            place = f"{folders}/seqinfo.ini"
            if len(path) and self.system.isfile(place):
                yield self._entry(place, "/".join([*path, "seqinfo.ini"]), self.system.info(place))

    @staticmethod
    def _entry(name: str, path: str, info: Mapping[str, Any]) -> Entry:
        stamp = " ".join(f"{key}={info[key]}" for key in _STAMPS if info.get(key) is not None)
        return Entry(name, path, int(info.get("size") or 0), stamp)

    def fetch(self, names: Sequence[str], paths: Sequence[str], callback: Callback) -> None:
        """Copies files of the store to paths.

        Raises:
            ReadError: it broke off.
        """
        with self._reached():
            self.system.get(list(names), list(paths), callback=callback)

    def read(self) -> bytes:
        """The bytes of the file that the URL names.

        Raises:
            ReadError: it can't be read.
        """
        with self._reached():
            data: bytes = self.system.cat_file(self.root)
        return data

    def write(self, data: bytes) -> None:
        """Puts a file where the URL says.

        Raises:
            ReadError: it can't be written.
        """
        with self._reached("written"):
            if self.is_local():  # stores have no folders that could be missing
                Path(self.root).parent.mkdir(parents=True, exist_ok=True)
            self.system.pipe_file(self.root, data)

    @contextlib.contextmanager
    def _reached(self, what: str = "read") -> Generator[None]:
        try:
            yield
        except Exception as error:  # stores raise whatever their libraries do: botocore's, aiohttp's, google.auth's
            words = str(error).splitlines()
            reason = type(error).__name__ + (f": {words[0]}" if words else "")
            remedy = "check the address, the network, and the credentials as for the store's own tools"
            raise ReadError(Place(self.url), f"can't be {what} ({reason})", remedy) from error
