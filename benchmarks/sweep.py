"""The exact sweep beside pycocotools, hotcoco and supervision, where these are installed.

``python benchmarks/sweep.py [--quick] [--out FOLDER]``. Each is given the same boxes: three classes, IoU 0.5, matching by score. Tertium's time
is that of everything from arrays to the best threshold: order, matching, counts at every distinct score. That of the others is matching and
accumulation alone; what they need to read and index the boxes is given apart. Where a tool gives counts, they are compared. Time on the clock and
time of the processors, which tell tools with several threads and busy machines apart; the best of a few rounds for Tertium, one for the others.
"""

import argparse
import contextlib
import importlib
import importlib.util
import io
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from harness.plots import Chart, save
from harness.report import Bound, describe_machine, print_table, write_json

from tertium_server.tuning.matching import Label, label_changes, match
from tertium_server.tuning.readers import Labelled, Sequence, Truth
from tertium_server.tuning.sweep import Curve
from tertium_server.tuning.units import box_units

CLASSES = 3
BOXES = 20
SIZES = (200, 5_000, 50_000)
"""Images."""

LIMITS = {5_000: 0.2, 50_000: 3.0}
"""Seconds that the sweep may take, by images."""

_SLOW = 5_000  # images beyond which the others would take minutes


def draw(images: int, seed: int = 0) -> Labelled:
    """Images with BOXES detections each, most of them near an object."""
    random = np.random.default_rng(seed)
    count = images * BOXES
    frames = np.repeat(np.arange(1, images + 1), BOXES)
    corner, size = random.uniform(0, 1500, (count, 2)), random.uniform(20, 150, (count, 2))
    classes = random.integers(0, CLASSES, count).astype(np.uint32)
    real = random.random(count) < 0.6  # noqa: PLR2004 - as good a share as any
    xywh = np.hstack([corner + random.normal(0, 8, (count, 2)), size * random.uniform(0.8, 1.2, (count, 2))])
    scores = np.where(real, random.beta(5, 2, count), random.beta(2, 4, count)).astype(np.float32)
    names = {number: f"class-{number}" for number in range(CLASSES)}
    objects = int(real.sum())
    common: dict[str, Any] = {
        "name": "drawn",
        "first_frame": 1,
        "length": images,
        "class_names": names,
        "source": Path("drawn"),
    }
    detections = Sequence(
        **common,
        fps=25.0,
        frames=frames,
        boxes=np.hstack([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]]).astype(np.float32),
        xywh=xywh,
        scores=scores.astype(np.float64),
        class_ids=classes,
        track_ids=np.full(count, -1),
        rows=np.arange(1, count + 1),
    )
    truth = Truth(
        **common,
        frames=frames[real],
        boxes=np.hstack([corner, corner + size])[real],
        class_ids=classes[real],
        track_ids=np.arange(objects),
        kinds=np.zeros(objects, np.uint8),
        rows=np.arange(1, objects + 1),
    )
    return Labelled(detections, truth)


def swept(labelled: Labelled, rule: str) -> Curve:
    """The curve of all boxes, and the best and the recommended threshold on it."""
    curve = box_units(labelled, label_changes(labelled, labelled.sequence.scores, 0.5, rule)).curve()
    curve.best()
    curve.recommended()
    return curve


def timed(what: Callable[[], Any], rounds: int) -> tuple[dict[str, float], Any]:
    """The least seconds, on the clock and of the processors, and the last result."""
    clock, processors, result = [], [], None
    for _ in range(rounds):
        started, used = time.perf_counter(), time.process_time()
        result = what()
        clock.append(time.perf_counter() - started)
        processors.append(time.process_time() - used)
    return {"seconds": min(clock), "processor_seconds": min(processors)}, result


