"""What pydantic finds wrong with a value, in words for whoever wrote it: each says what the value has to be."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from typing import Any

from pydantic_core import ErrorDetails

_SAID = {
    "missing": "is missing",
    "int_type": "has to be a whole number",
    "int_parsing": "has to be a whole number",
    "int_from_float": "has to be a whole number",
    "int_parsing_size": "has to be a smaller number",
    "float_type": "has to be a number",
    "float_parsing": "has to be a number",
    "finite_number": "has to be a finite number",
    "bool_type": "has to be true or false",
    "bool_parsing": "has to be true or false",
    "string_type": "has to be text",
    "path_type": "has to be a path",
    "tuple_type": "has to be a list",
    "list_type": "has to be a list",
    "dict_type": "has to be a section, with names of its own",
    "model_type": "has to be a section, with fields of its own",
    "invalid_key": "is no name: put it into quotation marks if it is meant as one",
    "greater_than": "has to be more than {gt}",
    "greater_than_equal": "has to be {ge} or more",
    "less_than": "has to be less than {lt}",
    "less_than_equal": "has to be {le} or less",
    "literal_error": "has to be {expected}",
    "enum": "has to be {expected}",
    "string_too_short": "has fewer characters than {min_length}",
    "string_too_long": "has more characters than {max_length}",
    "string_pattern_mismatch": "has to match {pattern}",
    "too_short": "holds {actual_length}, and has to hold {min_length} or more",
    "too_long": "holds {actual_length}, and has to hold {max_length} or fewer",
}
"""By pydantic's names for what can be wrong; what is not here is said in pydantic's words."""


_MOST_SHOWN = 60
_BRIEFLY = reprlib.Repr()  # looks at no more than it shows: a file's references to references may stand for any amount
_BRIEFLY.maxlevel = 2
_BRIEFLY.maxstring = _BRIEFLY.maxother = _BRIEFLY.maxlong = _MOST_SHOWN


def shown(value: object) -> str:
    """A value as an error shows it: the beginning of a long one."""
    return _BRIEFLY.repr(value)[:_MOST_SHOWN]


def in_words(error: ErrorDetails) -> str:
    """What is wrong, to be read after the name of the field: "has to be a whole number"."""
    given: Mapping[str, Any] = error.get("ctx", {})
    context = {name: f"{value:g}" if isinstance(value, float) else value for name, value in given.items()}
    said = _SAID.get(error["type"])
    return error["msg"].removeprefix("Value error, ") if said is None else said.format_map(context)
