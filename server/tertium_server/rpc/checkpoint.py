"""Checkpoints: a stream's state in a signed envelope that only servers with the same key can make or open.

Layout, little-endian::

    magic "TTCP" | version u8 | flags u8 (1: body compressed by zlib) | key id 4 bytes | HMAC-SHA256 32 bytes | body

    body: stream digest 16 bytes | epoch u64 | detections u64 | settings digest 16 bytes | snapshot of the engine

The signature covers everything but itself. The key id is a hash of the key: it tells "another key" from "damaged". Nothing of a body is looked at,
nor decompressed, before its signature has been found right, in constant time.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
import zlib
from dataclasses import dataclass

from tertium_server.errors import CheckpointRefusedError

_MAGIC = b"TTCP"
_VERSION = 1
_COMPRESSED = 1
_PREFIX = struct.Struct("<4sBB4s")
_BODY = struct.Struct("<16sQQ16s")
_SIGNATURE_SIZE = hashlib.sha256().digest_size
_SIGNED_FROM = _PREFIX.size + _SIGNATURE_SIZE
_WORTH_COMPRESSING = (
    1 << 16
)  # bytes; to compress takes ten times as long as to sign, and few streams hold more than 200 tracks


@dataclass(frozen=True, slots=True)
class StreamState:
    """What a checkpoint holds."""

    epoch: int
    """The epoch of the stream."""

    detections: int
    """Detections taken in this epoch: an upper bound of the track ordinals given out."""

    settings_digest: bytes
    """16 bytes over those settings of the stream that its state depends on."""

    snapshot: bytes
    """The engine's state."""


class CheckpointSealer:
    """Seals and opens checkpoints with one key."""

    def __init__(self, key: bytes) -> None:
        # Two purposes, two derived keys: the id must not help to find the key that signs.
        self._signing_key = hmac.digest(key, b"tertium checkpoint signature", "sha256")
        self._key_id = hmac.digest(key, b"tertium checkpoint key id", "sha256")[:4]

    def __repr__(self) -> str:
        return f"CheckpointSealer(key_id={self._key_id.hex()})"

    def seal(self, stream_id: str, state: StreamState) -> bytes:
        """The envelope of a stream's state."""
        body = (
            _BODY.pack(_stream_digest(stream_id), state.epoch, state.detections, state.settings_digest) + state.snapshot
        )
        flags = 0
        if len(body) > _WORTH_COMPRESSING:
            compressed = zlib.compress(body, 1)
            if len(compressed) < len(body):
                body, flags = compressed, _COMPRESSED
        prefix = _PREFIX.pack(_MAGIC, _VERSION, flags, self._key_id)
        return b"".join((prefix, self._sign(prefix, body), body))

    def open(self, stream_id: str, envelope: bytes) -> StreamState:
        """What an envelope holds.

        Raises:
            CheckpointRefusedError: It is damaged, foreign, or of another format.
        """
        if len(envelope) < _SIGNED_FROM + _BODY.size // 2 or envelope[:4] != _MAGIC:
            raise CheckpointRefusedError("these bytes are no checkpoint; pass on Checkpoint.state as it was received")
        prefix, signature, body = (
            envelope[: _PREFIX.size],
            envelope[_PREFIX.size : _SIGNED_FROM],
            envelope[_SIGNED_FROM:],
        )
        _, version, flags, key_id = _PREFIX.unpack(prefix)
        if version != _VERSION:
            raise CheckpointRefusedError(
                f"it has format {version}, this server reads {_VERSION}; start anew without a checkpoint"
            )
        if key_id != self._key_id:
            raise CheckpointRefusedError(
                "it was signed with another key; give all replicas the same --checkpoint-key-file"
            )
        if not hmac.compare_digest(signature, self._sign(prefix, body)):
            raise CheckpointRefusedError("its signature is wrong: it was damaged or changed")
        if flags & _COMPRESSED:
            body = zlib.decompress(body)
        digest, epoch, detections, settings_digest = _BODY.unpack_from(body)
        if digest != _stream_digest(stream_id):
            raise CheckpointRefusedError(
                "it is of another stream; a checkpoint belongs to the stream_id it was made for"
            )
        return StreamState(epoch, detections, settings_digest, body[_BODY.size :])

    def _sign(self, prefix: bytes, body: bytes) -> bytes:
        return hmac.digest(self._signing_key, prefix + body, "sha256")


def _stream_digest(stream_id: str) -> bytes:
    return hashlib.blake2b(stream_id.encode(), digest_size=16, person=b"tertium stream").digest()
