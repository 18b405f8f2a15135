"""The key that signs checkpoints: given, read from a file, or made once and kept in the data folder."""

from __future__ import annotations

import secrets
from pathlib import Path

from tertium_server.errors import ConfigurationError, StartError
from tertium_server.storage.once import write_once

SHORTEST_KEY = 32
_FILE_NAME = "checkpoint.key"
_OPTION = "--checkpoint-key-file"


def read_key(path: Path) -> bytes:
    """The key of a file, white space around it left out.

    Raises:
        ConfigurationError: The file can't be read, or holds too little.
    """
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise ConfigurationError(
            _OPTION, str(path), f"can't be read: {error.strerror}", "name a file that the server may read"
        ) from error
    if len(key) < SHORTEST_KEY:
        raise ConfigurationError(
            _OPTION, str(path), f"holds {len(key)} bytes, a key needs {SHORTEST_KEY}", "make one: openssl rand -hex 32"
        )
    return key


def make_or_read_key(data_dir: Path) -> bytes:
    """The data folder's own key, made when it is first asked for, readable by the server's user only.

    Raises:
        StartError: The folder can't be written, or the key in it not be read.
    """
    path = data_dir / _FILE_NAME
    if not path.exists():
        try:
            write_once(path, secrets.token_hex(SHORTEST_KEY).encode() + b"\n")
        except OSError as error:
            raise StartError(
                f"{path} can't be written: {error.strerror}; name another folder with --data-dir"
            ) from error
    return read_key(path)
