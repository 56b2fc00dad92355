"""Importing what a classifier needs, step by step: MONAI takes seconds, and whoever waits may cancel."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# In an order in which each brings a part of what the later ones need, so that no step takes all the time.
STEPS = (
    "torch",
    "torch.nn.functional",
    "scipy.ndimage",
    "monai.config",
    "monai.utils",
    "monai.networks.layers",
    "monai.data.meta_tensor",
    "monai.transforms.transform",
    "monai.transforms",
    "monai.networks.nets.densenet",
    "monai.networks.nets",
    "voxcam.model.loading",
    "voxcam.explain",
)


def wake(progress: Callable[[int, int], None] | None = None) -> None:
    """Import torch, MONAI and the engine; `progress` gets (steps done, in all), and may raise to end it."""
    for done, module in enumerate(STEPS):
        if progress:
            progress(done, len(STEPS))
        import_module(module)
    if progress:
        progress(len(STEPS), len(STEPS))
