"""The images of a file that holds several, or says more of one in sequences: frames, tiles, regions.

Enhanced CT, MR and PET state geometry, values and dimensions for each frame in functional groups (PS3.3
C.7.6.16); a Siemens mosaic lays the slices of a volume side by side in one; ultrasound, angiography and
nuclear medicine count frames in time or space. pydicom reads the sequences, after the file was walked.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydicom import dcmread
from pydicom.dataset import Dataset

from voxcam.io.dicom.mosaic import tiles_of
from voxcam.io.dicom.sources import Damaged
from voxcam.io.dicom.spacing import NONE, positive
from voxcam.io.dicom.windows import windows_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voxcam.io.dicom.attributes import Attributes, Vector
    from voxcam.io.dicom.headers import Header

_CENTIMETRES = 3  # PhysicalUnitsXDirection (0018,6024), PS3.3 C.8.5.5.1.15
_MM = {_CENTIMETRES: 10.0}
_SLICE_VECTOR, _TIME_SLOT, _OFFSETS = 0x00540080, 0x00540070, 0x3004000C
# Marks of `dimensions.SPLITTERS` that functional groups state, by index there.
_TIME_INDEX, _DIFFUSION, _ECHO, _TRIGGER_DELAY = 1, 2, 3, 6
DIMENSION = 13  # of a segmentation, the segment


def frames_of(header: Header, attributes: Attributes) -> tuple[Header, ...]:
    """Return one header for each image of the file.

    Raises
    ------
    Damaged
        The groups do not fit the number of frames.
    """
    dataset = _dataset(header)
    if header.kind == "structures":
        return (_structures(header, dataset),)
    header = replace(header, windows=windows_of(dataset))
    if "PerFrameFunctionalGroupsSequence" in attributes or "SharedFunctionalGroupsSequence" in attributes:
        return tuple(_enhanced(header, dataset))
    if "MOSAIC" in attributes.codes("ImageType"):
        return tiles_of(header, dataset)
    header = _region_spacing(header, dataset)
    if header.stored.frames == 1:
        return (header,)
    return tuple(_classic(header, dataset, attributes))


def _structures(header: Header, dataset: Dataset) -> Header:
    """Return the header with the frame of reference and, in `stack`, the series it was drawn on."""
    reference = _item(dataset, "ReferencedFrameOfReferenceSequence")
    study = _item(reference, "RTReferencedStudySequence")
    images = _item(study, "RTReferencedSeriesSequence")
    return replace(
        header,
        frame_of_reference=str(reference.get("FrameOfReferenceUID", "")),
        stack=str(images.get("SeriesInstanceUID", "")),
    )


def _dataset(header: Header) -> Dataset:
    if header.stored.deflated:
        from voxcam.io.dicom.inflating import inflated_dataset

        return inflated_dataset(header.file)
    return dcmread(header.file, stop_before_pixels=True, force=True)


def _enhanced(header: Header, dataset: Dataset) -> Iterator[Header]:
    shared = _item(dataset, "SharedFunctionalGroupsSequence")
    groups = dataset.get("PerFrameFunctionalGroupsSequence") or [Dataset()] * header.stored.frames
    if len(groups) != header.stored.frames:
        raise Damaged(f"it states {header.stored.frames} frames and describes {len(groups)}: export it again")
    split = _free_dimension(dataset)
    for number, group in enumerate(groups):
        yield _framed(header, group, shared, number, split)


def _framed(header: Header, own: Dataset, shared: Dataset, number: int, split: int | None) -> Header:
    """Return the header of one frame: what its own group says goes before the shared one."""

    def said(sequence: str) -> Dataset:
        return _item(own, sequence) if sequence in own else _item(shared, sequence)

    measures, values = said("PixelMeasuresSequence"), said("PixelValueTransformationSequence")
    content, windows = said("FrameContentSequence"), said("FrameVOILUTSequence")
    # What a parametric map's numbers mean is stated as a real world value, PS3.3 C.7.6.16.2.11.
    world = said("RealWorldValueMappingSequence") if header.kind == "parametric map" else Dataset()
    spacing = positive(_numbers(measures, "PixelSpacing", 2)) or header.spacing_mm
    return replace(
        header,
        frame=number,
        instance_number=number + 1,
        position=_numbers(said("PlanePositionSequence"), "ImagePositionPatient", 3) or header.position,
        orientation=_numbers(said("PlaneOrientationSequence"), "ImageOrientationPatient", 6)
        or header.orientation,
        spacing_mm=spacing,
        spacing_from="PixelSpacing" if "PixelSpacing" in measures else header.spacing_from,
        thickness_mm=_number(measures, "SliceThickness") or header.thickness_mm,
        between_slices_mm=_number(measures, "SpacingBetweenSlices") or header.between_slices_mm,
        slope=_either(_number(world, "RealWorldValueSlope"), _number(values, "RescaleSlope"), header.slope),
        intercept=_either(
            _number(world, "RealWorldValueIntercept"), _number(values, "RescaleIntercept"), header.intercept
        ),
        rescale_type=str(values.get("RescaleType", ""))[:16].strip().upper() and _rescale_type(values),
        windows=windows_of(windows, signed=(header.intercept or 0) < 0) or header.windows,
        stack=str(content.get("StackID", ""))[:16],
        marks=_marks(header, said, content, split),
    )


def _rescale_type(values: Dataset) -> str:
    stated = str(values.RescaleType).strip().upper()
    return stated if stated in ("HU", "US", "OD", "HU_MOD", "ED", "EDW", "Z_EFF", "MGML", "PCT") else "other"


def _marks(header: Header, said: Any, content: Dataset, split: int | None) -> tuple[Any, ...]:
    """Return the header's marks with what the frame's groups state in their place."""
    marks = list(header.marks)
    diffusion, echo = said("MRDiffusionSequence"), said("MREchoSequence")
    heart, time = said("CardiacSynchronizationSequence"), said("TemporalPositionSequence")
    b = _number(diffusion, "DiffusionBValue")
    gradient = _numbers(
        _item(diffusion, "DiffusionGradientDirectionSequence"), "DiffusionGradientOrientation", 3
    )
    segment = _number(said("SegmentIdentificationSequence"), "ReferencedSegmentNumber")
    stated = {
        _TIME_INDEX: _either(
            _number(content, "TemporalPositionIndex"), _number(time, "TemporalPositionTimeOffset")
        ),
        _DIFFUSION: None if b is None else (b, *(gradient or ())),
        _ECHO: _number(echo, "EffectiveEchoTime"),
        _TRIGGER_DELAY: _number(heart, "NominalCardiacTriggerDelayTime"),
        DIMENSION: segment if segment is not None else _dimension(content, split),
    }
    for index, value in stated.items():
        marks[index] = value if value is not None else marks[index]
    return tuple(marks)


def _free_dimension(dataset: Dataset) -> int | None:
    """Return which dimension index counts neither stacks nor positions; None if not just one does."""
    spatial = {0x00209056, 0x00209057, 0x00200032, 0x00201041, 0x00209113}
    pointers = [
        int(item.get("DimensionIndexPointer", 0) or 0) for item in _items(dataset, "DimensionIndexSequence")
    ]
    free = [place for place, pointer in enumerate(pointers) if pointer not in spatial]
    return free[0] if len(free) == 1 else None


def _dimension(content: Dataset, split: int | None) -> float | None:
    values = content.get("DimensionIndexValues")
    indices = [values] if isinstance(values, int) else list(values or ())
    return float(indices[split]) if split is not None and split < len(indices) else None


def _classic(header: Header, dataset: Dataset, attributes: Attributes) -> Iterator[Header]:
    """Frames of a file without functional groups: slices where it says so, else moments at one place.

    Nothing is made up: without offsets or a slice vector frames do not become depth.
    """
    offsets = attributes.all_numbers("GridFrameOffsetVector")
    slices = _vector(dataset, "SliceVector", header.stored.frames)
    first = _nuclear(header, dataset)
    for number in range(header.stored.frames):
        place = header.position
        if header.placed and len(offsets) == header.stored.frames:
            place = _dose_place(header, offsets, number)
        elif first is not None and slices and header.between_slices_mm:
            place = _along(first, (slices[number] - 1) * header.between_slices_mm)
        base = header if first is None or not slices else first
        yield replace(base, frame=number, instance_number=number + 1, position=place)


def _dose_place(header: Header, offsets: Vector, number: int) -> Vector | None:
    """Return where a frame lies: an offset along the normal or, if the first is not 0, z; C.8.8.3.2."""
    if offsets[0] == 0 or header.position is None:
        return _along(header, offsets[number])
    return (*header.position[:2], header.position[2] + offsets[number] - offsets[0])


def _nuclear(header: Header, dataset: Dataset) -> Header | None:
    """Return the header with the place of the first detector, where nuclear medicine states one; C.8.4.11."""
    detector = _item(dataset, "DetectorInformationSequence")
    orientation = _numbers(detector, "ImageOrientationPatient", 6)
    position = _numbers(detector, "ImagePositionPatient", 3)
    if orientation is None or position is None:
        return None
    return replace(header, orientation=orientation, position=position)


def _along(header: Header, distance_mm: float) -> Vector | None:
    if header.orientation is None or header.position is None:
        return None
    normal = _cross(header.orientation[:3], header.orientation[3:])
    return tuple(p + n * distance_mm for p, n in zip(header.position, normal, strict=True))


def _cross(a: Vector, b: Vector) -> Vector:
    return (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])


def _vector(dataset: Dataset, keyword: str, count: int) -> list[int]:
    value = dataset.get(keyword)
    found = [int(v) for v in ([value] if isinstance(value, int) else value or ())]
    return found if len(found) == count else []


def _region_spacing(header: Header, dataset: Dataset) -> Header:
    """Return the header with the pixel size of its calibrated ultrasound regions, if they agree; C.8.5.5."""
    if header.spacing_from != NONE:
        return header
    sizes = {
        (
            abs(float(region.PhysicalDeltaY)) * _MM[_CENTIMETRES],
            abs(float(region.PhysicalDeltaX)) * _MM[_CENTIMETRES],
        )
        for region in _items(dataset, "SequenceOfUltrasoundRegions")
        if region.get("PhysicalUnitsXDirection") == region.get("PhysicalUnitsYDirection") == _CENTIMETRES
        and "PhysicalDeltaX" in region
        and "PhysicalDeltaY" in region
    }
    size = positive(next(iter(sizes))) if len(sizes) == 1 else None
    return header if size is None else replace(header, spacing_mm=size, spacing_from="ultrasound region")


def _items(dataset: Dataset, keyword: str) -> list[Dataset]:
    return list(dataset.get(keyword) or ())


def _item(dataset: Dataset, keyword: str) -> Dataset:
    """Return the first item of a sequence, an empty one if there is none."""
    return next(iter(_items(dataset, keyword)), None) or Dataset()


def _numbers(dataset: Dataset, keyword: str, count: int) -> Vector | None:
    value = dataset.get(keyword)
    try:
        found = tuple(float(v) for v in ([value] if isinstance(value, (str, int, float)) else value or ()))
    except (TypeError, ValueError):
        return None
    return found if len(found) == count and all(map(math.isfinite, found)) else None


def _number(dataset: Dataset, keyword: str) -> float | None:
    numbers = _numbers(dataset, keyword, 1)
    return numbers[0] if numbers else None


def _either(*numbers: float | None) -> float | None:
    return next((number for number in numbers if number is not None), None)
