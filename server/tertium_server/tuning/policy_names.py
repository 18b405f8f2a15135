"""Names that go into a policy: looked at before anything is worked out, not when it is written."""

from __future__ import annotations

from collections.abc import Iterable

from tertium_server.errors import TertiumError

MOST_LETTERS = 64
"""Of a policy's name."""

MOST_LETTERS_OF_GROUP = 256


class PolicyNameError(TertiumError):
    """A name that no policy takes. The message quotes it, and says what does."""


def check_names(name: str, groups: Iterable[str] = ()) -> None:
    """Raises where a policy can't be called so, or have groups of such names.

    Raises:
        PolicyNameError: it can't.
    """
    for option, given, most in (
        ("--name", name, MOST_LETTERS),
        *(("--group", group, MOST_LETTERS_OF_GROUP) for group in groups),
    ):
        if not 1 <= len(given) <= most:
            raise PolicyNameError(f"{option} {given[:40]!r}: has {len(given):,} letters; give 1 to {most}")
