"""Whatever the preprocessing does to the grid, a place in the patient stays that place."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from voxcam.core.geometry import Geometry
from voxcam.core.volume import COLOUR, Volume
from voxcam.core.windows import Window
from voxcam.errors import ClassifierError
from voxcam.model.preprocessing import build_preprocessing


def _compose(*transforms: dict) -> dict:
    return {"_target_": "Compose", "transforms": list(transforms)}


def _blob(geometry: Geometry, at_mm: np.ndarray, sigma_mm: float = 4.0) -> Volume:
    """A Gaussian blob at a world point, on any grid."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in geometry.shape], indexing="ij"), axis=-1)
    distance = np.linalg.norm(geometry.to_world(index) - at_mm, axis=-1)
    return Volume(np.exp(-0.5 * (distance / sigma_mm) ** 2).astype(np.float32), geometry)


def _centre_of_mass(values: np.ndarray, geometry: Geometry) -> np.ndarray:
    index = np.stack(np.meshgrid(*[np.arange(n) for n in geometry.shape], indexing="ij"), axis=-1)
    return (geometry.to_world(index) * values[..., None]).sum(axis=(0, 1, 2)) / values.sum()


@settings(max_examples=25, deadline=None)
@given(
    turn=st.tuples(*[st.sampled_from([0, 90, 180, 270])] * 3),
    tilt=st.floats(-12, 12),
    flip=st.booleans(),
    spacing=st.tuples(st.floats(0.7, 2), st.floats(0.7, 2), st.floats(1, 3)),
    target=st.sampled_from(["RAS", "LPS", "IPL", "SRA"]),
)
def test_a_landmark_keeps_its_world_point(turn, tilt, flip, spacing, target) -> None:
    rotation = (
        Rotation.from_euler("xyz", turn, degrees=True) * Rotation.from_euler("x", tilt, degrees=True)
    ).as_matrix()
    affine = np.eye(4)
    affine[:3, :3] = rotation @ np.diag(spacing) @ np.diag([-1 if flip else 1, 1, 1])
    shape = tuple(int(60 / mm) for mm in spacing)
    affine[:3, 3] = -affine[:3, :3] @ (np.array(shape) - 1) / 2 + (15, -40, 100)
    landmark = np.array([18.0, -37.0, 96.0])
    volume = _blob(Geometry(shape, affine), landmark)
    steps = _compose(
        {"_target_": "LoadImaged", "keys": "image"},
        {"_target_": "Orientationd", "keys": "image", "axcodes": target},
        {"_target_": "Spacingd", "keys": "image", "pixdim": [1.5, 1.5, 1.5], "mode": "bilinear"},
        {"_target_": "CenterSpatialCropd", "keys": "image", "roi_size": [32, 32, 32]},
        {"_target_": "SpatialPadd", "keys": "image", "spatial_size": [40, 36, 33]},
    )
    prepared = build_preprocessing(steps)(volume)
    assert tuple(prepared.image.shape[1:]) == prepared.geometry.shape == (40, 36, 33)
    if abs(tilt) < 40:
        assert prepared.geometry.codes == target
    found = _centre_of_mass(prepared.image[0].numpy(), prepared.geometry)
    assert np.abs(found - landmark).max() < 0.3


def test_modality_values_reach_the_network_unwindowed_and_scaled_as_stated() -> None:
    values = np.array([-2000.0, -1000.0, 0.0, 400.0, 3000.0], dtype=np.float32).reshape(5, 1, 1)
    scale = {
        "_target_": "ScaleIntensityRanged",
        "keys": "image",
        "a_min": -1000,
        "a_max": 400,
        "b_min": 0,
        "b_max": 1,
        "clip": True,
    }
    prepared = build_preprocessing(_compose(scale))(Volume(values, Geometry((5, 1, 1), np.eye(4))))
    assert np.allclose(prepared.image.ravel(), [0, 0, 1000 / 1400, 1, 1])


