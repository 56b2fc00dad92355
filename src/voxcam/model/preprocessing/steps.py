"""A bundle's preprocessing on a `Volume`: MONAI's transforms, the affine followed all the way."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from voxcam.core.geometry import Geometry
from voxcam.errors import ClassifierError
from voxcam.model.metatensor import as_metatensor
from voxcam.model.preprocessing.slices import Slices, written_for_volumes
from voxcam.model.preprocessing.transforms import Step, built, run
from voxcam.model.preprocessing.written import joined, written_steps

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from voxcam.core.volume import Volume


# Of the slices that go through the steps together: few enough to stay near the processor from one step to the
# next, enough that MONAI's own work for each call does not count.
VOXELS_AT_ONCE = 2**19


@dataclass(frozen=True, eq=False)
class Prepared:
    """The network's input.

    Parameters
    ----------
    image
        Shape (channels, i, j, k), float32.
    geometry
        Where its voxels lie.
    unfollowed
        Steps, in words, after which that is not known: `geometry` is then the box before them, cut anew.
    """

    image: torch.Tensor
    geometry: Geometry
    unfollowed: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Preprocessing:
    """The steps from modality values to the network's input.

    Parameters
    ----------
    steps
        What each does, in words for the provenance.
    transforms
        The same, ready to run.
    flat_axis
        Axis along which slices lie that are prepared as 2D images; None where volumes are prepared whole.
    """

    steps: tuple[str, ...]
    transforms: tuple[Step, ...]
    flat_axis: int | None = None

    @property
    def per_slice(self) -> bool:
        """Whether it is written for 2D images, and done to every slice by itself."""
        return self.flat_axis is not None

    def __call__(self, volume: Volume) -> Prepared:
        """Return `volume` as the network wants it.

        Raises
        ------
        ClassifierError
            If the volume has more than one moment in time, is not finite, or a step fails on it.
        """
        image: Any = as_metatensor(volume).as_tensor()
        if not _is_finite(image):
            raise ClassifierError(
                "the volume holds values that are not finite: the classifier would answer NaN"
            )
        way = self._as_slices if self.flat_axis is not None else self._as_volume
        prepared = way(image, volume.geometry)
        if not _is_finite(prepared.image):
            raise ClassifierError("the preprocessing makes values that are not finite of this volume")
        return prepared

    def _as_volume(self, image: torch.Tensor, geometry: Geometry) -> Prepared:
        unfollowed = []
        for step in self.transforms:
            image, found = run(step, image, geometry.affine)
            geometry = _moved(geometry, found, image.shape[1:], step)
            unfollowed += [] if found is not None else [step.words]
        return Prepared(image.contiguous(), geometry, tuple(unfollowed))

    def _as_slices(self, image: torch.Tensor, geometry: Geometry) -> Prepared:
        axis = int(self.flat_axis or 0) + 1
        some = max(1, VOXELS_AT_ONCE * image.shape[axis] // image.numel())
        parts = [self._part(part, geometry, image.shape[axis]) for part in torch.split(image, some, axis)]
        whole = torch.cat([part.image for part in parts], dim=axis)
        # Empty slices bear out any map: what one part contradicts is not known of the whole.
        said = {words for part in parts for words in part.unfollowed}
        unfollowed = tuple(words for words in self.steps if words in said)
        return Prepared(whole, max(parts, key=lambda part: len(part.unfollowed)).geometry, unfollowed)

    def _part(self, image: torch.Tensor, geometry: Geometry, count: int) -> Prepared:
        """Return a few slices of a volume of `count`, on the grid that all of them will have."""
        unfollowed = []
        slices = Slices(image, geometry, int(self.flat_axis or 0), count)
        for step in self.transforms:
            found = slices.run(step)
            geometry = _moved(geometry, found, slices.shape, step)
            unfollowed += [] if found is not None else [step.words]
        return Prepared(slices.stacked(), geometry, tuple(unfollowed))


def build_preprocessing(section: Any, rank: int = 3, slices_along: int | None = None) -> Preprocessing:
    """Return the preprocessing of a bundle's ``preprocessing`` section; no section, no steps.

    Parameters
    ----------
    rank
        Spatial axes of the network's input, 2 or 3. With 2, a section none of whose arguments speaks of three
        axes is written for 2D images: every slice of a volume is prepared as one.
    slices_along
        Axis of the volume along which those slices lie; None is the third.

    Raises
    ------
    UntrustedCodeError
        If it names anything but a transform of MONAI, or one that would run code.
    ClassifierError
        If a transform is refused, or its arguments do not fit.
    """
    written = joined(written_steps(section))
    steps = tuple(built(step) for step in written)
    flat_axis = None
    if rank == 2 and not written_for_volumes(written):
        flat_axis = 2 if slices_along is None else slices_along
    return Preprocessing(tuple(step.words for step in steps), steps, flat_axis)


def _is_finite(image: torch.Tensor) -> bool:
    # NaN goes through both ends; faster than a sum, and a quarter of the memory of isfinite.
    low, high = image.aminmax()
    return math.isfinite(low) and math.isfinite(high)


def _moved(
    geometry: Geometry, found: NDArray[np.float64] | None, shape: Sequence[int], step: Step
) -> Geometry:
    """Return the grid after a step; one that could not be followed is taken to cut the same box anew."""
    if len(shape) != 3 or min(shape) < 1:
        raise ClassifierError(
            f"preprocessing step {step.words} makes {tuple(shape)} voxels of {geometry.shape}: "
            "expected three axes"
        )
    if found is None:
        return geometry.coarsened(shape)
    return Geometry((int(shape[0]), int(shape[1]), int(shape[2])), geometry.affine @ found, geometry.frame)
