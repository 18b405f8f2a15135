"""`tertium quality report-truth`: labelled frames from a file to a running server."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .failure import MISUSED, CommandError
from .policy_server import DEFAULT_SERVER
from .recording_options import ClassNameOption, Format, FormatOption, IouOption, SequencesOption

if TYPE_CHECKING:
    from tertium_server.rpc.quality_client import Labels, Reported
    from tertium_server.rpc.truth_matching import TruthBox
    from tertium_server.tuning.readers import Sequence as Detections
    from tertium_server.tuning.readers.truth import Truth

HELP = (
    "Report the truth about frames that a running server has decided, hours ago if need be: it matches them with the decisions it has kept "
    "(--ledger-hours), as tertium tune would, and estimates precision and recall from them, the objects that no box showed among them.\n\n"
    "All frames of the truth are reported, those without objects, too. Reporting a frame again replaces what was reported before."
)

_MOST_SHOWN = 5
_NOWHERE = Path("no") / "detections"


def report_truth(  # noqa: PLR0913  # the options of the command line
    path: Annotated[
        Path,
        typer.Argument(
            metavar="TRUTH",
            help="What there was to see. [bold]mot[/bold]: a folder with gt/gt.txt, or a gt.txt. [bold]kitti[/bold]: a .txt of labels, or a folder. "
            "[bold]coco[/bold]: a .json with images and annotations. [bold]tertium[/bold]: a folder that --record wrote to, with gt/gt.txt.",
            show_default=False,
        ),
    ],
    *,
    format: FormatOption,  # noqa: A002  # the option is named by it
    stream: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="The stream the frames were sent by; {name} stands for the name of each sequence.",
            show_default=False,
        ),
    ],
    epoch: Annotated[int, typer.Option(min=0, help="The stream's epoch; 0: the newest that had the frame.")] = 0,
    offset: Annotated[
        int, typer.Option(metavar="N", help="What the camera's frame numbers are more than those of the truth.")
    ] = 0,
    iou: IouOption = 0.5,
    sequences: SequencesOption = "*",
    class_name: ClassNameOption = "object",
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="CLASS", help="Only objects of this class; may be given again. Others are left out."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A document on standard output, for programs.")] = False,
    server: Annotated[
        str,
        typer.Option(
            metavar="HOST:PORT",
            help="The running server. Its token is taken from TERTIUM_TOKEN; that of a server on this machine is in its data folder, review-token.",
        ),
    ] = DEFAULT_SERVER,
) -> None:
    """See HELP."""
    from tertium_server.rpc.quality_client import Labels  # noqa: PLC0415  # loads gRPC

    from .quality import connected  # noqa: PLC0415  # which imports this module

    truths = _read(path, format, class_name, sequences)
    if len(truths) > 1 and "{name}" not in stream:
        found = ", ".join(name for name, _, _ in truths)
        raise CommandError(
            f"--stream {stream}: there are {len(truths)} sequences ({found}); write {{name}} in it", MISUSED
        )
    labels: list[Labels] = [
        Labels(
            stream.replace("{name}", name),
            _frames(truth, indices, offset, frozenset(only or ())),
            epoch,
            iou,
            truth.min_height,
        )
        for name, truth, indices in truths
    ]
    with connected(server) as quality:
        reported = quality.report(labels)
    sys.stdout.write(_document(reported) if as_json else _table(reported))
    if reported.refused:
        shown = [*reported.refusals[:_MOST_SHOWN]]
        more = reported.refused - len(shown)
        raise CommandError("\n".join([*shown, *([f"and {more} more frames were refused"] if more else [])]))


def _read(path: Path, form: Format, class_name: str, pattern: str) -> list[tuple[str, Truth, Sequence[int] | None]]:
    """Sequences by name, with the numbers of their frames where they are not the truth's own."""
    from tertium_server.tuning.readers import Options, read_labelled  # noqa: PLC0415  # slow to load
    from tertium_server.tuning.readers.reading import FORMATS, choose  # noqa: PLC0415  # likewise

    options = Options(class_name=class_name, truth=path)
    if form is Format.TERTIUM:
        return [
            (one.name, one.truth, one.sequence.frame_indices().tolist())
            for one in read_labelled(path, path, form.value, options, pattern)
        ]
    reader = FORMATS[form.value]
    found: list[tuple[str, Truth, Sequence[int] | None]] = []
    for source in choose(reader.find_truth(path, options), pattern, path):
        # Beside detections, mot looks for how long they are, yolo for what their classes are called.
        nothing = _nothing(source.name, source.file if form is Format.YOLO else _NOWHERE)
        found.append((source.name, reader.read_truth(source, options, nothing, frozenset()), None))
    return found


def _nothing(name: str, source: Path) -> Detections:
    """Detections that there are none of: readers of truth want to know what it is about."""
    import numpy as np  # noqa: PLC0415  # slow to load

    from tertium_server.tuning.readers import Sequence as Detections  # noqa: PLC0415  # likewise

    return Detections(
        name=name,
        fps=1.0,
        first_frame=0,
        length=0,
        class_names={},
        frames=np.empty(0, np.int64),
        boxes=np.empty((0, 4), np.float32),
        xywh=np.empty((0, 4)),
        scores=np.empty(0),
        class_ids=np.empty(0, np.uint32),
        track_ids=np.empty(0, np.int64),
        rows=np.empty(0, np.int64),
        source=source,
    )


def _frames(
    truth: Truth, indices: Sequence[int] | None, offset: int, only: frozenset[str]
) -> Iterator[tuple[int, list[TruthBox]]]:
    """All frames of a truth by the camera's numbers, with their boxes. ``only``: of these classes; none: of all."""
    from tertium_server.rpc.truth_matching import TruthBox  # noqa: PLC0415  # loads numba
    from tertium_server.tuning.readers import Kind  # noqa: PLC0415  # slow to load
    from tertium_server.tuning.readers.truth import ALL_CLASSES  # noqa: PLC0415  # likewise

    boxes: dict[int, list[TruthBox]] = {}
    rows = zip(truth.frames.tolist(), truth.boxes.tolist(), truth.class_ids.tolist(), truth.kinds.tolist(), strict=True)
    for frame, corners, class_id, kind in rows:
        name = "" if class_id == ALL_CLASSES else truth.class_names[class_id]
        if not only or not name or name in only:
            boxes.setdefault(frame, []).append(TruthBox(name, tuple(corners), Kind(kind)))
    for place in range(truth.length):
        frame = truth.first_frame + place
        yield (frame if indices is None else indices[place]) + offset, boxes.get(frame, [])


def _document(reported: Reported) -> str:
    content = {
        "accepted": reported.accepted,
        "replaced": reported.replaced,
        "refused": reported.refused,
        "refusals": reported.refusals,
        "counts": reported.counts,
    }
    return json.dumps(content, indent=2) + "\n"


def _table(reported: Reported) -> str:
    """What became of it, for people."""
    lines = [f"{reported.accepted} frames counted, {reported.replaced} of them again; {reported.refused} refused"]
    if reported.counts:
        width = max(5, *(len(ascii(name)) - 2 for name in reported.counts))
        lines += ["", f"{'class':{width}}  {'true':>8}  {'false':>8}  {'missed':>8}  maybe true / false"]
        for name, counts in sorted(reported.counts.items()):
            tp, fp, fn = counts["tp"], counts["fp"], counts["fn"]
            maybe = f"{counts['maybe_tp']} / {counts['maybe_fp']}"
            lines.append(f"{ascii(name)[1:-1]:{width}}  {tp:8}  {fp:8}  {fn:8}  {maybe}")
    return "\n".join(lines) + "\n"