def coco_of(labelled: Labelled) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The same boxes as COCO's annotations and results."""
    truth, detections = labelled.truth, labelled.sequence
    sizes = truth.boxes[:, 2:] - truth.boxes[:, :2]
    rows = zip(
        truth.frames.tolist(), truth.class_ids.tolist(), np.hstack([truth.boxes[:, :2], sizes]).tolist(), strict=True
    )
    annotations = [
        {"id": number, "image_id": frame, "category_id": found + 1, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
        for number, (frame, found, box) in enumerate(rows, 1)
    ]
    images = [{"id": frame, "width": 2000, "height": 2000} for frame in range(1, truth.length + 1)]
    categories = [{"id": number + 1, "name": name} for number, name in truth.class_names.items()]
    seen = zip(
        detections.frames.tolist(),
        detections.class_ids.tolist(),
        detections.xywh.tolist(),
        detections.scores.tolist(),
        strict=True,
    )
    results = [
        {"image_id": frame, "category_id": found + 1, "bbox": box, "score": score} for frame, found, box, score in seen
    ]
    return {"info": {}, "images": images, "annotations": annotations, "categories": categories}, results


def with_coco(package: str, labelled: Labelled) -> dict[str, Any]:
    """Of pycocotools, or of a package that goes by its names."""
    if package == "pycocotools":
        coco_class = importlib.import_module("pycocotools.coco").COCO
        eval_class = importlib.import_module("pycocotools.cocoeval").COCOeval
    else:
        module = importlib.import_module(package)
        coco_class, eval_class = module.COCO, module.COCOeval
    annotations, results = coco_of(labelled)

    def prepare() -> Any:  # noqa: ANN401 - the class of another package
        if package == "pycocotools":
            objects = coco_class()
            objects.dataset = annotations
            objects.createIndex()
        else:
            objects = coco_class(annotations)
        evaluation = eval_class(objects, objects.loadRes(results), "bbox")
        evaluation.params.iouThrs = np.array([0.5]) if package == "pycocotools" else [0.5]
        evaluation.params.maxDets = [1, 10, 1000]
        return evaluation

    def evaluate() -> None:
        evaluation.evaluate()
        evaluation.accumulate()

    with contextlib.redirect_stdout(io.StringIO()):
        preparing, evaluation = timed(prepare, 1)
        seconds, _ = timed(evaluate, 1)
    return {**seconds, "preparing_seconds": preparing["seconds"], **_matched(evaluation)}


def _matched(evaluation: Any) -> dict[str, Any]:  # noqa: ANN401 - the class of another package
    """How many detections it takes for true, over all sizes of objects; nothing where it does not say."""
    total, seen = 0, False
    everything = list(evaluation.params.areaRng[0])
    for image in getattr(evaluation, "evalImgs", None) or []:
        if image is not None and list(image["aRng"]) == everything:
            seen = True
            total += int(np.sum(np.asarray(image["dtMatches"])[0] > 0))
    return {"true": total} if seen else {}


def with_supervision(labelled: Labelled) -> dict[str, Any]:
    """Of supervision's mean average precision: ten IoU thresholds, for it takes no fewer."""
    library = importlib.import_module("supervision")
    metrics = importlib.import_module("supervision.metrics")

    def prepare() -> Any:  # noqa: ANN401 - the class of another package
        sequence, truth = labelled.sequence, labelled.truth
        metric = metrics.MeanAveragePrecision()
        found = np.split(np.arange(len(sequence)), np.flatnonzero(np.diff(sequence.frames)) + 1)
        starts = np.searchsorted(truth.frames, np.arange(1, truth.length + 2))
        for frame, rows in enumerate(found):
            wanted = slice(int(starts[frame]), int(starts[frame + 1]))
            metric.update(
                library.Detections(
                    xyxy=sequence.boxes[rows],
                    confidence=sequence.scores[rows],
                    class_id=sequence.class_ids[rows].astype(int),
                ),
                library.Detections(xyxy=truth.boxes[wanted], class_id=truth.class_ids[wanted].astype(int)),
            )
        return metric

    preparing, metric = timed(prepare, 1)
    seconds, _ = timed(metric.compute, 1)
    return {**seconds, "preparing_seconds": preparing["seconds"]}


OTHERS: dict[str, Callable[[Labelled], dict[str, Any]]] = {
    "pycocotools": lambda labelled: with_coco("pycocotools", labelled),
    "hotcoco": lambda labelled: with_coco("hotcoco", labelled),
    "supervision": with_supervision,
}


def measure(*, quick: bool) -> dict[str, Any]:
    """Seconds by number of images: of Tertium by both rules, and of the others that are installed."""
    others = {name: run for name, run in OTHERS.items() if importlib.util.find_spec(name) is not None}
    small = draw(20)
    for rule in ("score", "iou"):
        swept(small, rule)  # compiles
    rounds: list[dict[str, Any]] = []
    for images in SIZES[:2] if quick else SIZES:
        labelled = draw(images)
        times: dict[str, Any] = {}
        for rule in ("score", "iou"):
            seconds, curve = timed(partial(swept, labelled, rule), 3)
            times[f"tertium, by {rule}"] = {**seconds, "thresholds": len(curve), "true": int(curve.tp[0])}
        for name, run in others.items():
            if images <= _SLOW:
                times[name] = run(labelled)
        labels = match(labelled, labelled.sequence.scores).labels
        expected = int(np.count_nonzero(labels == Label.TRUE))
        for name in ("tertium, by score", "pycocotools", "hotcoco"):
            assert times.get(name, {}).get("true", expected) == expected, f"{name} counts otherwise"
        rounds.append({"images": images, "boxes": images * BOXES, "times": times})
    return {"boxes_an_image": BOXES, "missing": sorted(OTHERS.keys() - others.keys()), "rounds": rounds}


def show(results: dict[str, Any]) -> None:
    """Prints them."""
    rows = [
        [
            one["images"],
            one["boxes"],
            name,
            times["seconds"],
            times["processor_seconds"],
            times.get("preparing_seconds", "-"),
            times.get("thresholds", "-"),
        ]
        for one in results["rounds"]
        for name, times in one["times"].items()
    ]
    print_table("Sweep", ["images", "boxes", "of", "seconds", "processor", "preparing", "thresholds"], rows)
    if results["missing"]:
        print(f"  not installed: {', '.join(results['missing'])}")


def bounds(results: dict[str, Any]) -> list[Bound]:
    """The seconds that a sweep may take."""
    return [
        Bound(f"sweep of {one['images']} images, {name}", times["seconds"], LIMITS[one["images"]], "s")
        for one in results["rounds"]
        if one["images"] in LIMITS
        for name, times in one["times"].items()
        if name == "tertium, by score"
    ]


def plot(results: dict[str, Any], folder: Path) -> None:
    """Draws processor time against the number of boxes."""
    chart = Chart("Exact sweep, matching included", "boxes", "processor seconds", logarithmic=True)
    names = dict.fromkeys(name for one in results["rounds"] for name in one["times"])
    for name in names:
        measured = [one for one in results["rounds"] if name in one["times"]]
        seconds = [one["times"][name]["processor_seconds"] for one in measured]
        chart.line(name, [one["boxes"] for one in measured], seconds)
    save(folder / "sweep.svg", chart)


def main() -> None:
    """Measures and shows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="without the million boxes")
    parser.add_argument("--out", type=Path, help="folder to write sweep.json to")
    options = parser.parse_args()
    results = measure(quick=options.quick)
    show(results)
    for bound in bounds(results):
        print(f"  {bound}")
    if options.out:
        write_json(options.out / "sweep.json", {"machine": describe_machine(), "quick": options.quick, **results})


if __name__ == "__main__":
    main()
