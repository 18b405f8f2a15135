"""`tertium review`: cases and answers, straight from the store; the server need not run."""

from __future__ import annotations

import json
import secrets
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from .commands import Commands
from .failure import MISUSED, CommandError
from .output import STDOUT, written
from .review_store import open_store_of

HELP = (
    "Look at cases and at what people answered, export the answers, and make tokens for reviewers.\n\n"
    "Reads the store of the server: of --data-dir, or the one that --store names."
)

application = Commands(help=HELP)
_GOLD_HELP = (
    "Cases whose answer is known: reviewers get them among the others, and `tertium review stats` says how they did."
)
gold = Commands(help=_GOLD_HELP)
application.add_typer(gold, name="gold")

_DataDir = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        envvar="TERTIUM_DATA_DIR",
        help="The server's data folder.",
        show_default="~/.local/share/tertium",
    ),
]
_Store = Annotated[
    str | None,
    typer.Option(metavar="URL", envvar="TERTIUM_STORE", help="The store, where it is not in the data folder."),
]


class ExportFormat(StrEnum):
    """Forms of training data."""

    JSONL = "jsonl"
    COCO = "coco"


class GoldAnswer(StrEnum):
    """What the answer of a gold case may be."""

    YES = "yes"
    NO = "no"


class RoleName(StrEnum):
    """What the holder of a token may do."""

    INGEST = "ingest"
    REVIEW = "review"
    ADMIN = "admin"