def test_steps_are_named_for_the_provenance_and_reading_is_ours() -> None:
    built = build_preprocessing(
        _compose(
            {"_target_": "monai.transforms.LoadImaged", "keys": ["image"]},
            {"_target_": "EnsureChannelFirstd", "keys": ["image"]},
            {"_target_": "ScaleIntensityd", "keys": ["image"], "minv": 0, "maxv": 1},
        )
    )
    assert built.steps == ("ScaleIntensity(minv=0, maxv=1)",)


def test_a_hounsfield_volume_arrives_as_it_is_whatever_window_it_is_shown_in() -> None:
    values = np.random.default_rng(0).integers(-1024, 3071, (6, 5, 4)).astype(np.int16)
    lung = Window(-600, 1500, "lung")
    volume = Volume(values, Geometry((6, 5, 4), np.eye(4)), "CT", "HU", windows=(lung,))
    for rank in (2, 3):
        prepared = build_preprocessing(_compose(), rank)(volume)
        np.testing.assert_array_equal(prepared.image[0].numpy(), values)
        assert prepared.image.dtype == torch.float32
        assert prepared.geometry.same_grid(volume.geometry)


def test_colour_arrives_as_three_channels_from_0_to_255() -> None:
    colour = np.zeros((5, 4, 1), COLOUR)
    for n, name in enumerate(COLOUR.names):
        colour[name] = np.random.default_rng(n).integers(0, 256, colour.shape)
    volume = Volume(colour, Geometry((5, 4, 1), np.eye(4), "unknown"))
    flip = {"_target_": "Flipd", "keys": "image", "spatial_axis": 0}
    prepared = build_preprocessing(_compose(flip), 2)(volume)
    for n, name in enumerate(COLOUR.names):
        np.testing.assert_array_equal(prepared.image[n].numpy(), colour[name][::-1])
    assert prepared.geometry.frame == "unknown"


def test_the_volume_is_not_written_into() -> None:
    values = np.random.default_rng(0).normal(size=(5, 4, 3)).astype(np.float32)
    before = values.copy()
    scale = {"_target_": "NormalizeIntensityd", "keys": "image", "channel_wise": True, "nonzero": True}
    for rank in (2, 3):
        build_preprocessing(_compose(scale), rank)(Volume(values, Geometry((5, 4, 3), np.eye(4))))
    np.testing.assert_array_equal(values, before)


def test_what_the_steps_make_of_finite_values_must_be_finite() -> None:
    root = {"_target_": "AdjustContrastd", "keys": "image", "gamma": -1}  # 0 ** -1
    with pytest.raises(ClassifierError, match="makes values that are not finite"):
        build_preprocessing(_compose(root))(
            Volume(np.arange(8.0).reshape(2, 2, 2), Geometry((2, 2, 2), np.eye(4)))
        )


def test_steps_that_leave_three_axes_are_refused() -> None:
    steps = {"_target_": "Resized", "keys": "image", "spatial_size": [4, 4, 4, 2], "mode": "nearest"}
    with pytest.raises(ClassifierError) as caught:
        build_preprocessing(_compose(steps))(Volume(np.ones((4, 4, 4)), Geometry((4, 4, 4), np.eye(4))))
    assert "\n" not in str(caught.value)


def test_a_volume_the_network_could_not_answer_is_refused() -> None:
    geometry = Geometry((4, 4, 4), np.eye(4))
    nothing = build_preprocessing(None)
    with pytest.raises(ClassifierError, match="not finite"):
        nothing(Volume(np.full((4, 4, 4), np.nan, np.float32), geometry))
    with pytest.raises(ClassifierError, match="one moment"):
        nothing(Volume(np.zeros((4, 4, 4, 3), np.float32), geometry))
    crop = {"_target_": "SpatialCropd", "keys": "image", "roi_center": [2, 2, 2], "roi_size": "x"}
    with pytest.raises(ClassifierError):
        build_preprocessing(_compose(crop))(Volume(np.zeros((4, 4, 4), np.float32), geometry))
