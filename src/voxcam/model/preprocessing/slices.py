"""Preprocessing written for 2D images, on every slice of a volume, in the plane's own millimetres.

MONAI never sees the volume's affine here: a slice is an image with its pixel spacing, origin 0. Where the
image's pixels went is then put into the volume's affine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from voxcam.errors import ClassifierError
from voxcam.model.preprocessing.transforms import Step, plain, run_transform, transform_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from voxcam.core.geometry import Geometry
    from voxcam.model.preprocessing.written import Written

# Arguments that have one entry for each spatial axis.
PER_AXIS = (
    "angle k k_divisible margin num_cells pixdim radius roi_center roi_end roi_scale roi_size roi_start "
    "rotate_params scale_params sigma sigma1 sigma2 spatial_size translate_params zoom"
).split()
# Others: entries to the axes they speak of.
COUNTS = {
    "affine": {3: 2, 4: 3},
    "indices": {3: 2, 4: 3},
    "shear_params": {2: 2, 6: 3},
    "spatial_border": {2: 2, 3: 3, 4: 2, 6: 3},
}
# Arguments that name axes.
AXES = ("spatial_axis", "spatial_axes", "spatial_dims")


def written_for_volumes(steps: Sequence[Written]) -> bool:
    """Whether the steps' arguments speak of three axes.

    Three letters of an orientation count least: MONAI leaves the third out for an image.
    """
    every = [one.arguments for step in steps for one in (step.joined or (step,))]
    said = {axes for arguments in every for axes in _axes(arguments)}
    return 3 in said or (2 not in said and any(_length(each.get("axcodes")) >= 3 for each in every))


def _axes(arguments: dict[str, Any]) -> Iterator[int]:
    """Yield 2 for every argument that speaks of two axes, 3 for every one that speaks of three or more."""
    for name in PER_AXIS:
        if _length(arguments.get(name)) >= 2:
            yield min(_length(arguments[name]), 3)
    for name, counts in COUNTS.items():
        if _length(arguments.get(name)) in counts:
            yield counts[_length(arguments[name])]
    named = [arguments[name] for name in AXES if arguments.get(name) is not None]
    axes = [axis for value in named for axis in (value if isinstance(value, list | tuple) else [value])]
    if 2 in axes or -3 in axes:
        yield 3


def _length(value: Any) -> int:
    return len(value) if isinstance(value, list | tuple | str) else 0


class Slices:
    """Slices of a volume on their way through the steps.

    Parameters
    ----------
    image
        Shape (channels, i, j, k).
    geometry
        Of the volume.
    flat_axis
        Spatial axis along which the slices lie.
    of
        How many slices the volume has; these may be some of them.
    """

    def __init__(self, image: torch.Tensor, geometry: Geometry, flat_axis: int, of: int) -> None:
        self.flat_axis, self.of = flat_axis, of
        self.plane = [axis for axis in range(3) if axis != flat_axis]
        self.images = image.movedim(1 + flat_axis, 1)  # (channels, slices, *plane)
        self.affine, self.is_anatomical = plane_affine(geometry, self.plane)

    def run(self, step: Step) -> NDArray[np.float64] | None:
        """Put every slice through one step; return the map of volume indices, or None if not followed."""
        self._check(step)
        channels, count = self.images.shape[:2]
        whole = _for_all_at_once(step, channels)
        if whole is not None or count == 1:
            flat = self.images.flatten(0, 1)
            after, found = run_transform(step, whole or step.transform, flat, self.affine)
            self.images = after.reshape(-1, count, *after.shape[1:]) if count > 1 else after.unsqueeze(1)
        else:
            singles = [run_transform(step, step.transform, one, self.affine) for one in self.images.unbind(1)]
            found = None if any(found is None for _, found in singles) else singles[0][1]
            self.images = torch.stack([image for image, _ in singles], dim=1)
        if found is None:
            return None
        self.affine = self.affine @ found
        return self._in_volume(found)

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels of the volume that all slices make, along i, j, k."""
        plane = iter(self.images.shape[2:])
        return tuple(self.of if axis == self.flat_axis else next(plane) for axis in range(3))

    def stacked(self) -> torch.Tensor:
        """Return the slices as a volume, shape (channels, i, j, k); a view."""
        return self.images.movedim(1, 1 + self.flat_axis)

    def _check(self, step: Step) -> None:
        if step.written.entry.slices == "single" and self.of > 1:
            raise ClassifierError(
                f"preprocessing step {step.words} cuts every slice differently: the {self.of} slices would "
                "not lie on one grid; give the classifier one slice, or leave it out"
            )
        names = [step.written.name, *(written.name for written in step.written.joined)]
        if "Orientation" in names and not self.is_anatomical:
            raise ClassifierError(
                f"preprocessing step {step.words} of single slices knows left, right, front and back only: "
                "it fits axial slices"
            )

    def _in_volume(self, found: NDArray[np.float64]) -> NDArray[np.float64]:
        whole, rows = np.eye(4), [*self.plane, 3]
        whole[np.ix_(rows, rows)] = found
        return whole


def plane_affine(geometry: Geometry, plane: Sequence[int]) -> tuple[NDArray[np.float64], bool]:
    """Return the (3, 3) affine of a slice as a 2D image, and whether its letters mean the patient's sides.

    Axial slices grow to the patient's sides as their file's affine says, as a 2D NIfTI's would; other
    slices, and radiographs, have positive axes, as a picture has.
    """
    spacing = geometry.spacing_mm[list(plane)]
    letters = [geometry.codes[axis] for axis in plane]
    if geometry.frame != "patient":
        return np.diag([*spacing, 1.0]), True
    if not set(letters) <= set("RLAP"):
        return np.diag([*spacing, 1.0]), False
    affine = np.zeros((3, 3))
    affine[2, 2] = 1
    for column, letter in enumerate(letters):
        affine["RLAP".index(letter) // 2, column] = spacing[column] * (1 if letter in "RA" else -1)
    return affine, True


def _for_all_at_once(step: Step, channels: int) -> Any:
    """Return the transform that treats all slices, as channels of one image, as it would each; or None."""
    way, arguments = step.written.entry.slices, step.written.arguments
    if way == "together":
        return step.transform
    if way != "channel_wise" or (channels > 1 and not arguments.get("channel_wise")):
        return None
    if arguments.get("subtrahend") is not None or arguments.get("divisor") is not None:
        return None
    if step.written.name == "NormalizeIntensity" and not arguments.get("nonzero"):
        return _each_normalised
    return transform_of(step.written, channel_wise=True)


def _each_normalised(images: Any) -> torch.Tensor:
    """Return what NormalizeIntensity does to each channel; MONAI's loop would take half of the time."""
    values = torch.as_tensor(plain(images))
    space = tuple(range(1, values.ndim))
    deviation = values.std(dim=space, unbiased=False, keepdim=True)
    deviation[deviation == 0] = 1.0
    return (values - values.mean(dim=space, keepdim=True)) / deviation
