"""What people answered, as training data: JSON lines, or COCO."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

from tertium_server.review.reading import Reviewed
from tertium_server.review.values import Answer


def write_jsonl(found: Iterable[Reviewed], out: TextIO) -> int:
    """One line a case, the least certain first; how many."""
    count = 0
    for count, each in enumerate(found, 1):  # noqa: B007 - the last one is the number
        out.write(json.dumps(line_of(each), ensure_ascii=False) + "\n")
    return count


def write_coco(found: Iterable[Reviewed], out: TextIO) -> int:
    """One document: an image for each frame of a reviewed track, an annotation for each box that people said yes to; how many cases.

    Boxes that people said no to are under ``rejected``, in the form of annotations: hard negatives, for which COCO has no place.
    """
    images: dict[tuple[str, int, int], dict[str, Any]] = {}
    categories: dict[str, int] = {}
    annotations: list[dict[str, Any]] = []
    rejected: list[dict[str, Any]] = []
    count = 0
    for count, each in enumerate(found, 1):  # noqa: B007 - as above
        category = categories.setdefault(each.case.class_name, len(categories) + 1)
        for image, box in _boxes(each, images):
            kept = annotations if each.case.answer is Answer.YES else rejected
            kept.append(_annotation(each, len(kept) + 1, image, category, box))
    json.dump(
        {
            "info": {
                "description": "Tracks that people reviewed, the least certain first. weight: tracks that one stands for."
            },
            "images": list(images.values()),
            "categories": [{"id": number, "name": name} for name, number in categories.items()],
            "annotations": annotations,
            "rejected": rejected,
        },
        out,
        ensure_ascii=False,
    )
    out.write("\n")
    return count


def line_of(each: Reviewed) -> dict[str, Any]:
    """An answered case as JSON; docs/review.md says what its fields are."""
    case = each.case
    return {
        "case_id": case.id,
        "stream_id": case.stream_id,
        "group": case.group,
        "epoch": case.epoch,
        "track_id": case.track_id,
        "class_name": case.class_name,
        "first_frame": case.first_frame,
        "frame_index": case.frame_index,
        "answer": None if case.answer is None else case.answer.value,
        "weight": each.weight,
        "source": case.source.value,
        "stratum": case.stratum.value,
        "probability": case.probability,
        "policy_version": case.policy_version,
        "decided_at": case.decided_at,
        "closed_at": case.closed_at,
        "frame_width": each.footage.frame_width,
        "frame_height": each.footage.frame_height,
        "frames": [
            {"index": frame.index, "time": frame.time, "box": frame.box, "score": frame.score}
            for frame in each.footage.frames
        ],
    }


def _boxes(
    each: Reviewed, images: dict[tuple[str, int, int], dict[str, Any]]
) -> Iterator[tuple[int, tuple[float, float, float, float]]]:
    """The boxes of a case, each with the number of its image."""
    case, footage = each.case, each.footage
    for frame in footage.frames:
        key = (case.stream_id, case.epoch, frame.index)
        image = images.setdefault(
            key,
            {
                "id": len(images) + 1,
                "file_name": f"{case.stream_id}/{case.epoch}/{frame.index}.jpg",
                "width": footage.frame_width,
                "height": footage.frame_height,
                "stream_id": case.stream_id,
                "epoch": case.epoch,
                "frame_index": frame.index,
            },
        )
        yield image["id"], frame.box


def _annotation(
    each: Reviewed, number: int, image: int, category: int, box: tuple[float, float, float, float]
) -> dict[str, Any]:
    x1, y1, x2, y2 = box
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "area": (x2 - x1) * (y2 - y1),
        "iscrowd": 0,
        "track_id": each.case.track_id,
        "case_id": each.case.id,
        "weight": each.weight,
    }
