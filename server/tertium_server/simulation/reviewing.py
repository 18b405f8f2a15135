"""How people answer: mostly right, now and then not, always the same person the same way about the same case."""

from __future__ import annotations

import hashlib
from enum import Enum

import numpy as np

from .world import World

REVIEWERS = 2
"""The part of a world's randomness that answers are drawn from."""


class Reply(Enum):
    """What a reviewer says."""

    YES = "yes"
    NO = "no"
    CANNOT_TELL = "cannot_tell"


def reply(world: World, reviewer: int, case: str, *, real: bool) -> Reply:
    """What a reviewer (from 0) says of a case. ``real``: whether there is an object of the class."""
    people = world.reviewers
    number = int.from_bytes(hashlib.sha256(case.encode()).digest()[:8], "big")
    draw = np.random.default_rng((world.seed, REVIEWERS, number, reviewer)).random(2)
    if draw[0] < people.cannot_tell:
        return Reply.CANNOT_TELL
    wrong = draw[1] < (people.misses if real else people.slips)
    return Reply.YES if real != wrong else Reply.NO
