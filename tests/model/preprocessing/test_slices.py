"""Preprocessing written for 2D images: every slice as MONAI would treat it alone, in its place."""

from __future__ import annotations

from dataclasses import replace

import monai.transforms
import numpy as np
import pytest
import torch
from model.preprocessing.landmarks import blob, centroid_mm, error_voxels, oblique
from monai.data import MetaTensor

from voxcam.core.geometry import Geometry
from voxcam.core.volume import COLOUR, SEQUENCE, Axis, Volume
from voxcam.errors import ClassifierError
from voxcam.model.preprocessing import build_preprocessing
from voxcam.model.preprocessing.catalogue import CATALOGUE

# One or more ways to write each transform for 2D images.
FOR_IMAGES = {
    "AdjustContrast": [{"gamma": 1.7}, {"gamma": 0.6, "retain_stats": True, "invert_image": True}],
    "ClipIntensityPercentiles": [
        {"lower": 5, "upper": 90},
        {"lower": 5, "upper": 90, "channel_wise": True, "sharpness_factor": 2.0},
    ],
    "DetectEnvelope": [{"axis": 2}],
    "ForegroundMask": [{"threshold": 0.4}],
    "GaussianSharpen": [{}],
    "GaussianSmooth": [{"sigma": 1.2}, {"sigma": [0.5, 2.0]}],
    "HistogramNormalize": [{"num_bins": 64}],
    "MedianSmooth": [{"radius": 1}, {"radius": [2, 1]}],
    "NormalizeIntensity": [
        {},
        {"channel_wise": True},
        {"nonzero": True, "channel_wise": True},
        {"nonzero": True},
        {"subtrahend": 3.0, "divisor": 2.0},
    ],
    "SavitzkyGolaySmooth": [{"window_length": 5, "order": 2}],
    "ScaleIntensity": [
        {},
        {"minv": -1, "maxv": 2, "channel_wise": True},
        {"minv": None, "maxv": None, "factor": 0.3},
    ],
    "ScaleIntensityFixedMean": [
        {"factor": 0.4, "preserve_range": True},
        {"factor": 0.4, "channel_wise": True},
    ],
    "ScaleIntensityRange": [{"a_min": -1, "a_max": 2, "b_min": 0, "b_max": 1, "clip": True}],
    "ScaleIntensityRangePercentiles": [
        {"lower": 5, "upper": 95, "b_min": 0, "b_max": 1},
        {"lower": 5, "upper": 95, "b_min": 0, "b_max": 1, "clip": True, "channel_wise": True},
        {"lower": 5, "upper": 95, "b_min": 0, "b_max": 1, "relative": True},
    ],
    "ShiftIntensity": [{"offset": 4.5}],
    "StdShiftIntensity": [{"factor": 2}, {"factor": 2, "nonzero": True, "channel_wise": True}],
    "ThresholdIntensity": [{"threshold": 0.2, "above": False, "cval": 9.0}],
    "AddCoordinateChannels": [{"spatial_dims": [0, 1]}],
    "RemoveRepeatedChannel": [{"repeats": 2}],
    "RepeatChannel": [{"repeats": 3}],
    "BorderPad": [{"spatial_border": [1, 2]}, {"spatial_border": [1, 0, 2, 3], "mode": "reflect"}],
    "CenterScaleCrop": [{"roi_scale": 0.7}],
    "CenterSpatialCrop": [{"roi_size": [11, 9]}],
    "DivisiblePad": [{"k": 8, "mode": "edge"}],
    "Flip": [{"spatial_axis": 1}, {}],
    "Orientation": [{"axcodes": "LP"}],
    "ResizeWithPadOrCrop": [{"spatial_size": [24, 10], "mode": "mean"}],
    "Rotate90": [{"k": 1}, {"k": 3, "spatial_axes": [1, 0]}],
    "SpatialCrop": [{"roi_start": [1, 2], "roi_end": [15, 12]}],
    "SpatialPad": [{"spatial_size": [22, 22], "value": -5.0}],
    "Transpose": [{"indices": [0, 2, 1]}],
    "Affine": [
        {"rotate_params": 0.3, "scale_params": [1.1, 0.9]},
        {"shear_params": [0.1, 0.2], "align_corners": True},
    ],
    "Resize": [
        {"spatial_size": [24, 31], "mode": "bilinear"},
        {"spatial_size": [12, -1]},
        {"spatial_size": [9, 7], "mode": "nearest"},
        {"spatial_size": 30, "size_mode": "longest", "mode": "bicubic", "anti_aliasing": True},
    ],
    "Rotate": [{"angle": 0.3}, {"angle": -0.2, "keep_size": False, "padding_mode": "zeros"}],
    "Spacing": [
        {"pixdim": [1.1, 0.7]},
        {"pixdim": 1.3, "mode": 3, "padding_mode": "nearest"},
        {"pixdim": [1, 1], "diagonal": True},
    ],
    "Zoom": [{"zoom": 1.3, "mode": "bilinear"}, {"zoom": [0.6, 0.9], "mode": "area", "keep_size": False}],
    "GridDistortion": [{"num_cells": 3, "distort_steps": [[1.1] * 4] * 2}],
}
CASES = [(name, arguments) for name, variants in FOR_IMAGES.items() for arguments in variants]


