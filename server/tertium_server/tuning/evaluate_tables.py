"""An evaluation row by row: detections, tracks and frames as CSV, to sort and filter elsewhere."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tertium_server.engine import Verdict
from tertium_server.errors import TertiumError

from .decisions import VERDICTS
from .judged import YES, Judged
from .matching import Label
from .readers import Kind

_LABELS = {Label.TRUE: "true", Label.FALSE: "false", Label.DROPPED: "dropped", Label.ABSENT: "absent"}

DETECTIONS = (
    "sequence", "frame", "row", "class", "x", "y", "w", "h", "score", "probability", "verdict", "track",
    "track_probability", "label", "truth_row", "iou",
)  # fmt: skip
TRACKS = (
    "sequence", "track", "class", "first_frame", "last_frame", "boxes", "true_boxes", "false_boxes", "probability", "verdict",
    "label", "frames_until_yes",
)  # fmt: skip
FRAMES = ("sequence", "frame", "objects", "boxes", "yes", "maybe", "true_yes", "false_yes", "misses")


class TableError(TertiumError):
    """Tables can't be written. The message names the folder and the remedy."""


def write_tables(folder: Path, judged: Sequence[Judged]) -> tuple[Path, ...]:
    """Writes detections.csv, tracks.csv and frames.csv into a folder, which is made; what stood there is written over.

    Raises:
        TableError: they can't be written.
    """
    tables = {
        "detections": (DETECTIONS, (row for one in judged for row in _detections(one))),
        "tracks": (TRACKS, (row for one in judged for row in _tracks(one))),
        "frames": (FRAMES, (row for one in judged for row in _frames(one))),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return tuple(_write(folder / f"{name}.csv", header, rows) for name, (header, rows) in tables.items())
    except OSError as error:
        raise TableError(f"{folder}: can't be written ({error.strerror or error}); choose another folder") from error


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
    return path


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
            *(f"{value:.9g}" for value in sequence.xywh[place]),
            f"{sequence.scores[place]:.9g}",
            f"{said.probabilities[place]:.9g}",
            VERDICTS[int(said.verdicts[place])],
            int(said.track_ids[place]),
            f"{said.track_probabilities[place]:.9g}",
            _LABELS[Label(int(found.labels[place]))],
            int(one.labelled.truth.rows[paired]) if paired >= 0 else "",
            f"{found.ious[place]:.6g}" if paired >= 0 else "",
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
            f"{one.decisions.track_probabilities[mine].max():.9g}",
            VERDICTS[int(tracks.scores[place])],
            _LABELS[Label(int(tracks.labels[place]))],
            int(sure.min() - frames.min()) if len(sure) else "",
        )


def _frames(one: Judged) -> Iterator[tuple[Any, ...]]:
    sequence, truth = one.labelled.sequence, one.labelled.truth
    here, there = sequence.frames - sequence.first_frame, truth.frames - truth.first_frame
    yes, labels = one.of(Verdict.YES), one.matches.labels

    def count(frames: Any) -> list[int]:  # noqa: ANN401  # numpy's own type says no more
        return [int(number) for number in np.bincount(frames, minlength=sequence.length)]

    objects = count(there[truth.kinds == Kind.EVALUATE])
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
