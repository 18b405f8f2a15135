"""What is counted: boxes, tracks or frames. Each gives scores, what is true and what is false, and how much there is to find.

====== ============================== ============================== =================================== ============================
unit   score                          true                           to be found                         rightly turned down (TN)
====== ============================== ============================== =================================== ============================
box    the box's own                  paired with an object          objects, frame by frame             not defined: nobody can
                                                                                                         count boxes that were not drawn
track  the highest of its life: from  half of its judged boxes, or   objects; found where accepted true  tracks that are not true
       then on it is announced        more, are true                 tracks hold a fifth of the boxes
                                                                     that are paired with it
frame  the highest of its boxes, by   an object of the class is in   frames with an object, by class     frames without one, by class
       class                          the frame, found or not
====== ============================== ============================== =================================== ============================

Precision is over what is accepted, recall over what is to be found; so a track that is broken in three counts three times for precision
and once for recall. Dropped boxes count for nothing, and a track most of whose boxes are dropped is dropped.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .blocks import BlockUnit, make_blocks
from .curve import Counts, Curve
from .matching import Label, LabelChanges, Matches, Scores
from .readers import Kind, Labelled, Truth
from .sweep import accumulate

TRUE_SHARE = 0.5
"""A track is true where this share of its judged boxes, or more, is."""

FOUND_SHARE = 0.2
"""An object is found where accepted true tracks hold this share, or more, of the boxes in tracks that are paired with it."""


class Unit(StrEnum):
    """What is counted."""

    BOX = "box"
    TRACK = "track"
    FRAME = "frame"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Units:
    """S changes of counts, each of which holds from its score downwards, and what there is to find: all that figures are made of."""

    unit: Unit
    """What is counted."""

    scores: Scores
    """(S,) where the change comes in."""

    true: NDArray[np.int8]
    """(S,) change of the number of true ones."""

    false: NDArray[np.int8]
    """(S,) change of the number of false ones."""

    found: NDArray[np.int8]
    """(S,) change of the number of objects found."""

    class_ids: NDArray[np.int64]
    """(S,) the class each counts for."""

    blocks: NDArray[np.int64]
    """(S,) the block each lies in."""

    positives: Counts
    """(blocks, classes) what is to be found."""

    negatives: Counts | None = None
    """(blocks, classes) what is to be turned down; None where it can't be counted."""

    block_unit: BlockUnit = BlockUnit.SEQUENCE
    """What a block is."""

    def curve(self) -> Curve:
        """Counts at every threshold, all classes and blocks together."""
        negatives = None if self.negatives is None else int(self.negatives.sum())
        return accumulate(self.scores, self.true, self.false, self.found, int(self.positives.sum()), negatives)

    @property
    def filled(self) -> int:
        """Blocks with anything in them: so many can differ from each other. Of a class that only one block has, nothing says how blocks differ."""
        changes = np.bincount(self.blocks, minlength=len(self.positives))
        return int(np.count_nonzero(changes + self.positives.sum(axis=1)))

    def of_class(self, class_id: int) -> Units:
        """Those of one class."""
        chosen = np.arange(self.positives.shape[1]) == class_id
        return self._chosen(self.class_ids == class_id, chosen[None, :])

    def in_blocks(self, chosen: NDArray[np.bool_]) -> Units:
        """Those of some blocks, (blocks,); the others stay, empty."""
        return self._chosen(chosen[self.blocks], chosen[:, None])

    def counts_by_block(self, threshold: float) -> BlockCounts:
        """Counts in each block of what scores ``threshold`` or more."""
        accepted = self.scores >= threshold
        tp, fp, found = (self._by_block(changes, accepted) for changes in (self.true, self.false, self.found))
        return BlockCounts(tp, fp, found, self.positives.sum(axis=1))

    def _by_block(self, changes: NDArray[np.int8], accepted: NDArray[np.bool_]) -> Counts:
        sums = np.bincount(self.blocks[accepted], weights=changes[accepted], minlength=len(self.positives))
        return np.rint(sums).astype(np.int64)

    def _chosen(self, changes: NDArray[np.bool_], totals: NDArray[np.bool_]) -> Units:
        return replace(
            self,
            scores=self.scores[changes],
            true=self.true[changes],
            false=self.false[changes],
            found=self.found[changes],
            class_ids=self.class_ids[changes],
            blocks=self.blocks[changes],
            positives=np.where(totals, self.positives, 0),
            negatives=None if self.negatives is None else np.where(totals, self.negatives, 0),
        )


