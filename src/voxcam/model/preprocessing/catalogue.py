"""Every transform of MONAI: what it does to an image, or why a classifier's preprocessing may not have it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["reading", "intensity", "channel", "exact", "interpolating", "warping"]
Slices = Literal["together", "channel_wise", "one by one", "single"]


@dataclass(frozen=True)
class Entry:
    """What a transform does to an image.

    Parameters
    ----------
    kind
        ``reading``: nothing that our own reader has not done; ``intensity``: values, on the same grid;
        ``channel``: channels, on the same grid; ``exact``: voxels go elsewhere, none is changed;
        ``interpolating``: a new grid, an affine away; ``warping``: a new grid no affine can describe.
    slices
        How the slices of a volume go through it as 2D images. ``together``: as channels of one image, each
        of which it treats by itself; ``channel_wise``: so too if it is told to be channel-wise and an image
        has one channel; ``one by one``; ``single``: it treats each image differently, so one only.
    """

    kind: Kind
    slices: Slices = "together"


_READING = Entry("reading")
_VOXELWISE = Entry("intensity")
_STATISTICS = Entry("intensity", "channel_wise")
_WHOLE_IMAGE = Entry("intensity", "one by one")
_CHANNEL = Entry("channel", "one by one")
_EXACT = Entry("exact")
_INTERPOLATING = Entry("interpolating")

# Names as in MONAI's array form; the dictionary form adds "d", "D" or "Dict".
CATALOGUE: dict[str, Entry] = {
    "AddChannel": _READING,  # of old MONAI
    "ApplyPending": _READING,
    "AsChannelFirst": _READING,  # of old MONAI
    "CastToType": _READING,
    "CopyItems": _READING,
    "DataStats": _READING,
    "DeleteItems": _READING,
    "EnsureChannelFirst": _READING,
    "EnsureType": _READING,
    "FromMetaTensor": _READING,
    "Identity": _READING,
    "IntensityStats": _READING,
    "LoadImage": _READING,
    "Mark": _READING,
    "RangePop": _READING,
    "RangePush": _READING,
    "SelectItems": _READING,
    "SimulateDelay": _READING,
    "ToDevice": _READING,
    "ToMetaTensor": _READING,
    "ToNumpy": _READING,
    "ToTensor": _READING,
    "AdjustContrast": _WHOLE_IMAGE,
    "ClipIntensityPercentiles": _STATISTICS,
    "DetectEnvelope": _WHOLE_IMAGE,
    "ForegroundMask": _WHOLE_IMAGE,
    "GaussianSharpen": _VOXELWISE,
    "GaussianSmooth": _VOXELWISE,
    "HistogramNormalize": _WHOLE_IMAGE,
    "MedianSmooth": _VOXELWISE,
    "NormalizeIntensity": _STATISTICS,
    "SavitzkyGolaySmooth": _WHOLE_IMAGE,
    "ScaleIntensity": _STATISTICS,
    "ScaleIntensityFixedMean": _STATISTICS,
    "ScaleIntensityRange": _VOXELWISE,
    "ScaleIntensityRangePercentiles": _STATISTICS,
    "ShiftIntensity": _VOXELWISE,
    "StdShiftIntensity": _STATISTICS,
    "ThresholdIntensity": _VOXELWISE,
    "AddCoordinateChannels": _CHANNEL,
    "RemoveRepeatedChannel": _CHANNEL,
    "RepeatChannel": _CHANNEL,
    "BorderPad": _EXACT,
    "CenterScaleCrop": _EXACT,
    "CenterSpatialCrop": _EXACT,
    "CropForeground": Entry("exact", "single"),
    "DivisiblePad": _EXACT,
    "Flip": _EXACT,
    "Orientation": _EXACT,
    "ResizeWithPadOrCrop": _EXACT,
    "Rotate90": _EXACT,
    "SpatialCrop": _EXACT,
    "SpatialPad": _EXACT,
    "Transpose": _EXACT,
    "Affine": _INTERPOLATING,
    "Resize": _INTERPOLATING,
    "Rotate": _INTERPOLATING,
    "Spacing": _INTERPOLATING,
    "Zoom": _INTERPOLATING,
    "GridDistortion": Entry("warping"),
}

RANDOM = (
    "random: it belongs to training; a classifier must answer the same twice: leave it out of inference.json"
)
_CODE = "it runs code of its own, which VoxCAM never does: write its effect with other transforms"
_OUTPUT = "made for labels or a network's output, not for an image"
_OTHER_ITEM = "it needs a second item beside the image, and VoxCAM gives the classifier one volume"
_PATCHES = "it makes several images of one: windows are the inferer's work"
_AXES = "it changes which axis holds the channels, and the network needs (channels, i, j, k)"
_POINTS = "made for points or boxes, not for an image"
_SIGNAL = "made for signals in time, not for an image"
_BASE = "a building block of MONAI that does nothing by itself"
_ARTEFACT = "it adds an artefact on purpose: it belongs to training"
_FILES = "it writes files"

REFUSED: dict[str, str] = {
    "Activations": _OUTPUT,
    "AddExtremePointsChannel": _OTHER_ITEM,
    "AffineGrid": _BASE,
    "ApplyTransformToPoints": _POINTS,
    "AsChannelLast": _AXES,
    "AsDiscrete": _OUTPUT,
    "BatchInverseTransform": _OUTPUT,
    "BoundingRect": _OUTPUT,
    "ClassesToIndices": _OUTPUT,
    "ComputeHoVerMaps": _OUTPUT,
    "ConcatItems": _OTHER_ITEM,
    "ConvertBoxToPoints": _POINTS,
    "ConvertPointsToBoxes": _POINTS,
    "ConvertToMultiChannelBasedOnBratsClasses": _OUTPUT,
    "Crop": _BASE,
    "CuCIM": _CODE,
    "CutMix": RANDOM,
    "CutOut": RANDOM,
    "Decollate": _OUTPUT,
    "DistanceTransformEDT": _OUTPUT,
    "Ensemble": _OUTPUT,
    "FgBgToIndices": _OUTPUT,
    "FillHoles": _OUTPUT,
    "FlattenSequence": _PATCHES,
    "FlattenSubKeys": _OTHER_ITEM,
    "GenerateHeatmap": _POINTS,
    "GibbsNoise": _ARTEFACT,
    "GridPatch": _PATCHES,
    "GridSplit": _PATCHES,
    "ImageFilter": "its kernel may be any code, and even kernels move the image by half a voxel",
    "IntensityRemap": RANDOM,
    "Invert": _OUTPUT,
    "InvertibleTransform": _BASE,
    "KSpaceSpikeNoise": _ARTEFACT,
    "KeepLargestConnectedComponent": _OUTPUT,
    "LabelFilter": _OUTPUT,
    "LabelToContour": _OUTPUT,
    "LabelToMask": _OUTPUT,
    "Lambda": _CODE,
    "LazyTransform": _BASE,
    "MapLabelValue": _OUTPUT,
    "MapTransform": _BASE,
    "MaskIntensity": _OTHER_ITEM,
    "MeanEnsemble": _OUTPUT,
    "MixUp": RANDOM,
    "OneOf": RANDOM,
    "Pad": _BASE,
    "PadListDataCollate": _OUTPUT,
    "ProbNMS": _OUTPUT,
    "RandomOrder": RANDOM,
    "RandomizableTransform": _BASE,
    "RemoveSmallObjects": _OUTPUT,
    "Resample": _BASE,
    "ResampleToMatch": _OTHER_ITEM,
    "SaveClassification": _FILES,
    "SaveImage": _FILES,
    "SignalContinuousWavelet": _SIGNAL,
    "SignalFillEmpty": _SIGNAL,
    "SignalRemoveFrequency": _SIGNAL,
    "SobelGradients": _OUTPUT,
    "SomeOf": RANDOM,
    "SpatialResample": _OTHER_ITEM,
    "SplitDim": _PATCHES,
    "SqueezeDim": _AXES,
    "ToCupy": "it needs a library of its own: leave it out, VoxCAM moves the image to the device",
    "ToPIL": "it makes 8-bit pictures: values would be lost",
    "TorchIO": _CODE,
    "TorchVision": _CODE,
    "TraceableTransform": _BASE,
    "Transform": _BASE,
    "TransformPointsImageToWorld": _POINTS,
    "TransformPointsWorldToImage": _POINTS,
    "UltrasoundConfidenceMapTransform": "its result is a map of confidence, not the image",
    "VoteEnsemble": _OUTPUT,
    "WriteFileMapping": _FILES,
}


def array_form(name: str) -> str | None:
    """Return the name of a transform's array form; None if MONAI 1.6.1 and before have no such transform.

    What is called random stays as it is written.
    """
    for ending in ("", "d", "D", "Dict"):
        stem = name.removesuffix(ending)
        if name.endswith(ending) and (stem in CATALOGUE or stem in REFUSED or _is_random(stem)):
            return stem
    return None


def refusal(name: str) -> str | None:
    """Return why the transform of this array form is refused; None if it is in the catalogue."""
    return RANDOM if _is_random(name) else REFUSED.get(name)


def _is_random(name: str) -> bool:
    return name.startswith(("Rand", "SignalRand")) and name not in REFUSED
