"""The page itself: one HTML file that fetches nothing and runs nothing but its own two scripts."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import TextIO

import jinja2

from tertium_server.tuning.tune import Tuning

from .document import as_text, document
from .packing import Json
from .phrases import FILTERS, phrases
from .views import look

_SCRIPTS = ("base", "chart", "curves", "scores", "matrix", "tracks", "main")


def write_report(file: TextIO, tuning: Tuning) -> None:
    """Writes the report on what tuning came to, as one HTML page.

    Raises:
        ReplayError: the engine refused a frame.
    """
    file.write(render(document(look(tuning))))


def render(tree: Json) -> str:
    """The page of a document."""
    library, script, sheet = _library(), _own_script(), _sheet()
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(FILTERS)
    template = environment.from_string(_asset("assets/report.html.j2"))
    return template.render(
        tree=tree,
        said=phrases(tree),
        policy=_content_policy((library, script), sheet),
        # What follows goes in unescaped: it is the package's own, or was made safe for where it goes.
        library=library,
        script=script,
        sheet=sheet,
        data=as_text(tree),
    )


def _content_policy(scripts: tuple[str, ...], sheet: str) -> str:
    """What a browser lets the page do: run these scripts and use this sheet, and neither load nor send anything."""
    hashes = " ".join(_hash(script) for script in scripts)
    return f"default-src 'none'; script-src {hashes}; style-src {_hash(sheet)}; base-uri 'none'; form-action 'none'"


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"


def _library() -> str:
    """The library with its licence, which asks to go wherever it goes, in place of the comment with its address: a page names no other site."""
    _, _, code = _asset("vendor/uplot/uPlot.iife.min.js").partition("*/")
    return f"/*! uPlot\n\n{_asset('vendor/uplot/LICENSE')}*/{code}"


def _own_script() -> str:
    parts = "\n".join(_asset(f"assets/{name}.js") for name in _SCRIPTS)
    return f'(() => {{\n"use strict";\n{parts}\n}})();\n'


def _sheet() -> str:
    return _asset("vendor/uplot/uPlot.min.css") + "\n" + _asset("assets/report.css")


@cache
def _asset(path: str) -> str:
    return files("tertium_server.tuning.report").joinpath(*path.split("/")).read_text(encoding="utf-8")
