"""Killed at random moments under load, again and again: no case lost, none twice, no answer lost."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import numpy as np
from sqlalchemy import select

from tertium_server.review.office import ReviewOffice
from tertium_server.review.rules import settle
from tertium_server.review.spool import Spool
from tertium_server.review.values import Answer, Verdict
from tertium_server.storage import Database, open_store
from tertium_server.storage.tables import review
from tests.kills import KILLS

ROOT = Path(__file__).parents[2]
MOST_SECONDS = 0.4
SETTLED = {"closed", "open", "second_review", "escalated"}


def live_and_die(url: str, spool: Path, first: int, seconds: float) -> list[list[str]]:
    """Starts a process, kills it once it has worked for a while, and gives what it said was done."""
    command = [sys.executable, "-m", "tests.review.mortal", url, str(spool), str(first)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        # However busy the machine: nobody dies before something of each kind was said to be done.
        lines: list[str] = []
        while {line.split()[0] for line in lines} != {"case", "vote"}:
            lines.append(process.stdout.readline())
            assert lines[-1], "it ended by itself"
        killer = threading.Timer(seconds, process.kill)
        killer.start()
        lines += process.stdout.readlines()
        killer.join()
    assert process.returncode == -9
    return [line.split() for line in lines if line.endswith("\n")]


def test_what_was_said_to_be_done_outlives_any_kill(store_url: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    open_store(store_url).close()
    told: list[list[str]] = []
    for number in range(KILLS):
        told += live_and_die(store_url, tmp_path / "spool", 100_000 * number, float(rng.uniform(0.0, MOST_SECONDS)))
    store = open_store(store_url)
    try:
        empty_spool(store, tmp_path / "spool")
        check(store, told)
    finally:
        store.close()


def empty_spool(store: Database, folder: Path) -> None:
    """What the next server does first."""
    spool, desk = Spool(folder, 1 << 24), ReviewOffice(store)
    while (found := spool.oldest()) is not None:
        desk.book(found[1])
        spool.remove(found[0])


def check(store: Database, told: list[list[str]]) -> None:
    with store.read() as connection:
        cases = connection.execute(select(review.cases)).mappings().all()
        decisions = set(connection.execute(select(review.decisions.c.id)).scalars())
        evidence = set(connection.execute(select(review.evidence.c.case_id)).scalars())
        votes = connection.execute(select(review.votes).order_by(review.votes.c.seq)).mappings().all()
        answers = connection.execute(select(review.answers.c.case_id)).scalars().all()
    named = [line[1] for line in told if line[0] == "case"]
    assert named
    assert len(named) == len(set(named))
    # No case lost, none twice, none without its decision and its evidence.
    ids = [row["id"] for row in cases]
    assert set(named) <= set(ids)
    assert len(ids) == len(set(ids))
    assert len({(row["stream_id"], row["epoch"], row["track_id"]) for row in cases}) == len(cases)
    assert set(ids) <= decisions
    assert set(ids) == evidence
    # No answer lost, none twice.
    cast = Counter((line[1], " ".join(line[2:4]), line[4]) for line in told if line[0] == "vote")
    kept = Counter((row["case_id"], row["reviewer"], row["answer"]) for row in votes)
    assert cast
    assert not cast - kept
    assert set(kept.values()) == {1}
    # Each case stands where its votes put it, and what was decided is on its way to the stream, once.
    told_to_streams = Counter(answers)
    for row in cases:
        counted = [vote for vote in votes if vote["case_id"] == row["id"]]
        assert row["state"] in SETTLED
        last_valid = max((place for place, vote in enumerate(counted) if not vote["fenced"]), default=-1)
        expected = settle(
            Verdict(row["machine_verdict"]), [Answer(vote["answer"]) for vote in counted[: last_valid + 1]]
        )
        assert (row["state"], row["answer"]) == (expected.state.value, expected.answer and expected.answer.value)
        assert told_to_streams[row["id"]] == (row["decided_by"] != "machine")
