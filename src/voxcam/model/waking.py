"""Importing what a classifier needs beside a window that must answer: in steps, and without silencing others.

Two things in these imports keep every other thread waiting for a tenth of a second and more: the collector of
cycles, which goes through all that was just made, and the loading of libtorch, which Python does while it
holds its lock. Both are gone here: in a process that only ticks the longest wait is 30 ms instead of 150 to
250; of a window, see benchmarks/cancelling.py.
"""

from __future__ import annotations

import ctypes
import gc
import os
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# In an order in which each brings a part of what the later ones need, so that no step takes all the time.
STEPS = (
    "torch",
    "torch.nn.functional",
    "scipy.ndimage",
    "monai.config",
    "monai.utils",
    "monai.networks.layers",
    "monai.data.meta_tensor",
    "monai.transforms",
    "monai.networks.nets",
    "voxcam.model.loading",
    "voxcam.explain",
)
# The largest library of torch, 400 MB; it holds no code that needs Python's lock.
_LARGEST = "libtorch_cpu.so"


def wake(progress: Callable[[int, int], None] | None = None) -> None:
    """Import torch, MONAI and the engine; `progress` gets (steps done, in all), and may raise to end it."""
    with _no_collecting():
        _map_torch()
        for done, module in enumerate(STEPS):
            if progress:
                progress(done, len(STEPS))
            import_module(module)
    if progress:
        progress(len(STEPS), len(STEPS))


@contextmanager
def _no_collecting() -> Iterator[None]:
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()  # or all that was made would be gone through at once when collecting is back on
        if was_on:
            gc.enable()


def _map_torch() -> None:
    """Load libtorch as the import will, but by a call that lets other threads run; where there is dlopen."""
    found = find_spec("torch")
    for root in (found.submodule_search_locations or ()) if found else ():
        library = Path(root) / "lib" / _LARGEST
        if library.is_file() and hasattr(os, "RTLD_LAZY"):
            with suppress(OSError, AttributeError):
                dlopen = ctypes.CDLL(None).dlopen
                dlopen.argtypes, dlopen.restype = [ctypes.c_char_p, ctypes.c_int], ctypes.c_void_p
                dlopen(os.fsencode(library), os.RTLD_LAZY)