@dataclass(frozen=True, slots=True, eq=False)
class BlockCounts:
    """Counts in each of B blocks at one threshold."""

    tp: Counts
    """(B,) accepted and true."""

    fp: Counts
    """(B,) accepted and false."""

    found: Counts
    """(B,) objects found."""

    positives: Counts
    """(B,) objects to find."""


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Where a sequence stands among the blocks."""

    of_frames: NDArray[np.int64]
    """(length,) the block of each frame."""

    count: int
    """Blocks in all, over all sequences."""

    unit: BlockUnit = BlockUnit.SEQUENCE
    """What a block is."""

    @classmethod
    def alone(cls, labelled: Labelled) -> Place:
        """The sequence as one block, and the only one: for figures without intervals or promises."""
        return cls(np.zeros(labelled.sequence.length, np.int64), 1)

    @classmethod
    def of_all(cls, labelled: Iterable[Labelled], unit: BlockUnit | None = None) -> tuple[Place, ...]:
        """Where each of these sequences stands, in blocks over all of them (see `blocks.make_blocks`)."""
        blocks = make_blocks([one.sequence.length for one in labelled], unit)
        return tuple(cls(of_frames, blocks.count, blocks.unit) for of_frames in blocks.of_frames)


def merge(parts: Iterable[Units]) -> Units:
    """The units of several sequences together. All have the same unit, classes and number of blocks."""
    parts = tuple(parts)
    if len({(part.unit, part.positives.shape, part.block_unit) for part in parts}) != 1:
        raise ValueError("only units of one kind, with the same classes and blocks, can be counted together")
    names = ("scores", "true", "false", "found", "class_ids", "blocks")
    columns: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    negatives = [part.negatives for part in parts if part.negatives is not None]
    return replace(
        parts[0],
        **columns,
        positives=np.sum([part.positives for part in parts], axis=0),
        negatives=np.sum(negatives, axis=0) if negatives else None,
    )


def box_units(labelled: Labelled, changes: LabelChanges, place: Place | None = None) -> Units:
    """Boxes, from how their labels change (see `matching.label_changes` and `matching.changes_of`)."""
    place = place or Place.alone(labelled)
    sequence = labelled.sequence
    return Units(
        unit=Unit.BOX,
        scores=changes.scores,
        true=changes.true,
        false=changes.false,
        found=changes.true,
        class_ids=sequence.class_ids[changes.detections].astype(np.int64),
        blocks=place.of_frames[sequence.frames[changes.detections] - sequence.first_frame],
        positives=_count(*_wanted(labelled.truth, place), labelled, place),
        block_unit=place.unit,
    )


def frame_units(labelled: Labelled, matches: Matches, scores: Scores, place: Place | None = None) -> Units:
    """Frames, class by class. ``scores`` (N,) are those of the detections."""
    place = place or Place.alone(labelled)
    sequence, truth = labelled.sequence, labelled.truth
    size = _class_count(labelled)
    wanted = np.zeros((sequence.length, size), np.bool_)
    rows = truth.kinds == Kind.EVALUATE
    wanted[truth.frames[rows] - truth.first_frame, truth.class_ids[rows]] = True
    judged = np.flatnonzero(matches.labels >= Label.FALSE)
    keys = (sequence.frames[judged] - sequence.first_frame) * size + sequence.class_ids[judged].astype(np.int64)
    order = np.lexsort((scores[judged], keys))
    last = np.flatnonzero(np.diff(np.append(keys[order], -1)))  # the highest of each frame and class
    frames, class_ids = np.divmod(keys[order][last], size)
    true = wanted[frames, class_ids].astype(np.int8)
    by_block = np.zeros((2, place.count, size), np.int64)
    np.add.at(by_block[1], place.of_frames, wanted)
    np.add.at(by_block[0], place.of_frames, ~wanted)
    return Units(
        unit=Unit.FRAME,
        scores=scores[judged[order[last]]],
        true=true,
        false=np.int8(1) - true,
        found=true,
        class_ids=class_ids,
        blocks=place.of_frames[frames],
        positives=by_block[1],
        negatives=by_block[0],
        block_unit=place.unit,
    )


def _wanted(truth: Truth, place: Place) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Blocks and classes of the rows to find."""
    rows = truth.kinds == Kind.EVALUATE
    return place.of_frames[truth.frames[rows] - truth.first_frame], truth.class_ids[rows].astype(np.int64)


def _class_count(labelled: Labelled) -> int:
    return max(labelled.truth.class_names, default=0) + 1


def _count(blocks: NDArray[np.int64], class_ids: NDArray[np.int64], labelled: Labelled, place: Place) -> Counts:
    """(blocks, classes) how often each pair comes."""
    size = _class_count(labelled)
    return np.bincount(blocks * size + class_ids, minlength=place.count * size).reshape(place.count, size)
