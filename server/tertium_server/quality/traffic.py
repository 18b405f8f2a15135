"""What tracks were decided lately, group by group: what the live page shows of the store."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, func, select

from tertium_server.metrics import OTHER
from tertium_server.quality.values import Stratum
from tertium_server.storage.tables import review


def decided_by_group(connection: Connection, since: int, groups: Iterable[str]) -> dict[str, dict[Stratum, int]]:
    """Numbers of tracks decided since a time (microseconds), by group and what the machine alone said; groups not on the list together."""
    decisions = review.decisions.c
    query = (
        select(decisions.stream_group, decisions.stratum, func.count())
        .where(decisions.decided_at >= since)
        .group_by(decisions.stream_group, decisions.stratum)
    )
    found = {name: dict.fromkeys(Stratum, 0) for name in dict.fromkeys((*groups, OTHER))}
    for name, stratum, count in connection.execute(query):
        found[name if name in found else OTHER][Stratum(stratum)] += count
    return found
