"""A bundle's preprocessing on a `Volume`: MONAI's transforms, the affine followed all the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from voxcam.core.geometry import LETTERS, Geometry
from voxcam.errors import ClassifierError
from voxcam.model.bundle import target_of
from voxcam.model.metatensor import as_metatensor

if TYPE_CHECKING:
    from collections.abc import Callable

    from voxcam.core.volume import Volume

# Of monai.transforms, without the "d" of the dictionary form: deterministic, plain arguments, affine kept.
TRANSFORMS = frozenset(
    [
        "BorderPad",
        "CenterScaleCrop",
        "CenterSpatialCrop",
        "ClipIntensityPercentiles",
        "CropForeground",
        "DivisiblePad",
        "GaussianSmooth",
        "HistogramNormalize",
        "NormalizeIntensity",
        "Orientation",
        "Resize",
        "ResizeWithPadOrCrop",
        "ScaleIntensity",
        "ScaleIntensityRange",
        "ScaleIntensityRangePercentiles",
        "Spacing",
        "SpatialCrop",
        "SpatialPad",
        "ThresholdIntensity",
    ]
)
# What our own reader has done already.
READING = frozenset(["LoadImage", "EnsureChannelFirst", "AddChannel", "EnsureType", "ToTensor", "CastToType"])


@dataclass(frozen=True, eq=False)
class Prepared:
    """The network's input.

    Parameters
    ----------
    image
        Shape (channels, i, j, k), float32.
    geometry
        Where its voxels lie.
    """

    image: torch.Tensor
    geometry: Geometry


@dataclass(frozen=True, eq=False)
class Preprocessing:
    """The steps from modality values to the network's input.

    Parameters
    ----------
    steps
        What each does, in words for the provenance.
    transforms
        MONAI transforms on a channel-first MetaTensor.
    """

    steps: tuple[str, ...]
    transforms: tuple[Callable[[Any], Any], ...]

    def __call__(self, volume: Volume) -> Prepared:
        """Return `volume` as the network wants it.

        Raises
        ------
        ClassifierError
            If the volume has more than one moment in time, is not finite, or a step fails on it.
        """
        image: Any = as_metatensor(volume)
        if not torch.isfinite(image).all():
            raise ClassifierError(
                "the volume holds values that are not finite: the classifier would answer NaN"
            )
        for step, transform in zip(self.steps, self.transforms, strict=True):
            try:
                image = transform(image)
            except Exception as error:
                reason = " ".join(str(error).split())[:200]
                raise ClassifierError(f"preprocessing step {step} failed on this volume: {reason}") from error
        return _prepared(image, volume)


def build_preprocessing(section: Any) -> Preprocessing:
    """Return the preprocessing of a bundle's ``preprocessing`` section; no section, no steps.

    Raises
    ------
    UntrustedCodeError
        If it names anything but a transform on the list.
    ClassifierError
        If a transform's arguments do not fit.
    """
    if section is None:
        return Preprocessing((), ())
    _, compose = target_of(section, {"Compose"}, "preprocessing")
    transforms, steps = [], []
    for entry in compose.get("transforms", []):
        name, arguments = target_of(entry, _names(), "transform")
        array_name = name if name in TRANSFORMS | READING else name[:-1]
        if array_name in READING:
            continue
        arguments.pop("keys", None)
        steps.append(f"{array_name}({', '.join(f'{k}={v}' for k, v in arguments.items())})")
        transforms.append(_built(array_name, arguments))
    return Preprocessing(tuple(steps), tuple(transforms))


def _names() -> frozenset[str]:
    both = TRANSFORMS | READING
    return both | {f"{name}d" for name in both}


def _built(name: str, arguments: dict[str, Any]) -> Callable[[Any], Any]:
    import monai.transforms

    if name == "Orientation":  # letters are of our RAS world, whatever MONAI's default becomes
        arguments.setdefault("labels", LETTERS)
    try:
        built: Callable[[Any], Any] = getattr(monai.transforms, name)(**arguments)
    except Exception as error:
        raise ClassifierError(f"transform {name} cannot be built from {arguments}: {error}") from error
    return built


def _prepared(image: Any, volume: Volume) -> Prepared:
    affine = np.asarray(image.affine, dtype=np.float64)
    shape = tuple(int(n) for n in image.shape[1:])
    geometry = Geometry((shape[0], shape[1], shape[2]), affine, volume.geometry.frame)
    return Prepared(image.as_tensor().to(torch.float32).contiguous(), geometry)
