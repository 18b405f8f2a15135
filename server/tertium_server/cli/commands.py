"""Sets of commands whose help shows a flag as one: typer writes <bool> beside it, as if a value had to follow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup


def _plain(parameters: list[Any]) -> list[Any]:
    for parameter in parameters:
        if getattr(parameter, "is_flag", False) and parameter.metavar is None:
            parameter.metavar = ""
    return parameters


class _Command(TyperCommand):
    def get_params(self, ctx: Any) -> list[Any]:  # noqa: ANN401  # click's context, which has no name that all versions of typer share
        return _plain(super().get_params(ctx))


class _Group(TyperGroup):
    def get_params(self, ctx: Any) -> list[Any]:  # noqa: ANN401  # as above
        return _plain(super().get_params(ctx))


class Commands(typer.Typer):
    """A set of commands; options as typer.Typer has them."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401  # each option's own type
        super().__init__(cls=_Group, no_args_is_help=True, rich_markup_mode="rich", **options)

    def command(self, name: str | None = None, **options: Any) -> Callable[[Any], Any]:  # noqa: ANN401  # as above
        """Takes a function as a command."""
        return super().command(name, cls=_Command, **options)
