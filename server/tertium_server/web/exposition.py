"""The text of all metrics, byte for byte as prometheus_client writes it, at a tenth of the cost.

prometheus_client checks and escapes every name and label of every series at every scrape; that was nearly all of what a scrape cost. Here its text of
a family is taken apart once, into what comes before the values, and only the values are written anew as long as the family has the same series.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample
from prometheus_client.utils import floatToGoString

_FORMATS = 4
"""So many formats are remembered: a scraper may name any version it likes."""
_PLAIN = 1e6
"""From here on Go writes exponents, and Python does not yet."""
_MOVED = ("_created", "_gsum", "_gcount")
"""Samples that the plain format moves to the end."""
_END = "# EOF\n"

Encoder = Callable[[Collector], bytes]


class Exposition:
    """Writes the metrics of a registry in whatever format is asked for. May be used by any thread."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._formats = OrderedDict[str, _Format]()
        self._lock = threading.Lock()

    def write(self, accept: str) -> tuple[bytes, str]:
        """All metrics as of now, in the format that an Accept header asks for; and their content type."""
        encode, content_type = choose_encoder(accept)
        with self._lock:
            wanted = self._formats.pop(content_type, None) or _Format(encode)
            self._formats[content_type] = wanted
            if len(self._formats) > _FORMATS:
                self._formats.popitem(last=False)
            return wanted.write(self._registry.collect()), content_type


@dataclass(slots=True)
class _Written:
    """A family as it was written last."""

    family: Metric
    names: list[tuple[str, dict[str, str]]]
    """Name and labels of each series."""
    head: str
    """Help, type and unit."""
    heads: list[str]
    """What comes before each value."""
    text: str


class _Format:
    """One format, and what is known of families in it."""

    def __init__(self, encode: Encoder) -> None:
        self._encode = encode
        self._known: dict[str, _Written] = {}
        self._end = _END if encode(_Families()).endswith(_END.encode()) else ""

    def write(self, families: Iterable[Metric]) -> bytes:
        parts = [self._text(family) for family in families]
        parts.append(self._end)
        return "".join(parts).encode()

    def _text(self, family: Metric) -> str:
        known = self._known.get(family.name)
        if known is not None:
            if known.family is family:  # told again by a collector for which nothing has changed
                return known.text
            values = _values(family, known)
            if values is not None:
                known.family = family
                known.text = known.head + "".join(values)
                return known.text
        return self._write_anew(family)

    def _write_anew(self, family: Metric) -> str:
        text = self._encode(_Families(family)).decode().removesuffix(self._end)
        if any(_is_special(family, sample) for sample in family.samples):
            self._known.pop(family.name, None)
            return text
        lines = text.split("\n")  # of all that ends a line somewhere, labels escape this one only
        first = len(lines) - 1 - len(family.samples)
        self._known[family.name] = _Written(
            family,
            [(sample.name, sample.labels) for sample in family.samples],
            "".join(f"{line}\n" for line in lines[:first]),
            [line[: line.rindex(" ") + 1] for line in lines[first:-1]],
            text,
        )
        return text


class _Families(Collector):
    """Stands for a registry that has these families only."""

    def __init__(self, *families: Metric) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _values(family: Metric, known: _Written) -> list[str] | None:
    """The lines of a family's series; None: they are not those that are known."""
    if len(family.samples) != len(known.names) or family.documentation != known.family.documentation:
        return None
    lines: list[str] = []
    for sample, (name, labels), head in zip(family.samples, known.names, known.heads, strict=True):
        sample_name, sample_labels, number, timestamp, exemplar, native_histogram = sample
        if sample_name != name or (sample_labels is not labels and sample_labels != labels):
            return None
        if timestamp is not None or exemplar is not None or native_histogram is not None:
            return None
        value = float(number)
        lines.append(f"{head}{value!r}\n" if -_PLAIN < value < _PLAIN else f"{head}{floatToGoString(value)}\n")
    return lines


def _is_special(family: Metric, sample: Sample) -> bool:
    """Whether more than a value may follow the labels, or the sample is not written where it stands."""
    return (
        sample.timestamp is not None
        or sample.exemplar is not None
        or sample.native_histogram is not None
        or sample.name in {family.name + suffix for suffix in _MOVED}
    )
