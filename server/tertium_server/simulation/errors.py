"""Errors of the simulation: a branch of the tree in tertium_server.errors.

TertiumError
    WorldError                  a world can't be: which field of which file, what is wrong, and the remedy
    PlayError                   a world can't be played to a server: which camera or reviewer, and why
"""

from __future__ import annotations

from tertium_server.errors import TertiumError


class WorldError(TertiumError):
    """A world can't be read, or can't be. Each line of the message names a field and what it may be."""


class PlayError(TertiumError):
    """A world can't be played to a server. The message names the camera, or the reviewer, and says why."""
