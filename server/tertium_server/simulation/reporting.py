"""The truth about a world's frames, for the server that decided them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tertium_server.rpc.quality_client import Labels, QualityClient, Reported
from tertium_server.rpc.trust import credentials_of_environment
from tertium_server.rpc.truth_matching import TruthBox
from tertium_server.tuning.readers import Kind

from .playing import Player


def report_truth(address: str, token: str, players: Sequence[Player]) -> Reported:
    """Tells the server what there was to see in all frames that were played.

    Raises:
        CallError: the server refused, or is not there.
    """
    with QualityClient(address, token, credentials_of_environment()) as quality:
        return quality.report(Labels(player.name, _frames(player)) for player in players)


def _frames(player: Player) -> Iterator[tuple[int, list[TruthBox]]]:
    names = player.footage.world.class_names
    for frame in player.footage.frames():
        if frame.frame_index >= player.frames:
            return
        truth = frame.truth
        corners, classes, ignored = truth.boxes.tolist(), truth.class_ids.tolist(), truth.ignored.tolist()
        yield (
            frame.frame_index,
            [
                TruthBox(names[class_id], (x1, y1, x2, y2), Kind.IGNORE if is_ignored else Kind.EVALUATE)
                for (x1, y1, x2, y2), class_id, is_ignored in zip(corners, classes, ignored, strict=True)
            ],
        )