def prepared_by_slice(volume, *steps, along=2, **options):
    written = [{"_target_": name, **arguments} for name, arguments in steps]
    section = {"_target_": "Compose", "transforms": written, **options}
    return build_preprocessing(section, rank=2, slices_along=along)(volume)


def axial(shape=(18, 15, 5), channels=1, seed=0):
    """A volume of axial slices, index growing left and back, pixels 0.8 x 1.2 mm; channels as sequences."""
    values = np.random.default_rng(seed).normal(size=(*shape, channels)).astype(np.float32)
    values[2:4] = 0
    geometry = Geometry(shape, np.array([[-0.8, 0, 0, 9], [0, -1.2, 0, 5], [0, 0, 3, -70], [0, 0, 0, 1.0]]))
    return Volume(values, geometry, fourth=Axis(SEQUENCE))


def test_every_transform_that_changes_an_image_is_tested_here():
    changing = {name for name, entry in CATALOGUE.items() if entry.kind != "reading"}
    assert changing - {"CropForeground"} == set(FOR_IMAGES)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("name", "arguments"), CASES, ids=[f"{name}-{a}"[:60] for name, a in CASES])
def test_slices_are_what_monai_makes_of_each_alone(name, arguments, channels):
    if name == "RemoveRepeatedChannel" and channels == 1:
        pytest.skip("takes several channels only")
    if name == "ForegroundMask":
        pytest.importorskip("skimage")
    volume = axial(channels=channels)
    prepared = prepared_by_slice(volume, (name, arguments))
    arguments = dict(arguments) | ({"image_only": True} if name == "Affine" else {})
    if name == "Orientation":
        arguments["labels"] = (("L", "R"), ("P", "A"), ("I", "S"))
    transform = getattr(monai.transforms, name)(**arguments)
    affine = torch.diag(torch.tensor([-0.8, -1.2, 1.0], dtype=torch.float64))  # as of a 2D NIfTI
    for k in range(volume.shape[2]):
        image = MetaTensor(torch.from_numpy(np.moveaxis(volume.voxels[:, :, k], 2, 0).copy()), affine=affine)
        alone = transform(image).as_tensor().float()
        ours = prepared.image[..., k]
        assert ours.shape == alone.shape
        assert float((ours - alone).abs().max()) <= 1e-6 * max(1, float(alone.abs().max()))
    assert tuple(prepared.image.shape[1:]) == prepared.geometry.shape
    assert bool(prepared.unfollowed) == (name == "GridDistortion")


