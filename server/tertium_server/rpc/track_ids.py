"""Track ids on the wire: unique over all streams, epochs and restarts, without anybody to hand them out.

The engine numbers the tracks of an epoch 1, 2, 3 … (ordinals). On the wire an id is ``tag << 24 | ordinal & 0xFFFFFF``, where the tag is a 39-bit
hash of stream id, epoch and ``ordinal >> 24``. So an id fits a signed 64-bit integer, a resumed stream repeats its ids, the low 24 bits
tell the ordinal, and two epochs share ids only if their tags collide: with 10,000 epochs kept, once in 11,000 such collections.
"""

from __future__ import annotations

import hashlib
import struct

import numpy as np
from numpy.typing import NDArray

ORDINAL_BITS = 24
_PAGE = 1 << ORDINAL_BITS
_TAG_MASK = (1 << 39) - 1
_LARGEST = (1 << 63) - 1 - (1 << 32)  # what is added to it is a message's detections


def page_base(stream_id: str, epoch: int, page: int) -> int:
    """The id, on the wire, of the ordinal 0 of a page of 2^24 ordinals."""
    message = struct.pack("<QQ", epoch, page) + stream_id.encode()
    digest = hashlib.blake2b(message, digest_size=8, person=b"tertium track").digest()
    return (int.from_bytes(digest, "little") & _TAG_MASK) << ORDINAL_BITS


class TrackIds:
    """Turns one epoch's ordinals into ids for the wire."""

    __slots__ = ("_base", "_caller", "_epoch", "_stream_id")

    def __init__(self, stream_id: str, epoch: int, *, caller: bool) -> None:
        self._stream_id = stream_id
        self._epoch = epoch
        self._caller = caller  # the engine's ids are the caller's own: they stay as they are
        self._base = np.int64(page_base(stream_id, epoch, 0))

    @property
    def base(self) -> int:
        """What ids are made of ordinals with, up to ``most_plain`` of them: id = base | ordinal."""
        return 0 if self._caller else int(self._base)

    @property
    def most_plain(self) -> int:
        """How many ordinals have ``base`` for their base."""
        return _LARGEST if self._caller else _PAGE - 1

    def to_wire(self, ordinals: NDArray[np.int64], bound: int) -> NDArray[np.int64]:
        """Ids of ordinals, none of which is over ``bound``."""
        if self._caller:
            return ordinals
        if bound < _PAGE:
            return ordinals | self._base
        return self._paged(ordinals)

    def to_ordinal(self, wire_id: int, bound: int) -> int | None:
        """The ordinal behind an id on the wire; None: it is of another stream or epoch, or over ``bound``."""
        if self._caller:
            return wire_id
        for page in range((bound >> ORDINAL_BITS) + 1):
            if wire_id & ~(_PAGE - 1) == page_base(self._stream_id, self._epoch, page):
                return page << ORDINAL_BITS | wire_id & (_PAGE - 1)
        return None

    def _paged(self, ordinals: NDArray[np.int64]) -> NDArray[np.int64]:
        pages, places = np.unique(ordinals >> ORDINAL_BITS, return_inverse=True)
        bases = np.array([page_base(self._stream_id, self._epoch, page) for page in pages.tolist()], np.int64)
        return bases[places] | (ordinals & (_PAGE - 1))
