"""Writes the dashboards: python deploy/grafana/generate.py [FOLDER]. What is committed is what this writes; a test holds that."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from quality_board import quality
from review_board import review
from service_board import service

FOLDER = Path(__file__).parent / "dashboards"
_TITLES = (("tertium-service", "Service"), ("tertium-quality", "Quality"), ("tertium-review", "Review"))
_MAKERS = {"service": service, "quality": quality, "review": review}
_INTERVALS = ("auto", "auto_count", "auto_min")
"""The builders give these to all variables; Grafana knows them of intervals alone."""


def dashboards() -> dict[str, str]:
    """The dashboards' files: names and texts."""
    return {f"{name}.json": _text(name) for name in _MAKERS}


def _text(name: str) -> str:
    others = [(uid, title) for uid, title in _TITLES if uid != f"tertium-{name}"]
    made = _MAKERS[name](others).build()
    plain = json.loads(JSONEncoder(sort_keys=True).encode(made))
    for variable in plain["templating"]["list"]:
        for field in _INTERVALS:
            variable.pop(field, None)
    return json.dumps(_without_nulls(plain), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _without_nulls(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Grafana's own types know fields that are absent, and none that are null."""
    if isinstance(value, dict):
        return {key: _without_nulls(each) for key, each in value.items() if each is not None}
    return [_without_nulls(each) for each in value] if isinstance(value, list) else value


def main(folder: Path) -> None:
    """Writes all files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in dashboards().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
