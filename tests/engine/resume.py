"""Goes on with a stream from its snapshots in a process of its own: python -m tests.engine.resume FOLDER SEED."""

import sys
from pathlib import Path

import numpy as np

from tertium_server.engine import StreamEngine
from tertium_server.policy import compile_parameters
from tests.engine.streams import Journal, play, settings_with, troubled
from tests.policies import plain_policy


def play_the_rest(snapshot: bytes, seed: int, cut: int) -> Journal:
    """What an engine restored after ``cut`` frames of a troubled scene decides on the others."""
    chosen = settings_with(include_features=True, frame_width=640, frame_height=360)
    engine = StreamEngine.restore(compile_parameters(plain_policy(), chosen), chosen, snapshot)
    return play(engine, troubled(seed)[cut:], finish=True)


def main(folder: Path, seed: int) -> None:
    """Writes the columns of what follows each snapshot <cut>.snapshot into <cut>.<column>.npy."""
    for file in folder.glob("*.snapshot"):
        journal = play_the_rest(file.read_bytes(), seed, int(file.stem))
        for name in Journal.names:
            np.save(folder / f"{file.stem}.{name}.npy", journal[name])


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
