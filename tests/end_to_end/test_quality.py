"""Live quality of the real server, killed without a word and started again, by its metrics and by the command line."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import func, select

import tertium_client
from tertium_server.cli.application import run
from tertium_server.review.access import make_or_read_token
from tertium_server.review.office import ReviewOffice
from tertium_server.review.queue import QueueRules
from tertium_server.review.values import Answer, Stratum, now_micros
from tertium_server.storage import Database, sqlite_url
from tertium_server.storage.tables.review import decisions
from tests.review.builders import booking, terms
from tests.rpc.live import ServerProcess
from tests.servers import wait_until
from tests.stores import sqlite_store

FRAMES = 90
YARDS = tuple(f"yard {number}" for number in range(5))
"""Streams, all alike: as many scenes as estimates need."""


def review(folder: Path) -> None:
    """160 tracks of which 120 were audited, 100 of these real, and 20 maybes."""
    store = sqlite_store(folder)
    desk = ReviewOffice(store, QueueRules(audit_share=1.0, gold_share=0.0))
    rules, now = terms(audit_yes=0.75, audit_no=0.75, salt="7"), now_micros()
    desk.book([booking(k, Stratum.AUTO_YES, rules=rules, decided_at=now) for k in range(160)])
    desk.book([booking(k, Stratum.MAYBE, decided_at=now) for k in range(200, 220)])
    for reviewer in ("anna", "bert"):  # a vote against the machine needs a second one
        while leases := desk.lease(reviewer, 16):
            for lease in leases:
                wrong = lease.case.track_id % 6 == 0
                desk.vote(lease.case.id, reviewer, lease.token, Answer.NO if wrong else Answer.YES)
    store.close()


def stream(address: str, name: str) -> int:
    """A person who walks, and a false alarm in every third frame; how many tracks there were."""
    with (
        tertium_client.Client(address) as client,
        client.open(name, class_names={0: "person"}, frame_size=(640, 360), nominal_fps=25) as camera,
    ):
        for index in range(1, FRAMES + 1):
            boxes = [[100.0 + index, 100, 140 + index, 200], *([[400.0, 50, 450, 150]] if index % 3 == 0 else [])]
            camera.send(
                tertium_client.Frame(
                    boxes=np.array(boxes, np.float32), scores=np.full(len(boxes), 0.9, np.float32), frame_index=index
                )
            )
        camera.finish()
        return sum(event.type is tertium_client.EventType.ENDED for answer in camera for event in answer.events)


def write_truth(folder: Path) -> None:
    """Where the persons of all streams walk, as MOTChallenge has it."""
    for name in YARDS:
        (folder / name / "gt").mkdir(parents=True)
        rows = [f"{k},1,{100 + k},100,40,100,1,1,1\n" for k in range(1, FRAMES + 1)]
        (folder / name / "gt" / "gt.txt").write_text("".join(rows))


def wait_for_review(data: Path, metrics: str, tracks: int) -> None:
    """Until tracks of the stream are with review, and estimates were made of all that is there."""
    store = Database(sqlite_url(data))

    def booked() -> int:
        with store.read() as connection:
            return connection.execute(
                select(func.count()).select_from(decisions).where(decisions.c.stream_id.in_(YARDS))
            ).scalar_one()

    wait_until(lambda: booked() >= tracks > 0, "the stream's tracks")
    store.close()
    for _ in range(2):  # one may have begun before
        before = made_at(metrics)
        wait_until(lambda: made_at(metrics) > before, "estimates")  # noqa: B023 - called here and now


def made_at(metrics: str) -> float:
    """When estimates were made, in seconds."""
    text = httpx.get(f"http://{metrics}/metrics").text
    name = "tertium_estimate_updated_timestamp_seconds"
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(f"{name} "))


def estimates(metrics: str) -> dict[tuple[str, ...], str]:
    """What Prometheus is told of precision and recall."""
    text = httpx.get(f"http://{metrics}/metrics").text
    return {
        (sample.name, *sample.labels.values()): repr(sample.value)
        for family in text_string_to_metric_families(text)
        if family.name.startswith(("tertium_precision_estimate", "tertium_recall_estimate"))
        for sample in family.samples
    }


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    capsys.readouterr()
    assert run(["quality", "show", "--json", *arguments]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def refused(capsys: pytest.CaptureFixture[str], address: str) -> str:
    """What is said to somebody whose token the server does not know."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("TERTIUM_TOKEN", "somebody's")
        assert run(["quality", "show", "--server", address]) == 1
    return capsys.readouterr().err


