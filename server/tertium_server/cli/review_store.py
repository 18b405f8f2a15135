"""The store of a server, opened by commands: of its data folder, or by its URL. The server need not run."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

from .failure import MISUSED, CommandError

if TYPE_CHECKING:
    from tertium_server.storage import Database


@contextlib.contextmanager
def open_store_of(folder: Path | None, url: str | None, *, option: str = "--data-dir") -> Generator[Database]:
    """The store of a data folder (None: the default one), or that of a URL.

    Raises:
        CommandError: There is none, or its tables are not those of this version.
    """
    from tertium_server.config import Settings  # noqa: PLC0415  # loads pydantic
    from tertium_server.storage import Database, revision_of, sqlite_url  # noqa: PLC0415
    from tertium_server.storage.migrating import newest_revision  # noqa: PLC0415
    from tertium_server.storage.opening import FILE  # noqa: PLC0415

    folder = folder or Settings().data_dir
    if url is None and not (folder / FILE).exists():
        raise CommandError(f"{option} {folder}: there is no store in it; has a server run on this folder?", MISUSED)
    database = Database(url or sqlite_url(folder))
    try:
        found, wanted = revision_of(database), newest_revision()
        if found is None:
            raise CommandError(f"{database.name} holds nothing of Tertium's yet", MISUSED)
        if found != wanted:
            raise CommandError(
                f"{database.name} is of another version of Tertium (its tables are revision {found}, here {wanted}); take that version's "
                "commands, or start a server of this one on it first",
                MISUSED,
            )
        yield database
    finally:
        database.close()
