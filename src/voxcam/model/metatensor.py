"""A `Volume` as MONAI's MetaTensor: channel first, with our affine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from voxcam.errors import ClassifierError

if TYPE_CHECKING:
    from monai.data import MetaTensor

    from voxcam.core.volume import Volume


def as_metatensor(volume: Volume, moment: int | None = None) -> MetaTensor:
    """Return the volume's values as float32, shape (channels, i, j, k): one channel, or red, green and blue.

    Values are modality values, unwindowed, and a copy. The affine is float64, voxel index to RAS+ mm,
    as MONAI's own readers give it.

    Parameters
    ----------
    moment
        Place along the fourth axis, where the volume has one longer than 1.

    Raises
    ------
    ClassifierError
        If the volume has several moments and none was chosen, or not that one.
    """
    from monai.data import MetaTensor

    affine = torch.tensor(np.array(volume.affine), dtype=torch.float64)
    return MetaTensor(torch.from_numpy(_channels(_still(volume, moment))), affine=affine)


def _still(volume: Volume, moment: int | None) -> Volume:
    count = volume.voxels.shape[3] if len(volume.voxels.shape) == 4 else 1
    if moment is None and count > 1:
        raise ClassifierError(
            f"the classifier reads one moment, the volume has {count}: choose one (--moment N)"
        )
    try:
        return volume.moment(moment or 0)
    except ValueError as error:
        raise ClassifierError(str(error)) from error


def _channels(volume: Volume) -> np.ndarray[Any, np.dtype[np.float32]]:
    voxels = np.asarray(volume.voxels)
    channels = [voxels[name] for name in voxels.dtype.names] if voxels.dtype.names else [voxels]
    together = np.empty((len(channels), *voxels.shape), np.float32)
    for room, channel in zip(together, channels, strict=True):
        room[...] = channel
    return together
