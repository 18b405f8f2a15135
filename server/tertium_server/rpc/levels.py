"""What the messages of a stream tell of one track's evidence: its levels and its probability, at each event."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tertium_server.review.footage import Level
from tertium_server.rpc.film import Entry
from tertium_server.rpc.twin import twin_class

_RESPONSE: Any = twin_class("DecideResponse")


def levels_in(entries: list[Entry], track_id: int) -> Iterator[Level]:
    """In order; nothing of a track that its caller was not told of."""
    for entry in entries:
        for event in _RESPONSE.FromString(entry[1]).events:
            if event.track_id == track_id and event.why.hits:
                why = event.why
                yield Level(int(event.frame_index), why.evidence_fast, why.evidence_slow, why.probability)
