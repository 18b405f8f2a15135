"""Compiled functions: how every kernel of the engine is compiled and where the result is kept.

A kernel is a free function over arrays and records, compiled by numba without Python objects and without the GIL. Its machine code is
cached on disk. numba notices only changes of the file a kernel stands in, not of kernels it calls from other files; so the cache folder
carries a hash of all sources of the engine, and a changed engine never meets stale code.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

import numba
from numba.core import config as numba_config

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


def _source_hash() -> str:
    digest = hashlib.blake2b(digest_size=8)
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _is_writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


def _cache_folder() -> Path:
    """The first writable of ``NUMBA_CACHE_DIR``, ``XDG_CACHE_HOME`` (or ``~/.cache``), and the temporary folder."""
    bases = [os.environ.get("NUMBA_CACHE_DIR"), os.environ.get("XDG_CACHE_HOME"), os.path.expanduser("~/.cache")]
    for base in bases:
        if base:
            folder = Path(base) / "tertium" / f"kernels-{_source_hash()}"
            if _is_writable(folder):
                return folder
    return Path(tempfile.mkdtemp(prefix="tertium-kernels-"))


_CACHE_FOLDER = str(_cache_folder())


def kernel(function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    """Compiles a function on its first call: no Python objects, no GIL, IEEE arithmetic, cached on disk."""
    before = numba_config.CACHE_DIR
    # The setting is global to the process and read when the function is decorated: ours must not move other people's caches.
    numba_config.CACHE_DIR = _CACHE_FOLDER
    try:
        compiled: Callable[_Parameters, _Result] = numba.njit(nogil=True, cache=True, error_model="numpy")(function)
    finally:
        numba_config.CACHE_DIR = before
    return compiled
