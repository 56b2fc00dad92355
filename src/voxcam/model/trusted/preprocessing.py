"""Preprocessing that only running a bundle's code could make: what of it can be followed, and what cannot."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from voxcam.core.geometry import Geometry
from voxcam.errors import ClassifierError
from voxcam.model.metatensor import as_metatensor
from voxcam.model.preprocessing import Prepared, Preprocessing

if TYPE_CHECKING:
    from voxcam.core.volume import Volume

# What our own reader has done already.
_READING = ("LoadImage", "EnsureChannelFirst", "EnsureType", "ToTensor", "ToDevice")


@dataclass(frozen=True, eq=False)
class Evaluated(Preprocessing):
    """Transforms as the bundle's code made them, on a MetaTensor with our affine.

    Their affine is MONAI's own. None of them is of our catalogue, so that none is taken to be followed:
    scores are sound, heatmaps are refused.
    """

    compose: Any = None

    @staticmethod
    def of(compose: Any, rank: int, slices_along: int | None) -> Evaluated:
        """Return the transforms of an evaluated Compose, without those that read files.

        Raises
        ------
        ClassifierError
            If it is no Compose, or is for 2D images: those are prepared from data alone.
        """
        if not hasattr(compose, "transforms"):
            raise ClassifierError(f"the preprocessing is a {type(compose).__name__}, expected a Compose")
        if rank == 2:
            raise ClassifierError(
                "the preprocessing of a 2D network cannot be run from code, for it is done slice by slice: "
                "write it as data in inference.json"
            )
        kept = [step for step in compose.transforms if not type(step).__name__.startswith(_READING)]
        words = tuple(f"{type(step).__name__}, from the bundle's code" for step in kept)
        return Evaluated(words, (), None, kept)

    def __call__(self, volume: Volume) -> Prepared:
        """Return `volume` as the transforms make it."""
        data: Any = as_metatensor(volume)
        for words, step in zip(self.steps, self.compose, strict=True):
            try:
                data = step({"image": data})["image"] if hasattr(step, "keys") else step(data)
            except Exception as error:
                reason = " ".join(str(error).split())[:200]
                raise ClassifierError(f"preprocessing step {words} failed on this volume: {reason}") from None
        prepared = Prepared(data.float().contiguous(), _geometry(data, volume), self.steps)
        return replace(prepared, image=getattr(prepared.image, "as_tensor", lambda: prepared.image)())


def _geometry(data: Any, volume: Volume) -> Geometry:
    shape = tuple(int(n) for n in data.shape[1:])
    if len(shape) != 3:
        raise ClassifierError(f"the preprocessing makes {len(shape)} axes, expected three")
    affine = np.asarray(getattr(data, "affine", volume.affine), dtype=np.float64)
    return Geometry((shape[0], shape[1], shape[2]), affine, volume.geometry.frame)
