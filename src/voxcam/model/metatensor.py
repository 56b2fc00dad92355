"""A `Volume` as MONAI's MetaTensor: channel first, with our affine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from voxcam.errors import ClassifierError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monai.data import MetaTensor

    from voxcam.core.volume import Volume


def as_metatensor(volume: Volume, moment: int | None = None) -> MetaTensor:
    """Return the volume's values as float32, shape (channels, i, j, k).

    One channel; or red, green and blue, 0..255; or the sequences of one grid, in their order. Values
    are modality values, unwindowed, and a copy. The affine is float64, voxel index to RAS+ mm, as MONAI's
    own readers give it.

    Parameters
    ----------
    moment
        Place along the fourth axis, where the volume has one longer than 1 that does not count sequences.

    Raises
    ------
    ClassifierError
        If the volume has several moments and none was chosen, or not that one.
    """
    from monai.data import MetaTensor

    affine = torch.tensor(np.array(volume.affine), dtype=torch.float64)
    channels = moment is None and volume.is_sequences and len(volume.voxels.shape) == 4
    places = range(volume.voxels.shape[3] if channels else 0)
    stills = [volume.moment(place) for place in places] or [_still(volume, moment)]
    return MetaTensor(torch.from_numpy(_channels(stills)), affine=affine)


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


def _channels(stills: Sequence[Volume]) -> np.ndarray[Any, np.dtype[np.float32]]:
    colours = stills[0].voxels.dtype.names or (None,)
    together = np.empty((len(stills) * len(colours), *stills[0].shape), np.float32)
    for place, still in enumerate(stills):
        voxels = np.asarray(still.voxels)
        for colour, room in zip(colours, together[place * len(colours) :], strict=False):
            room[...] = voxels if colour is None else voxels[colour]
    return together
