from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import LoadImage, Orientation, Spacing

from voxcam.core.geometry import Geometry
from voxcam.core.lazy import Stacked
from voxcam.core.volume import COLOUR, SEQUENCE, Axis, Volume
from voxcam.errors import ClassifierError
from voxcam.model.metatensor import as_metatensor

AFFINE = np.array([[-0.8, 0.1, 0, 30], [0.1, 0.79, 0.2, -20], [0, -0.1, 3.1, 7], [0, 0, 0, 1.0]])


def volume(shape=(5, 6, 4), dtype=np.int16):
    voxels = np.random.default_rng(0).integers(-1000, 1000, shape).astype(dtype)
    return Volume(voxels, Geometry(shape[:3], AFFINE), "CT", "HU")


@pytest.mark.parametrize("dtype", [np.int16, ">i2", np.float32, np.float64])
def test_it_is_what_monai_loads_from_a_file_of_the_same_volume(dtype, tmp_path):
    ours = volume(dtype=dtype)
    nib.save(nib.Nifti1Image(ours.voxels.astype(np.float32), AFFINE), tmp_path / "image.nii")
    theirs = LoadImage(image_only=True, ensure_channel_first=True)(tmp_path / "image.nii")
    image = as_metatensor(ours)
    assert isinstance(image, MetaTensor)
    assert (image.dtype, image.affine.dtype) == (torch.float32, torch.float64)
    assert torch.equal(image.as_tensor(), theirs.as_tensor())
    assert torch.allclose(image.affine, theirs.affine, atol=1e-5)
    for step in (Orientation("LPS", labels=(("L", "R"), ("P", "A"), ("I", "S"))), Spacing((1, 1, 2))):
        image, theirs = step(image), step(theirs)
        assert torch.allclose(image.as_tensor(), theirs.as_tensor(), atol=0.1)


def test_the_volumes_own_voxels_are_never_shared():
    ours = volume(dtype=np.float32)
    before = ours.voxels.copy()
    as_metatensor(ours)[...] = 7
    np.testing.assert_array_equal(ours.voxels, before)


def test_colour_has_three_channels():
    colour = np.zeros((4, 3, 2), COLOUR)
    for n, name in enumerate(COLOUR.names):
        colour[name] = np.random.default_rng(n).integers(0, 256, colour.shape)
    image = as_metatensor(Volume(colour, Geometry(colour.shape, AFFINE)))
    assert image.shape == (3, 4, 3, 2)
    for n, name in enumerate(COLOUR.names):
        np.testing.assert_array_equal(image[n].numpy(), colour[name])


def test_of_several_moments_one_is_asked_for():
    ours = volume((5, 6, 4, 3))
    with pytest.raises(ClassifierError, match=r"reads one moment, the volume has 3"):
        as_metatensor(ours)
    np.testing.assert_array_equal(as_metatensor(ours, 2)[0].numpy(), ours.voxels[..., 2])
    with pytest.raises(ClassifierError, match="from 0 to 2"):
        as_metatensor(ours, 3)
    assert as_metatensor(volume((5, 6, 4, 1))).shape == (1, 5, 6, 4)


def test_of_a_stack_only_the_moment_asked_for_is_read():
    voxels, read = volume((5, 6, 4, 3)).voxels, []
    stack = Stacked(lambda k, t: read.append(t) or voxels[:, :, k, t], (5, 6), (4, 3), voxels.dtype)
    image = as_metatensor(Volume(stack, Geometry((5, 6, 4), AFFINE), fourth=Axis("time")), 1)
    np.testing.assert_array_equal(image[0].numpy(), voxels[..., 1])
    assert read == [1] * 4


@pytest.mark.parametrize("count", [1, 3])
def test_sequences_become_channels_in_their_order(count):
    voxels = volume((5, 6, 4, count)).voxels
    ours = Volume(
        voxels, Geometry((5, 6, 4), AFFINE), fourth=Axis(SEQUENCE, values=("T1", "T2", "FLAIR")[:count])
    )
    image = as_metatensor(ours)
    assert image.shape == (count, 5, 6, 4)
    for place in range(count):
        np.testing.assert_array_equal(image[place].numpy(), voxels[..., place])
    np.testing.assert_array_equal(as_metatensor(ours, count - 1).numpy(), voxels[None, ..., -1])


def test_sequences_of_a_stack_are_read_slice_by_slice_and_once():
    voxels, read = volume((5, 6, 4, 3)).voxels, []
    stack = Stacked(lambda k, t: read.append((k, t)) or voxels[:, :, k, t], (5, 6), (4, 3), voxels.dtype)
    image = as_metatensor(Volume(stack, Geometry((5, 6, 4), AFFINE), fourth=Axis(SEQUENCE)))
    np.testing.assert_array_equal(image.numpy(), np.moveaxis(voxels, 3, 0))
    assert len(read) == len(set(read)) == 12


def test_sequences_in_colour_are_channels_too():
    colour = np.zeros((4, 3, 2, 2), COLOUR)
    for n, name in enumerate(COLOUR.names):
        colour[name] = np.random.default_rng(n).integers(0, 256, colour.shape)
    image = as_metatensor(Volume(colour, Geometry((4, 3, 2), AFFINE), fourth=Axis(SEQUENCE)))
    assert image.shape == (6, 4, 3, 2)
    np.testing.assert_array_equal(image[4].numpy(), colour["G"][..., 1])
