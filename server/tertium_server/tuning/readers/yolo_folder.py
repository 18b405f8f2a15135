"""YOLO's folders: label files by sequence, the images beside them, the names of the classes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from .albums import natural
from .errors import NothingFoundError, Place, ReadError
from .image_size import SUFFIXES

NAME_LISTS = ("classes.txt", "obj.names", "names.txt", "labels.txt")
YAML_NAMES = ("data.yaml", "dataset.yaml", "data.yml", "dataset.yml")
LEVELS = 4
"""How many folders upwards names are looked for, the one with the label files included."""

_NUMBERED = re.compile(r"(.*?)[-_. ]?(\d+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class LabelFolder:
    """The label files of one sequence: those of a folder, or those there whose names start alike."""

    name: str
    folder: Path
    prefix: str = ""
    """What the names of its files start with, before the frame number."""

    alone: bool = False

    def files(self) -> list[Path]:
        """Its label files, in order."""
        return [file for file in label_files(self.folder) if self.prefix == "" or prefix_of(file.stem) == self.prefix]


def find_folders(path: Path, parts: Iterable[str]) -> tuple[LabelFolder, ...]:
    """The sequences at a path: in the folder itself, or each in a folder of it; in both cases perhaps in one named as a part.

    Raises:
        NothingFoundError: there are none.
    """
    if not path.is_dir():
        problem = "is no folder" if path.exists() else "does not exist"
        raise NothingFoundError(Place(path), problem, "give a folder of label files")
    parts = tuple(parts)
    root = _part_of(path, parts)
    for folder in (root, path):
        if label_files(folder):
            return tuple(_by_prefix(folder, path.resolve().name))
    inner = ((folder.name, _part_of(folder, parts)) for folder in sorted(root.iterdir()) if folder.is_dir())
    found = tuple(one for name, folder in inner for one in _inner(folder, name, parts))
    if not found:
        raise NothingFoundError(Place(path), "holds no label files", "give a folder of .txt files, or of such folders")
    return found


def folder_named(folder: Path, name: str) -> LabelFolder:
    """The sequence that was found in a folder under a name."""
    own = name.rpartition("/")[2]  # in a folder of folders that of the folder stands before it
    return next(replace(one, name=name) for one in _by_prefix(folder, name) if one.name in {name, own})


def label_files(folder: Path) -> list[Path]:
    """The label files of a folder, in order."""
    files = (file for file in folder.glob("*.txt") if file.name not in NAME_LISTS and file.is_file())
    return sorted(files, key=lambda file: natural(file.stem))


def prefix_of(stem: str) -> str:
    """What stands before the frame number at the end of a file's name: "gate" of "gate_0012"; "" of "0012"."""
    match = _NUMBERED.fullmatch(stem)
    return "" if match is None else match[1]


def number_of(stem: str) -> int | None:
    """The frame number at the end of a file's name."""
    match = _NUMBERED.fullmatch(stem)
    return None if match is None else int(match[2])


def images_of(folder: LabelFolder) -> dict[str, Path]:
    """The images of a sequence by the stems of their names: beside its labels, or in images/ where these are in labels/."""
    places = [folder.folder]
    parts = folder.folder.parts
    if "labels" in parts:
        last = len(parts) - 1 - parts[::-1].index("labels")
        places.append(Path(*parts[:last], "images", *parts[last + 1 :]))
        places.append(Path(*parts[:last], *parts[last + 1 :]))
    images: dict[str, Path] = {}
    for place in places:
        for file in sorted(place.iterdir()) if place.is_dir() else ():
            if file.suffix.lower() in SUFFIXES and (folder.prefix == "" or prefix_of(file.stem) == folder.prefix):
                images.setdefault(file.stem, file)
    return images


def class_names(folders: Iterable[Path]) -> tuple[dict[int, str], Path] | None:
    """Names by class number, and the file that tells: a data.yaml or a list of names near one of the folders.

    Raises:
        ReadError: such a file can't be read.
    """
    for start in folders:
        for folder in [start, *start.parents][:LEVELS]:
            file = next((folder / name for name in (*YAML_NAMES, *NAME_LISTS) if (folder / name).is_file()), None)
            if file is not None:
                return (_names_of_yaml(file) if file.name in YAML_NAMES else _names_of_list(file)), file
    return None


def _part_of(folder: Path, parts: Iterable[str]) -> Path:
    return next((folder / part for part in parts if (folder / part).is_dir()), folder)


def _inner(folder: Path, name: str, parts: tuple[str, ...]) -> list[LabelFolder]:
    """The sequences of a folder in a folder, named for it."""
    if not label_files(folder):
        return [LabelFolder(name, folder)] if folder.name in parts else []
    found = _by_prefix(folder, name)
    return [replace(one, name=f"{name}/{one.name}" if one.prefix else name, alone=False) for one in found]


def _by_prefix(folder: Path, name: str) -> list[LabelFolder]:
    """The sequences of one folder: by what the names of files start with, where all of them end with a number."""
    stems = [file.stem for file in label_files(folder)]
    prefixes = sorted({prefix_of(stem) for stem in stems})
    if len(prefixes) < 2 or "" in prefixes or any(number_of(stem) is None for stem in stems):  # noqa: PLR2004
        return [LabelFolder(name, folder, alone=True)]
    return [LabelFolder(prefix, folder, prefix) for prefix in prefixes]


def _text_of(file: Path) -> str:
    try:
        return file.read_text("utf-8-sig")
    except OSError as error:
        raise ReadError(Place(file), f"can't be read ({error.strerror or error})", "check its permissions") from error
    except UnicodeDecodeError as error:
        raise ReadError(Place(file), "is not text in UTF-8", "save it as UTF-8") from error


def _names_of_list(file: Path) -> dict[int, str]:
    lines = _text_of(file).splitlines()
    while lines and not lines[-1].strip():
        lines.pop()
    return {number: line.strip() for number, line in enumerate(lines)}


def _names_of_yaml(file: Path) -> dict[int, str]:
    try:
        content = YAML(typ="safe", pure=True).load(_text_of(file))
    except YAMLError as error:
        raise ReadError(Place(file), f"is no YAML ({str(error).splitlines()[0]})", "write names: and a list") from error
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not all(isinstance(number, int) for number in names):
        raise ReadError(Place(file, column="names"), "is no list of names", "write names: and a list")
    return {number: str(name) for number, name in names.items()}
