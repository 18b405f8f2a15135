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


def reply(world: World, reviewer: int, case: str, *, real: bool) -> Reply | None:
    """What a reviewer (from 0) says of a case; None: nobody gets round to it. ``real``: whether there is an object of the class."""
    people = world.reviewers
    everybody = np.random.default_rng(_seed(world, case))
    if everybody.random() >= people.answered:
        return None
    draw = np.random.default_rng((*_seed(world, case), reviewer)).random(2)
    if draw[0] < people.cannot_tell:
        return Reply.CANNOT_TELL
    wrong = draw[1] < (people.misses if real else people.slips)
    return Reply.YES if real != wrong else Reply.NO


def _seed(world: World, case: str) -> tuple[int, int, int]:
    return world.seed, REVIEWERS, int.from_bytes(hashlib.sha256(case.encode()).digest()[:8], "big")
