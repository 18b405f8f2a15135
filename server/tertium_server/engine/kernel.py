"""Compiled functions: how every kernel of the engine is compiled and where the result is kept.

A kernel is a free function over arrays and records, compiled by numba without Python objects and without the GIL. Its machine code is
cached on disk. numba notices only changes of the file a kernel stands in, not of kernels it calls from other files; so the cache folder
carries a hash of all sources of the engine, and a changed engine never meets stale code. Kernels of other packages have a decorator, and
a hash, of their own (see `KernelCompiler`).
"""

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numba
from numba.core import config as numba_config

_numba_settings = numba_config.__dict__  # numba makes them as it is imported, which no checker sees

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


def _source_hash(folders: tuple[Path, ...]) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for folder in folders:
        for path in sorted(folder.glob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _is_writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


def _cache_folder(source_hash: str) -> Path:
    """The first writable of ``NUMBA_CACHE_DIR``, ``XDG_CACHE_HOME`` (or ``~/.cache``), and the temporary folder."""
    # os.path's, not Path's: the latter fails where there is no home.
    bases = [os.environ.get("NUMBA_CACHE_DIR"), os.environ.get("XDG_CACHE_HOME"), os.path.expanduser("~/.cache")]  # noqa: PTH111
    for base in bases:
        if base:
            folder = Path(base) / "tertium" / f"kernels-{source_hash}"
            if _is_writable(folder):
                return folder
    return Path(tempfile.mkdtemp(prefix="tertium-kernels-"))


class KernelCompiler:
    """The decorator of kernels that stand in one folder, or call kernels of others: a change in any of these folders compiles anew."""

    def __init__(self, *folders: Path, for_arrays: bool = False) -> None:
        self._cache_folder = str(_cache_folder(_source_hash(folders)))
        self._for_arrays = for_arrays

    def __call__(self, function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
        """Compiles a function on its first call: no Python objects, no GIL, IEEE arithmetic, cached on disk.

        Unless the compiler is one ``for_arrays``, kernels neither make nor return arrays, and do not count references to those that they are given:
        numba would count one for each name that an array gets, hundreds in a frame.
        """
        before = _numba_settings["CACHE_DIR"]
        # The setting is global to the process and read when the function is decorated: ours must not move other people's caches.
        _numba_settings["CACHE_DIR"] = self._cache_folder
        try:
            options: Any = {"nogil": True, "cache": True, "error_model": "numpy", "_nrt": self._for_arrays}
            compiled: Callable[_Parameters, _Result] = numba.njit(**options)(function)
        finally:
            _numba_settings["CACHE_DIR"] = before
        return compiled


ENGINE = Path(__file__).parent
"""Where the engine's kernels stand."""

kernel = KernelCompiler(ENGINE)
"""The decorator of the engine's own kernels."""

array_kernel = KernelCompiler(ENGINE, for_arrays=True)
"""The decorator of the few that make arrays, or return them."""
