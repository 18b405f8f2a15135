"""Where recordings lie: `<folder>/<stream>/<epoch>-<number>.tertium`, the parts of a stream's run in order of their numbers."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

SUFFIX = ".tertium"
SUFFIXES = (SUFFIX, f"{SUFFIX}.gz")
"""What names of files end with. Readers take compressed ones, too; writers write none."""

_LONGEST = 120
_NAME = re.compile(r"(\d{1,19})-(\d{1,9})")


class PartName(NamedTuple):
    """Which part of which run of a stream a file is, by its name."""

    epoch: int
    number: int

    @classmethod
    def of(cls, file: Path) -> PartName | None:
        """The name of a file; None: it is no part of a recording, or was renamed."""
        for suffix in SUFFIXES:
            match = _NAME.fullmatch(file.name.removesuffix(suffix)) if file.name.endswith(suffix) else None
            if match is not None:
                return cls(int(match[1]), int(match[2]))
        return None

    def __str__(self) -> str:
        return f"{self.epoch:019}-{self.number:06}{SUFFIX}"


def stream_folder(folder: Path, stream_id: str) -> Path:
    """The folder of a stream: its name, with what file systems do not take written as %XX; a long one is cut and told apart by a hash."""
    name = quote(stream_id, safe=" ")
    if name.startswith("."):  # "..", and hidden folders
        name = f"%2E{name[1:]}"
    if len(name) > _LONGEST:
        name = f"{name[:_LONGEST]}-{hashlib.blake2b(stream_id.encode(), digest_size=8).hexdigest()}"
    return folder / name
