"""server.json in the data folder: where the server that runs there is to be found."""

from __future__ import annotations

import json
import os
from pathlib import Path

from tertium_server.logs import get_logger


class AddressFile:
    """Tells a server's process id and addresses to whoever looks, for as long as it serves."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / "server.json"

    def write(self, listen: str, metrics: str) -> None:
        """Writes it, whole or not at all."""
        temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        content = {"pid": os.getpid(), "listen": listen, "metrics": metrics}
        temporary.write_text(json.dumps(content) + "\n", encoding="utf-8")
        temporary.replace(self._path)

    def remove(self) -> None:
        """Removes it; that of a server which has been started on the same folder since stays."""
        try:
            if json.loads(self._path.read_text(encoding="utf-8")).get("pid") == os.getpid():
                self._path.unlink()
        except (OSError, ValueError):
            get_logger("server").debug("server.json was gone already", path=str(self._path))
