"""What is taken from a section as it is written, and what is refused."""

from __future__ import annotations

import monai.transforms
import numpy as np
import pytest
import torch
from model.preprocessing.landmarks import blob, oblique
from model.preprocessing.test_following import compose

from voxcam.errors import ClassifierError, UntrustedCodeError
from voxcam.model.metatensor import as_metatensor
from voxcam.model.preprocessing import build_preprocessing
from voxcam.model.preprocessing.catalogue import REFUSED
from voxcam.model.preprocessing.written import written_steps

LOAD = {"_target_": "LoadImaged", "keys": ["image", "label"]}


def written(*transforms, **options):
    return {"_target_": "Compose", "transforms": list(transforms), **options}


def step(target, /, keys="image", **arguments):
    return {"_target_": f"{target}d", "keys": keys, **arguments}


def words(*transforms, **options):
    return build_preprocessing(written(*transforms, **options)).steps


@pytest.mark.parametrize(
    ("transform", "says"),
    [
        (step("Spacing", pixdim=[1, 1.5, 2], mode="bilinear"), "Spacing(pixdim=[1, 1.5, 2])"),
        (step("Spacing", pixdim=[1, 1, 1], mode="nearest"), "Spacing(pixdim=[1, 1, 1], mode=nearest)"),
        (
            step("Resize", spatial_size=[9, 9, 9], mode="area", overwrite=True),
            "Resize(spatial_size=[9, 9, 9])",
        ),
        (step("Flip", spatial_axis=0, meta_keys=None), "Flip(spatial_axis=0)"),
        (step("Orientation", axcodes="RAS"), "Orientation(axcodes=RAS)"),
        ({"_target_": "monai.transforms.ScaleIntensity"}, "ScaleIntensity()"),
        (step("CropForeground", source_key="image", margin=2), "CropForeground(margin=2)"),
        (step("NormalizeIntensity", _desc_="as trained", nonzero=True), "NormalizeIntensity(nonzero=True)"),
    ],
)
def test_words_are_complete_and_short(transform, says):
    assert words(LOAD, transform) == (says,)


@pytest.mark.parametrize(
    "nothing",
    [
        step("EnsureChannelFirst"),
        step("EnsureChannelFirst", channel_dim="no_channel"),
        step("EnsureType", keys=["image", "label"], dtype=["float32", "int64"]),
        step("EnsureType", dtype="torch.float32", device="cuda", track_meta=False),
        step("CastToType", dtype="np.float64"),
        step("ToTensor"),
        step("AddChannel"),
        step("LoadImage", reader="ITKReader", ensure_channel_first=True, image_only=False),
        step("DeleteItems", keys=["label"]),
        step("SelectItems", keys=["image", "label"]),
        step("CopyItems", keys=["image"], times=1, names=["raw"]),
        step("DataStats"),
        step("RandFlip", keys="label", prob=0.5),
        step("AsDiscrete", keys=["label", "mask"], argmax=True),
        step("Spacing", pixdim=[1, 1, 1], _disabled_=True),
        written(step("Identity"), written()),
    ],
)
def test_what_does_nothing_to_the_image_is_no_step(nothing):
    assert words(LOAD, nothing) == ()


def test_composes_are_opened_and_the_order_is_kept():
    inner = written(step("Flip", spatial_axis=1), written(step("ScaleIntensity")))
    assert words(LOAD, step("Flip", spatial_axis=0), inner, step("Flip", spatial_axis=2)) == (
        "Flip(spatial_axis=0)",
        "Flip(spatial_axis=1)",
        "ScaleIntensity()",
        "Flip(spatial_axis=2)",
    )


def test_the_image_is_the_item_called_image_or_the_first_that_is_loaded():
    other = {"_target_": "LoadImaged", "keys": ["ct", "seg"]}
    assert words(other, step("Flip", keys="ct"), step("Flip", keys="seg")) == ("Flip()",)
    assert words(LOAD, step("Flip", keys="label")) == ()
    assert words(step("Flip", keys="image")) == ("Flip()",)


def test_of_values_for_each_key_the_images_is_taken():
    modes = step("Spacing", keys=["label", "image"], pixdim=[1, 1, 1], mode=["nearest", "bilinear"])
    (found,) = written_steps(written(LOAD, modes))
    assert found.arguments == {"pixdim": [1, 1, 1], "mode": "bilinear"}
    modes = step("Spacing", keys=["label", "image"], pixdim=[1, 1, 1], mode=["nearest"])
    with pytest.raises(ClassifierError, match="1 values of 'mode'"):
        written_steps(written(LOAD, modes))


