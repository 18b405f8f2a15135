"""Small files that are written once and then stay: keys and tokens."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path


def write_once(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all, for its owner's eyes only. When another process was first, its file stays.

    Raises:
        OSError: It can't be written.
    """
    # A name of its own, mode 0600: in containers that share a volume, even the process id may be the same.
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)  # fails if it exists; a rename would replace it
    finally:
        Path(temporary).unlink()