@application.command("list")
def list_cases(
    *,
    stream: Annotated[str, typer.Option(metavar="NAME", help="Only cases of this stream.")] = "",
    waiting: Annotated[bool, typer.Option("--waiting", help="Only cases that wait for a vote.")] = False,
    most: Annotated[int, typer.Option("--most", metavar="N", min=1, max=100_000, help="Most cases.")] = 50,
    data_dir: _DataDir = None,
    store: _Store = None,
) -> None:
    """Cases, newest first: id, state, source, class, stream, probability, and what holds."""
    from tertium_server.review.reading import list_cases as read_cases  # noqa: PLC0415  # loads the store
    from tertium_server.review.values import WAITING  # noqa: PLC0415

    with open_store_of(data_dir, store) as database, database.read() as connection:
        cases = read_cases(connection, states=WAITING if waiting else (), stream=stream, most=most)
    for case in cases:
        opened = datetime.fromtimestamp(case.opened_at / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        told = f"{case.verdict.value} by {case.decided_by.value}"
        columns = (case.id, opened, case.state.value, case.source.value, f"{case.probability:.3f}", told)
        sys.stdout.write("  ".join((*columns, ascii(case.class_name), ascii(case.stream_id))) + "\n")
    if not cases:
        sys.stderr.write("there are no such cases\n" if stream or waiting else "there are no cases yet\n")


@application.command()
def stats(
    *,
    json_out: Annotated[bool, typer.Option("--json", help="The same as JSON.")] = False,
    data_dir: _DataDir = None,
    store: _Store = None,
) -> None:
    """The queue in numbers: what waits, what people answered, by source, and how each reviewer did on gold cases."""
    from tertium_server.review.gold import reviewers  # noqa: PLC0415  # loads the store
    from tertium_server.review.reading import answers_by_source, cases_by_state, queue_state  # noqa: PLC0415
    from tertium_server.review.values import now_micros  # noqa: PLC0415

    with open_store_of(data_dir, store) as database, database.read() as connection:
        now = now_micros()
        queue, waiting, answered = (
            queue_state(connection, now),
            cases_by_state(connection, now),
            answers_by_source(connection),
        )
        people = reviewers(connection)
    if json_out:
        content = {
            "waiting": queue.waiting,
            "leased": queue.leased,
            "votes_last_hour": queue.votes_last_hour,
            "cases": [{"source": key[0], "state": key[1], "count": count} for key, count in sorted(waiting.items())],
            "answers": [
                {"source": key[0], "answer": key[1], "count": count} for key, count in sorted(answered.items())
            ],
            "reviewers": [asdict(each) for each in people],
        }
        sys.stdout.write(json.dumps(content, indent=2) + "\n")
        return
    lines = [
        f"waiting          {queue.waiting}",
        f"leased           {queue.leased}",
        f"votes last hour  {queue.votes_last_hour}",
    ]
    lines += [f"waiting  {source:10} {state:14} {count}" for (source, state), count in sorted(waiting.items())]
    lines += [f"answered {source:10} {answer:14} {count}" for (source, answer), count in sorted(answered.items())]
    for each in people:
        pace = "" if each.mean_seconds is None else f"{each.mean_seconds:.1f} s a vote, "
        gold = f"gold: {each.gold_right} right, {each.gold_wrong} wrong, {each.gold_cannot_tell} can't tell"
        lines.append(f"reviewer {each.name!a}  {each.votes} votes, {pace}{gold}")
    sys.stdout.write("\n".join(lines) + "\n")


@application.command()
def export(
    *,
    form: Annotated[
        ExportFormat, typer.Option("--format", help="jsonl: a line a case; coco: one document.")
    ] = ExportFormat.JSONL,
    out: Annotated[str, typer.Option(metavar="FILE", help="Where to; - is standard output.")] = STDOUT,
    stream: Annotated[str, typer.Option(metavar="NAME", help="Only cases of this stream.")] = "",
    data_dir: _DataDir = None,
    store: _Store = None,
) -> None:
    """What people answered yes or no, as training data, the least certain first, each with the number of tracks it stands for."""
    from tertium_server.review.exporting import write_coco, write_jsonl  # noqa: PLC0415
    from tertium_server.review.reading import reviewed  # noqa: PLC0415

    write = write_coco if form is ExportFormat.COCO else write_jsonl
    with open_store_of(data_dir, store) as database, written(out) as file:
        count = write(reviewed(database, stream=stream), file)
    sys.stderr.write(f"{count} answered cases\n")


@application.command()
def token(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose it is: votes are kept under this name.")],
    *,
    role: Annotated[list[RoleName] | None, typer.Option(help="What its holder may do; may be given again.")] = None,
) -> None:
    """Make a token: printed once, with the entry for the server's file of tokens (--tokens), which holds only its hash."""
    from tertium_server.review.access import Role, entry_for  # noqa: PLC0415

    if not name.isprintable() or '"' in name or "\\" in name or not 1 <= len(name) <= 256:  # noqa: PLR2004
        raise CommandError("NAME: 1 to 256 printable characters without quotes and backslashes", MISUSED)
    made = secrets.token_urlsafe(24)
    roles = [Role(each.value) for each in role or [RoleName.REVIEW]]
    sys.stderr.write(f"Give {name} this token; it is not shown again: {made}\nAdd this to the file of --tokens:\n")
    sys.stdout.write(entry_for(made, name, roles))


@gold.command("add")
def add_gold(
    case: Annotated[str, typer.Argument(metavar="CASE", help="The case to copy; `tertium review list` names them.")],
    *,
    answer: Annotated[
        GoldAnswer | None, typer.Option(help="The right answer.", show_default="what people settled on")
    ] = None,
    evidence: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER|URL",
            envvar="TERTIUM_EVIDENCE",
            help="Where the server keeps pictures, where that is not the data folder.",
        ),
    ] = None,
    data_dir: _DataDir = None,
    store: _Store = None,
) -> None:
    """Make a gold case of a case: its evidence and pictures are copied. Prints its id."""
    from tertium_server.config import Settings  # noqa: PLC0415  # loads pydantic
    from tertium_server.review.blobs import Blobs  # noqa: PLC0415
    from tertium_server.review.gallery import Gallery  # noqa: PLC0415
    from tertium_server.review.gold import add_gold as add  # noqa: PLC0415
    from tertium_server.review.values import Answer, now_micros  # noqa: PLC0415

    pictures = evidence or str(((data_dir or Settings().data_dir) / "evidence").absolute())
    with open_store_of(data_dir, store) as database:
        known = None if answer is None else Answer(answer.value)
        name, added = add(database, Gallery(database, Blobs(pictures)), case, known, now_micros())
    sys.stdout.write(name + "\n")
    sys.stderr.write("added\n" if added else "it was there before\n")


@gold.command("list")
def list_gold(*, data_dir: _DataDir = None, store: _Store = None) -> None:
    """Gold cases, newest first: id, right answer, class, stream."""
    from tertium_server.review.reading import gold_cases  # noqa: PLC0415  # loads the store

    with open_store_of(data_dir, store) as database, database.read() as connection:
        cases = gold_cases(connection)
    for case in cases:
        answer = "" if case.gold_answer is None else case.gold_answer.value
        sys.stdout.write("  ".join((case.id, f"{answer:3}", ascii(case.class_name), ascii(case.stream_id))) + "\n")
    if not cases:
        sys.stderr.write("there are no gold cases yet; make one: tertium review gold add CASE\n")