def test_estimates_outlive_a_kill_and_are_the_same_everywhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data, truth = tmp_path / "data", tmp_path / "truth"
    data.mkdir()
    review(data)
    write_truth(truth)
    monkeypatch.setenv("TERTIUM_TOKEN", make_or_read_token(data))
    monkeypatch.setenv("COLUMNS", "200")
    environment = {"TERTIUM_ESTIMATE_SECONDS": "0.2", "TERTIUM_CLASSES": "person"}
    server = ServerProcess(data, **environment).wait_until_ready()
    try:
        assert "put one into TERTIUM_TOKEN: " in refused(capsys, server.listen)
        tracks = sum(stream(server.listen, name) for name in YARDS)
        report = ["quality", "report-truth", str(truth), "--format", "mot", "--class-name", "person"]
        report += ["--server", server.listen, "--stream", "{name}", "--json"]
        assert run(report) == 0
        told = json.loads(capsys.readouterr().out)
        assert (told["accepted"], told["refused"]) == (len(YARDS) * FRAMES, 0)
        counts = told["counts"]["person"]
        assert counts["tp"] + counts["fn"] == len(YARDS) * FRAMES
        assert counts["tp"] > len(YARDS) * FRAMES / 2
        assert counts["fp"] + counts["maybe_fp"] > 0
        recall = ("tertium_recall_estimate_ratio", "person", "1d", "truth")
        key = next(iter(sorted(each for each in estimates(server.metrics) if set(each) == set(recall))), None)
        assert key is not None
        wait_until(lambda: estimates(server.metrics)[key] == repr(counts["tp"] / (len(YARDS) * FRAMES)), "the truth")
        wait_for_review(data, server.metrics, tracks)
        before = estimates(server.metrics)
        of_server = shown(capsys, "--server", server.listen)
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
        server = ServerProcess(data, **environment).wait_until_ready()
        wait_until(lambda: estimates(server.metrics) == before, "the same estimates")
        again = shown(capsys, "--server", server.listen)
    finally:
        server.process.kill()
        server.process.wait()
    assert (again["estimates"], again["strata"]) == (of_server["estimates"], of_server["strata"])
    # Without a server, from the store: of the class it tells apart, the same.
    of_store = shown(capsys, "--data-dir", str(data), "--class", "person")
    assert of_store["estimates"] == [each for each in again["estimates"] if each["class_name"] == "person"]
    (audited,) = [each for each in of_store["estimates"] if (each["window"], each["method"]) == ("1d", "audit")]
    assert audited["precision"]["lower"] < audited["precision"]["value"] < audited["precision"]["upper"]
    assert 0.78 < audited["precision"]["value"] < 0.88  # 5 of 6 were real
    assert audited["precision"]["effective_samples"] > 100
    assert run(["quality", "show", "--data-dir", str(data), "--window", "1d"]) == 0
    table = capsys.readouterr().out
    assert f"{audited['precision']['value']:.3f} ({audited['precision']['lower']:.3f} to" in table
    assert run(["quality", "show", "--data-dir", str(data), "--class", "horse"]) == 1
    assert run([*report, "--offset", "1000"]) == 1  # nobody is there any more
    assert "is not there" in capsys.readouterr().err
