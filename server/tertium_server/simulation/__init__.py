"""Simulated worlds with known truth: scenes, a detector that flickers, drift, people who err.

    from tertium_server.simulation import preset, simulate

    world = preset("busy-street", cameras=2, frames=600, seed=7)
    for footage in simulate(world):
        for frame in footage.frames():          # as a pipeline would send it, its truth beside it
            ...
        footage.labelled()                      # as tune() and evaluate() take it

Everything follows from the world's numbers, to the last bit.
"""

from __future__ import annotations

from .errors import PlayError, WorldError
from .footage import Footage, FrameTruth, SimulatedFrame, film, simulate
from .loading import dump_world, load_world, preset, preset_names, world_of
from .reviewing import Reply, reply
from .world import World

__all__ = [
    "Footage",
    "FrameTruth",
    "PlayError",
    "Reply",
    "SimulatedFrame",
    "World",
    "WorldError",
    "dump_world",
    "film",
    "load_world",
    "preset",
    "preset_names",
    "reply",
    "simulate",
    "world_of",
]