def test_per_channel_means_of_colour_slices():
    colour = np.zeros((12, 11, 4), COLOUR)
    for n, name in enumerate(COLOUR.names):
        colour[name] = np.random.default_rng(n).integers(0, 256, colour.shape)
    volume = Volume(colour, oblique((12, 11, 4)))
    means, spreads = [120.0, 100.0, 90.0], [50.0, 60.0, 70.0]
    step = {"subtrahend": means, "divisor": spreads, "channel_wise": True}
    prepared = prepared_by_slice(volume, ("NormalizeIntensity", step), ("RepeatChannel", {"repeats": 1}))
    for n, name in enumerate(COLOUR.names):
        expected = (colour[name].astype(np.float32) - means[n]) / spreads[n]
        np.testing.assert_allclose(prepared.image[n].numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("along", [0, 1, 2])
@pytest.mark.parametrize(
    "steps",
    [
        [("Resize", {"spatial_size": [30, 41], "mode": "bilinear"})],
        [("Resize", {"spatial_size": [22, 18], "mode": "nearest"})],
        [("CenterSpatialCrop", {"roi_size": [30, 27]}), ("Flip", {"spatial_axis": 0})],
        [("Spacing", {"pixdim": [1.5, 1.1]}), ("Rotate90", {}), ("SpatialPad", {"spatial_size": [50, 47]})],
        [
            ("Rotate", {"angle": 0.3, "keep_size": False, "padding_mode": "zeros"}),
            ("Zoom", {"zoom": 0.9, "mode": "area"}),
        ],
        [("Transpose", {"indices": [0, 2, 1]}), ("Affine", {"rotate_params": 0.2, "align_corners": True})],
        [],
    ],
)
def test_a_landmark_in_an_oblique_volume_stays_through_2d_steps(steps, along):
    volume = blob(oblique((44, 40, 36)), np.array([20.3, 21.6, 15.4]), sigma_mm=3.5)
    prepared = prepared_by_slice(volume, *steps, along=along)
    assert prepared.image.shape[1 + along] == volume.shape[along]
    at = volume.geometry.to_index(centroid_mm(volume.voxels, volume.geometry))
    found = centroid_mm(prepared.image[0].numpy(), prepared.geometry)
    uneven = any(arguments.get("mode") == "nearest" or name == "Zoom" for name, arguments in steps)
    assert error_voxels(volume.geometry, found, at) < (0.3 if uneven else 0.03)
    assert prepared.unfollowed == ()


@pytest.mark.parametrize("along", [0, 1, 2])
def test_every_voxel_of_every_slice_stays_through_exact_steps(along):
    shape = [9, 8, 10]
    volume = Volume(np.arange(720, dtype=np.float32).reshape(shape), oblique(tuple(shape)))
    prepared = prepared_by_slice(
        volume,
        ("Rotate90", {"k": 1}),
        ("CenterSpatialCrop", {"roi_size": [5, 6]}),
        ("Flip", {"spatial_axis": 1}),
        ("BorderPad", {"spatial_border": [2, 1], "value": -1.0}),
        along=along,
    )
    index = np.argwhere(prepared.image[0].numpy() >= 0)
    values = prepared.image[0].numpy()[tuple(index.T)].astype(int)
    before = volume.geometry.to_world(np.stack(np.unravel_index(values, shape), axis=-1))
    assert len(index) == 30 * shape[along]
    np.testing.assert_allclose(prepared.geometry.to_world(index), before, atol=1e-9)


@pytest.mark.parametrize(
    ("step", "per_slice"),
    [
        (("Resized", {"spatial_size": [256, 256]}), True),
        (("Resized", {"spatial_size": [256, 256, 32]}), False),
        (("Resized", {"spatial_size": 64}), True),
        (("Spacingd", {"pixdim": [1, 1, 2]}), False),
        (("Spacingd", {"pixdim": [1, 1]}), True),
        (("Orientationd", {"axcodes": "RAS"}), False),
        (("Orientationd", {"axcodes": "RA"}), True),
        (("CenterSpatialCropd", {"roi_size": [224, 224]}), True),
        (("BorderPadd", {"spatial_border": [1, 2, 3, 4]}), True),
        (("BorderPadd", {"spatial_border": [1, 2, 3, 4, 5, 6]}), False),
        (("Rotated", {"angle": [0.1, 0, 0]}), False),
        (("Affined", {"affine": [[1, 0, 0], [0, 1, 0], [0, 0, 1]]}), True),
        (("Affined", {"affine": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]}), False),
        (("Flipd", {"spatial_axis": 2}), False),
        (("Flipd", {"spatial_axis": [0, 1]}), True),
        (("Rotate90d", {"spatial_axes": [0, 2]}), False),
        (("GaussianSmoothd", {"sigma": [1, 1, 3]}), False),
        (("ScaleIntensityd", {}), True),
    ],
)
def test_what_is_written_for_images_is_told_from_what_is_written_for_volumes(step, per_slice):
    name, arguments = step
    section = {"_target_": "Compose", "transforms": [{"_target_": name, "keys": "image", **arguments}]}
    built = build_preprocessing(section, rank=2)
    assert built.per_slice is per_slice
    assert built.flat_axis == (2 if per_slice else None)
    assert build_preprocessing(section, rank=3).per_slice is False


