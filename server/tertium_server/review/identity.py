"""Names of cases: the same track gives the same one, however often and wherever its decision is made."""

from __future__ import annotations

import hashlib
import secrets
import struct

_HEX_DIGITS = 32


def case_id(stream_id: str, epoch: int, track_id: int, class_name: str, first_frame: int) -> str:
    """32 hexadecimal digits. A track has one decision; callers that number tracks themselves may use a number again, with another first frame."""
    stream, name = stream_id.encode(), class_name.encode()
    message = struct.pack("<QQQII", epoch, track_id, first_frame, len(stream), len(name)) + stream + name
    return hashlib.blake2b(message, digest_size=_HEX_DIGITS // 2, person=b"tertium case").hexdigest()


def new_token() -> str:
    """A lease's token: nobody guesses it."""
    return secrets.token_hex(_HEX_DIGITS // 2)
