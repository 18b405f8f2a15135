"""Writes the page that alerts lead to, from docs/monitoring.md: python deploy/runbook.py [FILE].

The server serves it at /runbook, so that whoever is on call can open it wherever the repository is not. Needs markdown-it-py, which rich brings.
"""

import sys
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[1]
_SECTION = "## When an alert goes off\n"
_PAGE = """<!doctype html>
<html lang="en">
<!-- Written by deploy/runbook.py from docs/monitoring.md: change that, and run it. -->
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Runbook · Tertium</title>
<link rel="icon" href="/runbook/icon.svg">
<link rel="stylesheet" href="/runbook/page.css">
<link rel="stylesheet" href="/runbook/runbook.css">
</head>
<body>
<header>
  <h1>Tertium</h1>
  <nav aria-label="Pages"><!-- other pages --><a href="/runbook" aria-current="page">Runbook</a></nav>
</header>

<main>
{content}</main>
</body>
</html>
"""


def page(text: str) -> str:
    """The page of docs/monitoring.md: its section on alerts, each under an anchor."""
    _, section, alerts = text.partition(_SECTION)
    if not section:
        raise SystemExit(f"docs/monitoring.md has no section {_SECTION.strip()!r}")
    markdown = MarkdownIt("commonmark", {"html": False})
    tokens = markdown.parse(section + alerts)
    for token, title in pairwise(tokens):
        if token.type == "heading_open" and token.tag == "h3":
            token.attrSet("id", title.content.lower())
    return _PAGE.format(content=markdown.renderer.render(tokens, markdown.options, {}))


def main() -> None:
    """Reads the document, writes the page."""
    target = ROOT / "server/tertium_server/web/static/runbook.html"
    if len(sys.argv) > 1:
        target = Path(sys.argv[1])
    target.write_text(page((ROOT / "docs/monitoring.md").read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
