"""An evaluation row by row: detections, tracks and frames as tables, to sort and filter elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from tertium_server.engine import Verdict

from .decisions import VERDICTS
from .judged import YES, Judged
from .matching import Label
from .readers import Kind as TruthKind
from .table_files import Kind, Table, TableError, write_tables

__all__ = ["TableError", "Tables", "tables_of"]

_LABELS = {Label.TRUE: "true", Label.FALSE: "false", Label.DROPPED: "dropped", Label.ABSENT: "absent"}


def _columns(text: str) -> MappingProxyType[str, Kind]:
    """Columns written as "name:kind"; text where there is no kind."""
    kinds = {"": Kind.TEXT, "whole": Kind.WHOLE, "number": Kind.NUMBER, "rough": Kind.ROUGH}
    return MappingProxyType({name: kinds[kind] for name, _, kind in (word.partition(":") for word in text.split())})


DETECTIONS = _columns(
    "sequence frame:whole row:whole class x:number y:number w:number h:number score:number probability:number verdict track:whole "
    "track_probability:number label truth_row:whole iou:rough"
)
TRACKS = _columns(
    "sequence track:whole class first_frame:whole last_frame:whole boxes:whole true_boxes:whole false_boxes:whole probability:number "
    "verdict label frames_until_yes:whole"
)
FRAMES = _columns(
    "sequence frame:whole objects:whole boxes:whole yes:whole maybe:whole true_yes:whole false_yes:whole misses:whole"
)


@dataclass(frozen=True, slots=True)
class Tables:
    """Where tables go, and as what."""

    place: str | Path
    """A folder, which is made, or a URL; what stood there is written over."""

    form: str = "csv"
    """One of table_files.FORMS."""

    def write(self, judged: Sequence[Judged]) -> tuple[str, ...]:
        """Writes detections, tracks and frames there.

        Raises:
            TableError: they can't be written.
        """
        return write_tables(self.place, tables_of(judged), self.form)


def tables_of(judged: Sequence[Judged]) -> dict[str, Table]:
    """The tables by name, their rows still to be made."""
    return {
        "detections": Table(DETECTIONS, (row for one in judged for row in _detections(one))),
        "tracks": Table(TRACKS, (row for one in judged for row in _tracks(one))),
        "frames": Table(FRAMES, (row for one in judged for row in _frames(one))),
    }


def _detections(one: Judged) -> Iterator[tuple[Any, ...]]:
    sequence, said, found = one.labelled.sequence, one.decisions, one.matches
    indices = sequence.frame_indices()[sequence.frames - sequence.first_frame].tolist()
    for place in range(len(sequence)):
        paired = int(found.truth_index[place])
        yield (
            one.name,
            indices[place],
            int(sequence.rows[place]),
            sequence.class_names[int(sequence.class_ids[place])],
            *sequence.xywh[place].tolist(),
            float(sequence.scores[place]),
            float(said.probabilities[place]),
            VERDICTS[int(said.verdicts[place])],
            int(said.track_ids[place]),
            float(said.track_probabilities[place]),
            _LABELS[Label(int(found.labels[place]))],
            int(one.labelled.truth.rows[paired]) if paired >= 0 else None,
            float(found.ious[place]) if paired >= 0 else None,
        )


def _tracks(one: Judged) -> Iterator[tuple[Any, ...]]:
    """The verdict on a track is the highest it ever had; its probability, too."""
    tracks, sequence, labels = one.tracks(), one.labelled.sequence, one.by_score().labels
    indices = sequence.frame_indices()
    order = np.argsort(tracks.members, kind="stable")
    starts = np.searchsorted(tracks.members[order], np.arange(len(tracks.ids) + 1))
    for place, track in enumerate(tracks.ids.tolist()):
        mine = order[starts[place] : starts[place + 1]]
        frames = sequence.frames[mine] - sequence.first_frame
        sure = frames[one.track_levels[mine] >= YES]
        yield (
            one.name,
            track,
            sequence.class_names[int(tracks.class_ids[place])],
            int(indices[frames.min()]),
            int(indices[frames.max()]),
            len(mine),
            int((labels[mine] == Label.TRUE).sum()),
            int((labels[mine] == Label.FALSE).sum()),
            float(one.decisions.track_probabilities[mine].max()),
            VERDICTS[int(tracks.scores[place])],
            _LABELS[Label(int(tracks.labels[place]))],
            int(sure.min() - frames.min()) if len(sure) else None,
        )


def _frames(one: Judged) -> Iterator[tuple[Any, ...]]:
    sequence, truth = one.labelled.sequence, one.labelled.truth
    here, there = sequence.frames - sequence.first_frame, truth.frames - truth.first_frame
    yes, labels = one.of(Verdict.YES), one.matches.labels

    def count(frames: Any) -> list[int]:  # noqa: ANN401  # numpy's own type says no more
        return [int(number) for number in np.bincount(frames, minlength=sequence.length)]

    objects = count(there[truth.kinds == TruthKind.EVALUATE])
    right = count(here[yes & (labels == Label.TRUE)])
    columns = (
        objects,
        count(here),
        count(here[yes]),
        count(here[one.of(Verdict.MAYBE)]),
        right,
        count(here[yes & (labels == Label.FALSE)]),
        [wanted - found for wanted, found in zip(objects, right, strict=True)],
    )
    for frame, values in zip(sequence.frame_indices().tolist(), zip(*columns, strict=True), strict=True):
        yield (one.name, frame, *values)
