"""The policy that an option names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .failure import CommandError

if TYPE_CHECKING:
    from tertium_server.policy import Policy


def policy_at(place: str | None) -> Policy:
    """The policy of a file or a URL; None: the built-in one.

    Raises:
        CommandError: it can't be read, or is none.
    """
    from tertium_server.policy import PolicyError, default_policy, load_policy, parse_policy  # noqa: PLC0415  # slow to load
    from tertium_server.tuning.readers import is_url, read_text  # noqa: PLC0415  # likewise

    try:
        if place is None:
            return default_policy()
        return parse_policy(read_text(place), place) if is_url(place) else load_policy(place)
    except PolicyError as error:
        raise CommandError(str(error)) from error