def test_three_letters_count_least():
    letters = {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS"}
    resize = {"_target_": "Resized", "keys": "image", "spatial_size": [20, 20], "mode": "bilinear"}
    built = build_preprocessing({"_target_": "Compose", "transforms": [letters, resize]}, rank=2)
    assert built.per_slice
    prepared = built(axial())
    assert prepared.geometry.codes == "RAS"  # the third stays as it is
    assert prepared.image.shape == (1, 20, 20, 5)


def test_letters_turn_axial_slices_as_they_would_the_volume():
    volume = axial()
    as_images = prepared_by_slice(volume, ("Orientation", {"axcodes": "AR"}))
    section = {"_target_": "Compose", "transforms": [{"_target_": "Orientation", "axcodes": "ARS"}]}
    as_volume = build_preprocessing(section)(volume)
    assert torch.equal(as_images.image, as_volume.image)
    assert as_images.geometry.same_grid(as_volume.geometry)


def test_letters_of_slices_that_are_not_axial_are_refused_and_pictures_have_positive_axes():
    with pytest.raises(ClassifierError, match="it fits axial slices"):
        prepared_by_slice(axial(), ("Orientation", {"axcodes": "RA"}), along=0)
    picture = Volume(
        np.arange(12.0).reshape(4, 3, 1), Geometry((4, 3, 1), np.diag([-1, -1, 1, 1.0]), "detector")
    )
    prepared = prepared_by_slice(picture, ("Orientation", {"axcodes": "RA"}))
    np.testing.assert_array_equal(prepared.image[0], picture.voxels)


def test_a_crop_to_the_foreground_fits_one_slice_only():
    volume = axial((12, 10, 3))
    with pytest.raises(ClassifierError, match="the 3 slices would not lie on one grid"):
        prepared_by_slice(volume, ("CropForeground", {}))
    one = blob(oblique((20, 20, 9)), np.array([8, 9, 4.0]), 2).cropped((0, 0, 4), (20, 20, 5))
    prepared = prepared_by_slice(one, ("CropForeground", {"margin": 1, "allow_smaller": True}))
    found = centroid_mm(prepared.image[0].numpy(), prepared.geometry)
    np.testing.assert_allclose(found, centroid_mm(one.voxels, one.geometry), atol=1e-4)
    assert prepared.image.shape[1] < 20


def test_an_affine_left_behind_is_caught_though_the_first_slices_are_empty():
    section = {"_target_": "Compose", "transforms": [{"_target_": "Flip", "spatial_axis": 0}]}
    built = build_preprocessing(section, rank=2)

    def left_behind(image):
        return MetaTensor(image.as_tensor().flip(1), affine=image.affine)

    broken = replace(built, transforms=(replace(built.transforms[0], transform=left_behind),))
    values = np.random.default_rng(0).normal(size=(256, 256, 12)).astype(np.float32)
    values[..., :9] = 0  # more than go through at once
    volume = Volume(values, oblique(values.shape))
    assert built(volume).unfollowed == ()
    assert broken(volume).unfollowed == ("Flip(spatial_axis=0)",)


def test_lazy_2d_steps_are_interpolated_once_as_monai_does():
    volume = axial((24, 20, 4))
    steps = [
        ("Spacing", {"pixdim": [1, 1]}),
        ("Rotate", {"angle": 0.2}),
        ("CenterSpatialCrop", {"roi_size": [15, 14]}),
    ]
    prepared = prepared_by_slice(volume, *steps, lazy=True)
    theirs = monai.transforms.Compose(
        [getattr(monai.transforms, name)(**arguments) for name, arguments in steps], lazy=True
    )
    affine = torch.diag(torch.tensor([-0.8, -1.2, 1.0], dtype=torch.float64))
    for k in range(4):
        alone = theirs(
            MetaTensor(torch.from_numpy(np.moveaxis(volume.voxels[:, :, k], 2, 0).copy()), affine=affine)
        )
        torch.testing.assert_close(prepared.image[..., k], alone.as_tensor(), atol=1e-6, rtol=0)
