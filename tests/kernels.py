"""Where compiled kernels lie, for tests that give the server's other caches a folder of their own: compiling anew would take a minute."""

import os

import pytest


def keep_kernels(patch: pytest.MonkeyPatch) -> None:
    """Has kernels found where they are now, wherever XDG_CACHE_HOME goes next."""
    if "NUMBA_CACHE_DIR" not in os.environ:
        patch.setenv("NUMBA_CACHE_DIR", os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))  # noqa: PTH111 - as the kernels do
