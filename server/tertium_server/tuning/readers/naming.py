"""What people call a file that was fetched from elsewhere: its URL, not the copy's path."""

from __future__ import annotations

import os
import re
from pathlib import Path

MIRROR = "tertium-mirror-"
"""Folders of copies are named so, by the hash of what they hold; in them lie a folder of the URL's scheme, and its path."""


def default_folder() -> Path:
    """Where copies are kept: ``$XDG_CACHE_HOME/tertium/recordings``, or the same under ``~/.cache``."""
    # os.path's, not Path's: the latter fails where there is no home.
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111
    return Path(base) / "tertium" / "recordings"


def named(text: str) -> str:
    """The text, with URLs in place of the paths of their copies."""
    if MIRROR not in text:
        return text
    # Where a path begins in a text can't be told if it has blanks in it; of the usual folder it is known.
    folder = rf"(?:{re.escape(str(default_folder()))}|[^\s'\"]*)"
    return re.sub(rf"{folder}/{MIRROR}[0-9a-f]{{20}}/([a-z][a-z0-9+.-]*)/", r"\1://", text)
