"""Folds hold out whole sequences, or blocks of the only one."""

import numpy as np
import pytest

from tertium_server.tuning.fit.folds import Folds, make_folds


def folds_of(lengths: list[int], count: int | None = None, seed: int = 0) -> Folds:
    frames = [np.repeat(np.arange(1, length + 1), 3) for length in lengths]
    return make_folds(frames, lengths, [1] * len(lengths), count, seed)


@pytest.mark.parametrize(
    ("lengths", "count", "expected"),
    [([30] * 3, None, 3), ([30] * 9, None, 9), ([30] * 12, None, 10), ([30] * 9, 4, 4)],
)
def test_sequences_are_held_out_whole(lengths: list[int], count: int | None, expected: int) -> None:
    folds = folds_of(lengths, count)
    assert (folds.count, folds.unit) == (expected, "sequence")
    assert all(len(np.unique(one)) == 1 for one in folds.of_sequence)
    assert {int(one[0]) for one in folds.of_sequence} == set(range(expected))


def test_folds_are_of_like_size() -> None:
    folds = folds_of([1000, 10, 10, 10, 500, 490], 2)
    sizes = [sum(len(one) for one in folds.of_sequence if one[0] == fold) for fold in range(2)]
    assert max(sizes) < 1.05 * min(sizes)


def test_one_sequence_is_cut_into_blocks_of_consecutive_frames() -> None:
    folds = folds_of([103], 5)
    assert folds.unit == "block"
    (blocks,) = folds.of_sequence
    assert (np.diff(blocks) >= 0).all()
    assert np.bincount(blocks).min() >= 3 * 20
    assert sum(folds.held_out(0, fold).sum() for fold in range(5)) == len(blocks)


def test_the_seed_alone_deals_the_sequences() -> None:
    dealt = [[int(one[0]) for one in folds_of([30] * 9, 4, seed).of_sequence] for seed in (0, 0, 1)]
    assert dealt[0] == dealt[1] != dealt[2]
