"""What README and docs tell people to type is there: commands, options, targets of make, files; and their Python is Python."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from tertium_server.cli.application import make_application

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"^    \S.*$", re.MULTILINE)
SHELL_GOES_ON = {">", "|", "&", "&&", ";"}
"""From such a word on, a line is the shell's, or another program's."""
OF_OTHERS = {"--help", "--build", "--config.file", "--nworkers", "--enable-legacy-api-token", "--lag", "--unguarded"}
"""Options that all commands have, and those of other programs."""


def fenced(page: Path, *languages: str) -> list[str]:
    return [content for language, content in FENCED.findall(page.read_text(encoding="utf-8")) if language in languages]


def command_lines(page: Path) -> Iterator[str]:
    for block in (*fenced(page, "sh", "console", ""), *INDENTED.findall(FENCED.sub("", page.read_text("utf-8")))):
        yield from (line.partition(" #")[0] for line in block.replace("\\\n", " ").splitlines())


def commands(program: str) -> Iterator[Any]:
    """The words of every command line of a program."""
    for page in PAGES:
        for line in command_lines(page):
            found = re.match(rf"\s*(?:\$ )?(?:[A-Z_]+=\S+ )*{program} (.+)$", line)
            if found is not None:
                words = shlex.split(found[1])
                end = next((place for place, word in enumerate(words) if word in SHELL_GOES_ON), len(words))
                yield pytest.param(words[:end], id=f"{page.name}: {found[1].strip()}")


@cache
def application() -> Any:
    return typer.main.get_command(make_application())


def options_of(command: Any) -> set[str]:
    own = {option for each in command.params for option in (*each.opts, *each.secondary_opts)}
    return own.union(*(options_of(each) for each in getattr(command, "commands", {}).values()))


@pytest.mark.parametrize("words", list(commands("tertium")))
def test_every_command_in_the_documents_can_be_given(words: list[str]) -> None:
    command, context = application(), None
    while hasattr(command, "commands"):
        # Nothing is run: options and arguments are read and checked.
        context = command.make_context("tertium", words[:1], parent=context)
        command, words = command.commands[words[0]], words[1:]
    command.make_context("tertium", words, parent=context)


@pytest.mark.parametrize("words", list(commands("make")))
def test_every_target_in_the_documents_is_one_of_make_s(words: list[str]) -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert words[0] in targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_document_names_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (page.parent / link).exists(), link
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z.-]*[a-z]", text)) - OF_OTHERS
    assert named <= options_of(application())
    for program in fenced(page, "python"):
        ast.parse(program)
