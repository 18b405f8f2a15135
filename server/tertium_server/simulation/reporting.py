"""The truth about a world's frames, for the server that decided them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tertium_server.rpc.truth_client import FrameOfTruth, Reported, report

from .playing import Player


def report_truth(address: str, token: str, players: Sequence[Player]) -> Reported:
    """Tells the server what there was to see in all frames that were played.

    Raises:
        CallError: the server refused, or is not there.
    """
    return report(address, token, ((one.name, _frames(one)) for one in players))


def _frames(player: Player) -> Iterator[FrameOfTruth]:
    names = player.footage.world.class_names
    for frame in player.footage.frames():
        if frame.frame_index >= player.frames:
            return
        truth = frame.truth
        yield FrameOfTruth(
            frame.frame_index, truth.boxes, [names[one] for one in truth.class_ids.tolist()], truth.ignored
        )