REFUSALS = [
    (step("RandFlip", prob=0.5), ClassifierError, "random: it belongs to training"),
    (step("RandGaussianNoise"), ClassifierError, "random: it belongs to training"),
    ({"_target_": "OneOf", "transforms": []}, ClassifierError, "random"),
    ({"_target_": "monai.transforms.SomeOf", "transforms": []}, ClassifierError, "random"),
    ({"_target_": "RandomOrder", "transforms": []}, ClassifierError, "random"),
    (step("Lambda", func="x"), UntrustedCodeError, "runs code"),
    (step("TorchVision", name="ColorJitter"), UntrustedCodeError, "runs code"),
    (step("SaveImage"), ClassifierError, "writes files"),
    (step("GridSplit", grid=[2, 2]), ClassifierError, "several images"),
    (step("MaskIntensity", mask_key="label"), ClassifierError, "second item"),
    (step("ResampleToMatch", key_dst="label"), ClassifierError, "second item"),
    (step("ConcatItems", keys=["t1", "t2"], name="image"), ClassifierError, "second item"),
    (step("ConcatItems", keys=["image", "t2"], name="both"), ClassifierError, "second item"),
    (step("DeleteItems", keys=["image"]), ClassifierError, "removes or replaces"),
    (step("SelectItems", keys=["label"]), ClassifierError, "removes or replaces"),
    (step("CopyItems", keys=["label"], times=1, names=["image"]), ClassifierError, "removes or replaces"),
    (step("CropForeground", source_key="label"), ClassifierError, "another item"),
    (step("CropForeground", source_key="image", select_fn="x"), ClassifierError, "'select_fn'"),
    (step("ShiftIntensity", offset=1, factor_key="f"), ClassifierError, "'factor_key'"),
    (step("HistogramNormalize", mask_key="label"), ClassifierError, "'mask_key'"),
    (step("Affine", normalized=True), ClassifierError, "normalized"),
    (step("EnsureChannelFirst", channel_dim=0), ClassifierError, "channel_dim=0, expected None or"),
    (step("CastToType", dtype="uint8"), ClassifierError, "dtype=uint8, expected float32"),
    (step("EnsureType", dtype="np.int16"), ClassifierError, "dtype=np.int16"),
    (step("LoadImage", swap_ij=False), ClassifierError, "swap_ij=False"),
    (step("LoadImage", affine_lps_to_ras=False), ClassifierError, "affine_lps_to_ras=False"),
    (step("Spacing", pixdims=1), ClassifierError, "cannot be built"),
    (step("Zoom", zoom=1.2, mode={"_target_": "Resize"}), UntrustedCodeError, "would be built"),
    (step("Spacin", pixdim=1), UntrustedCodeError, "not one VoxCAM knows.*Spacing"),
    ({"_target_": "os.system", "command": "x"}, UntrustedCodeError, "not one VoxCAM knows"),
    ({"_target_": "evil.Spacing", "pixdim": 1}, UntrustedCodeError, "not one VoxCAM knows"),
    ({"_target_": "evil.Compose", "transforms": []}, UntrustedCodeError, "not one VoxCAM knows"),
    ({"_target_": 5}, ClassifierError, "_target_"),
    ("Spacing", ClassifierError, "_target_"),
    (written(overrides={"x": 1}), ClassifierError, "'overrides'"),
]


@pytest.mark.parametrize(("transform", "error", "says"), REFUSALS, ids=[says[:40] for _, _, says in REFUSALS])
def test_what_is_refused_is_refused_in_one_line(transform, error, says):
    with pytest.raises(error, match=says) as caught:
        build_preprocessing(written(LOAD, transform))
    assert type(caught.value) is error
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_every_refusal_says_why(name):
    with pytest.raises(ClassifierError, match=f"{name}d? of the preprocessing is refused: "):
        build_preprocessing(written(step(name, keys=["image"], name="image")))


LAZY = [
    ("Orientation", {"axcodes": "RAS"}),
    ("Spacing", {"pixdim": [1.5, 1.5, 1.5]}),
    ("CropForeground", {"source_key": "image", "margin": 4}),
    ("Rotate", {"angle": [0.1, 0, 0.2]}),
    ("Resize", {"spatial_size": [30, 31, 29], "mode": "trilinear"}),
    ("ScaleIntensity", {}),
    ("CenterSpatialCrop", {"roi_size": [25, 25, 25]}),
    ("Zoom", {"zoom": 1.1, "mode": "trilinear"}),
]


def test_lazy_steps_are_interpolated_once_as_monai_does():
    volume = blob(oblique(), np.array([21.3, 25.6, 15.4]))
    prepared = build_preprocessing(compose(*LAZY, lazy=True))
    assert [words.startswith("interpolated once: ") for words in prepared.steps] == [True, True, False, True]
    assert prepared.steps[1].count("(") == 3
    theirs = monai.transforms.Compose(
        [getattr(monai.transforms, f"{name}d")(keys=["image"], **arguments) for name, arguments in LAZY],
        lazy=True,
    )({"image": as_metatensor(volume)})["image"]
    ours = prepared(volume)
    torch.testing.assert_close(ours.image, theirs.as_tensor(), atol=1e-6, rtol=0)
    np.testing.assert_allclose(ours.geometry.affine, theirs.affine, atol=1e-9)


def test_eager_chains_are_what_monai_makes_of_the_dictionary_forms():
    volume = blob(oblique(), np.array([21.3, 25.6, 15.4]))
    theirs = monai.transforms.Compose(
        [getattr(monai.transforms, f"{name}d")(keys=["image"], **arguments) for name, arguments in LAZY]
    )({"image": as_metatensor(volume)})["image"]
    ours = build_preprocessing(compose(*LAZY))(volume)
    torch.testing.assert_close(ours.image, theirs.as_tensor(), atol=1e-6, rtol=0)
    np.testing.assert_allclose(ours.geometry.affine, theirs.affine, atol=1e-4)


@pytest.mark.parametrize(
    ("transforms", "joined"),
    [
        ([step("Flip", lazy=True), step("Flip", lazy=True)], [2]),
        ([step("Flip", lazy=True), step("Flip")], [1, 0]),
        ([step("Flip", lazy=True), step("EnsureType"), step("Flip", lazy=True)], [1, 1]),
        ([step("Flip", lazy=True), step("Flip", keys="label"), step("Flip", lazy=True)], [2]),
        ([step("Flip", lazy=True), step("ScaleIntensity"), step("Flip", lazy=True)], [1, 0, 1]),
    ],
)
def test_what_lies_between_lazy_steps_parts_them(transforms, joined):
    built = build_preprocessing(written(LOAD, *transforms))
    assert [len(each.written.joined) for each in built.transforms] == joined
