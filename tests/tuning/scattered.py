"""Units drawn block by block: scenes that differ from each other, as videos do."""

import numpy as np

from tertium_server.tuning.units import Unit, Units


def scattered(seed: int, blocks: int, objects: float = 12.0, unlike: float = 0.5, missed: float = 0.1) -> Units:
    """Boxes of so many scenes. ``unlike``: how far scores of one scene lie from those of another, in log-odds."""
    random = np.random.default_rng(seed)
    true_counts = random.negative_binomial(2, 2 / (2 + objects), blocks) + 1
    false_counts = random.negative_binomial(1, 1 / (1 + objects), blocks)
    of_true, of_false = np.repeat(np.arange(blocks), true_counts), np.repeat(np.arange(blocks), false_counts)
    true_scores = random.normal(1.5 + random.normal(0, unlike, blocks)[of_true], 1.2)
    false_scores = random.normal(-1.2 + random.normal(0, unlike, blocks)[of_false], 1.1)
    seen = random.random(len(of_true)) > missed
    true = np.repeat(np.array([1, 0], np.int8), [int(seen.sum()), len(of_false)])
    return Units(
        unit=Unit.BOX,
        scores=1 / (1 + np.exp(-np.concatenate([true_scores[seen], false_scores]))),
        true=true,
        false=1 - true,
        found=true,
        class_ids=np.zeros(len(true), np.int64),
        blocks=np.concatenate([of_true[seen], of_false]),
        positives=true_counts[:, None].astype(np.int64),
    )
