"""MOTChallenge's seqinfo.ini: frame rate, length and frame size of a sequence."""

from __future__ import annotations

import configparser
from dataclasses import dataclass
from pathlib import Path

from .checks import MOST_FRAMES
from .errors import Place, ReadError

NAME = "seqinfo.ini"


@dataclass(frozen=True, slots=True)
class SequenceInfo:
    """The [Sequence] section of a seqinfo.ini. Each value is checked when it is asked for."""

    file: Path
    section: configparser.SectionProxy

    @classmethod
    def read(cls, file: Path) -> SequenceInfo:
        """One seqinfo.ini.

        Raises:
            ReadError: it is none.
        """
        parser = configparser.ConfigParser(interpolation=None)
        try:
            parser.read_string(file.read_text("utf-8-sig"))
            return cls(file, parser["Sequence"])
        except OSError as error:
            reason = error.strerror or error
            raise ReadError(Place(file), f"can't be read ({reason})", "check its permissions") from error
        except KeyError as error:
            raise ReadError(Place(file), "has no section [Sequence]", "write it as the first line") from error
        except (configparser.Error, UnicodeDecodeError) as error:
            problem = f"is no ini file ({str(error).splitlines()[0]})"
            raise ReadError(Place(file), problem, "write [Sequence], then a key=value a line") from error

    def has(self, key: str) -> bool:
        """Whether a key has a value."""
        return bool(self.section.get(key, "").strip())

    @property
    def fps(self) -> float:
        """Frames per second."""
        return self._number("frameRate", 0.001, 1000)

    @property
    def length(self) -> int:
        """How many frames there are."""
        return self._whole("seqLength", 1, MOST_FRAMES)

    @property
    def frame_size(self) -> tuple[int, int]:
        """Width and height in pixels; 0 where it does not say."""
        return self._size("imWidth"), self._size("imHeight")

    def place(self, key: str) -> Place:
        """Where a key stands."""
        return Place(self.file, column=f"key {key}")

    def _number(self, key: str, least: float, most: float) -> float:
        text = self.section.get(key, "").strip()
        if not text:
            raise ReadError(self.place(key), "is missing", f"write {key}=, from {least:g} to {most:,}")
        try:
            value = float(text)
        except ValueError as error:
            raise ReadError(self.place(key), f"is {text!r}, which is no number", "write a number") from error
        if not least <= value <= most:
            raise ReadError(self.place(key), f"is {text}", f"it lies from {least:g} to {most:,}")
        return value

    def _whole(self, key: str, least: int, most: int) -> int:
        value = self._number(key, least, most)
        if not value.is_integer():
            raise ReadError(self.place(key), f"is {value:g}", "write a whole number")
        return int(value)

    def _size(self, key: str) -> int:
        return self._whole(key, 0, 65_536) if self.has(key) else 0


def seqinfo_beside(file: Path) -> Path | None:
    """The seqinfo.ini of a det.txt or gt.txt: beside it, or beside its folder. None: there is none."""
    candidates = (file.parent / NAME, file.parent.parent / NAME)
    return next((candidate for candidate in candidates if candidate.is_file()), None)
