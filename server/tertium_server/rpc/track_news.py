"""What the engine tells of tracks, handed to review as the records it has written: read where nobody waits for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tertium_server.engine import DecisionColumns, StreamEngine
from tertium_server.engine.layout import EVENT, EventType
from tertium_server.engine.layout import Verdict as EngineVerdict
from tertium_server.review.values import Verdict
from tertium_server.review.watch import TrackNews
from tertium_server.rpc.answers import Answerer
from tertium_server.rpc.track_ids import TrackIds

_VERDICTS = {int(EngineVerdict[verdict.name]): verdict for verdict in Verdict}
_TOLD = ("class_id", "frame_index", "first_frame", "time", "to_verdict", "type", "probability")


class Report(NamedTuple):
    """What one call of the engine tells of tracks."""

    events: bytes
    """Records of ``layout.EVENT``. As bytes, for numpy takes ten microseconds to copy records, be there any or not."""
    dismissed: bytes
    """Likewise."""
    ids: TrackIds
    bound: int
    """No track's ordinal is over it."""
    policy_version: str


def report(decisions: DecisionColumns, answerer: Answerer) -> Report:
    """Takes what decisions tell of tracks out of the workspace, which the next message writes to."""
    return Report(
        decisions.events.tobytes(),
        decisions.dismissed.tobytes(),
        answerer.ids,
        answerer.letterhead.detections,
        answerer.version,
    )


def news_in(told: Report) -> Iterator[TrackNews]:
    """The news of a report: first what the caller was told, in order; then the tracks that nobody was told of."""
    for written, dismissed in ((told.events, False), (told.dismissed, True)):
        if not written:
            continue
        records = np.frombuffer(written, EVENT)
        ids = told.ids.to_wire(records["track_id"], told.bound).tolist()
        columns = (records[name].tolist() for name in _TOLD)
        for track_id, *told_of in zip(ids, *columns, strict=True):
            class_id, frame_index, first_frame, time, verdict, kind, probability = told_of
            yield TrackNews(
                track_id=track_id,
                class_id=class_id,
                frame_index=frame_index,
                first_frame=first_frame,
                time=time,
                verdict=_VERDICTS[verdict],
                ended=kind == EventType.ENDED,
                probability=probability,
                policy_version=told.policy_version,
                dismissed=dismissed,
            )


def doubts(engine: StreamEngine, answerer: Answerer) -> list[TrackNews]:
    """Tracks that a checkpoint brought along and that are in doubt: whoever saw their doubts begin may not live to make cases of them."""
    last_frame = engine.last_frame
    if last_frame is None:
        return []
    records = engine.records
    class_ids = engine.parameters.judges["id"]
    return [
        TrackNews(
            track_id=answerer.wire_id(int(record["id"])),
            class_id=int(class_ids[record["class_row"]]),
            frame_index=last_frame,
            first_frame=int(record["first_frame"]),
            time=engine.last_time,
            verdict=Verdict.MAYBE,
            ended=False,
            probability=float(record["probability"]),
            policy_version=answerer.version,
        )
        for record in records[np.equal(records["verdict"], EngineVerdict.MAYBE) & (records["id"] != 0)]
    ]
