"""The audit's coin: which confident decisions people look at all the same.

The coin is a keyed hash, so that a replay, or a second server that sees the same track, comes to the same side; and nobody who does not know the
salt can tell beforehand which tracks will be looked at.
"""

from __future__ import annotations

import hashlib

_DIGEST_BYTES = 8
_SHIFT = 11  # 53 bits: what a float holds exactly


def toss(case: str, salt: str) -> float:
    """A number in [0, 1), evenly spread over cases; a case is chosen where it lies under pi."""
    digest = hashlib.blake2b(
        case.encode(),
        digest_size=_DIGEST_BYTES,
        key=salt.encode()[: hashlib.blake2b.MAX_KEY_SIZE],
        person=b"tertium coin",
    ).digest()
    return (int.from_bytes(digest, "little") >> _SHIFT) * 2.0**-53


def is_chosen(case: str, salt: str, pi: float) -> bool:
    """Whether a decision is audited. With a larger pi the same ones are chosen, and more."""
    if not 0.0 < pi <= 1.0:
        raise ValueError(f"pi is {pi:g}: every stratum needs a probability above 0, else nothing can be said of it")
    return toss(case, salt) < pi
