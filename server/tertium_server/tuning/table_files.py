"""Tables as files: CSV for everybody, Parquet where pyarrow is there; into a folder, or to a URL."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import Any

from tertium_server.errors import TertiumError

from .readers import ReadError, is_url, write_file

FORMS = ("csv", "parquet")

_AT_A_TIME = 50_000
"""Rows of a Parquet file that are held at once."""


class TableError(TertiumError):
    """Tables can't be written. The message names the place and the remedy."""


class Kind(Enum):
    """What a column holds: how CSV writes it, and what Parquet calls it."""

    TEXT = ("{}", "string")
    WHOLE = ("{}", "int64")
    NUMBER = ("{:.9g}", "double")
    """As many digits as single precision has."""
    ROUGH = ("{:.6g}", "double")


@dataclass(frozen=True, slots=True)
class Table:
    """A table by columns and rows. None in a row: there is no value."""

    columns: Mapping[str, Kind]
    rows: Iterable[Sequence[Any]]


def write_tables(place: str | Path, tables: Mapping[str, Table], form: str = "csv") -> tuple[str, ...]:
    """Writes each table to ``<place>/<name>.<form>``; what stood there is written over. Where they stand now.

    Raises:
        TableError: they can't be written, or pyarrow is missing.
    """
    if form == "parquet":
        _require_pyarrow()
    written = []
    for name, table in tables.items():
        out = io.BytesIO()
        _FORMS[form](out, table)
        file = f"{str(place).rstrip('/')}/{name}.{form}"
        try:
            if is_url(place):
                write_file(file, out.getvalue())
            else:
                Path(place).mkdir(parents=True, exist_ok=True)
                _write_whole(Path(file), out.getvalue())
        except ReadError as error:
            raise TableError(str(error)) from error
        except OSError as error:
            raise TableError(f"{place}: can't be written ({error.strerror or error}); choose another folder") from error
        written.append(file)
    return tuple(written)


def _write_whole(file: Path, content: bytes) -> None:
    """The file takes its name only after all was written; what was there before stays until then."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        temporary.write_bytes(content)
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


def _write_csv(out: io.BytesIO, table: Table) -> None:
    text = io.TextIOWrapper(out, "utf-8", newline="", write_through=True)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.columns)
    forms = [kind.value[0] for kind in table.columns.values()]
    writer.writerows(
        ["" if value is None else form.format(value) for form, value in zip(forms, row, strict=True)]
        for row in table.rows
    )
    text.detach()


def _write_parquet(out: io.BytesIO, table: Table) -> None:
    # Optional, so not among the imports.
    pa: Any = import_module("pyarrow")
    pq: Any = import_module("pyarrow.parquet")
    schema = pa.schema([(name, kind.value[1]) for name, kind in table.columns.items()])
    with pq.ParquetWriter(out, schema, compression="zstd") as writer:
        for rows in _pieces(table.rows):
            columns = list(zip(*rows, strict=True)) if rows else [()] * len(schema)
            arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def _pieces(rows: Iterable[Sequence[Any]]) -> Iterable[list[Sequence[Any]]]:
    """The rows, some at a time; at least one piece, which may be empty."""
    piece: list[Sequence[Any]] = []
    for row in rows:
        piece.append(row)
        if len(piece) == _AT_A_TIME:
            yield piece
            piece = []
    yield piece


def _require_pyarrow() -> None:
    try:
        import_module("pyarrow.parquet")
    except ImportError as error:
        raise TableError("tables as Parquet need pyarrow; pip install 'tertium[parquet]', or write csv") from error


_FORMS = {"csv": _write_csv, "parquet": _write_parquet}
