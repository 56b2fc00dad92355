"""What is kept of a DICOM file's header, one entry an image, or why the file is left out."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from voxcam.io.dicom.attributes import OVERLAYS, WANTED, Attributes
from voxcam.io.dicom.dimensions import marks_of
from voxcam.io.dicom.elements import walk
from voxcam.io.dicom.kinds import NO_IMAGE, apart_of, kind_of
from voxcam.io.dicom.soundness import stored_of
from voxcam.io.dicom.sources import Damaged
from voxcam.io.dicom.spacing import pixel_spacing
from voxcam.io.dicom.windows import window_pairs
from voxcam.io.left_out import LeftOut

if TYPE_CHECKING:
    from pathlib import Path

    from voxcam.core.windows import Window
    from voxcam.io.dicom.attributes import Vector
    from voxcam.io.dicom.dimensions import Mark
    from voxcam.io.dicom.kinds import Kind
    from voxcam.io.dicom.stored import Stored

# Defined terms of PS3.3 C.11.1.1.2 and C.8.9.1.1.3; other text is not kept.
_RESCALE_TYPES = ("OD", "HU", "US", "MGML", "Z_EFF", "ED", "EDW", "HU_MOD", "PCT")
_PET_UNITS = (
    *("CNTS", "NONE", "CM2", "CM2ML", "PCNT", "CPS", "BQML", "MGMINML", "UMOLMINML", "MLMING", "MLG"),
    *("1CM", "UMOLML", "PROPCNTS", "PROPCPS", "MLMINML", "MLML", "GML", "STDDEV"),
)
# Attributes that need more than a look at the top level of the file.
_NESTED = (
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    "VOILUTSequence",
    "SequenceOfUltrasoundRegions",
    "DetectorInformationSequence",
    "GridFrameOffsetVector",
)


@dataclass(frozen=True, slots=True)
class Header:
    """One image: a file, or a frame or tile of one. Names after PS3.3; ``None`` where absent or not a number.

    `spacing_mm` is (between rows, between columns); `orientation` is the direction of growing column
    index, then of growing row index; `position` is the centre of the first pixel: all LPS, mm. `frame`
    counts from 0; `tile` is the (row, column) in the frame at which a mosaic's image begins. `marks` may
    tell it apart from others at its place (`dimensions.SPLITTERS`).
    """

    file: Path = field(repr=False)
    stored: Stored = field(repr=False)
    kind: Kind
    series_uid: str = field(repr=False)
    study_uid: str = field(repr=False)
    instance_uid: str = field(repr=False)
    frame_of_reference: str = field(repr=False)
    patient: str = field(repr=False)
    description: str = field(repr=False)
    modality: str
    body_part: str
    series_number: int | None
    instance_number: int | None
    rows: int
    columns: int
    apart: str
    orientation: Vector | None
    position: Vector | None
    spacing_mm: Vector | None
    spacing_from: str
    thickness_mm: float | None
    between_slices_mm: float | None
    patient_orientation: tuple[str, ...]
    slope: float | None
    intercept: float | None
    has_modality_lut: bool
    rescale_type: str
    units: str
    padding: float | None
    padding_limit: float | None
    windows: tuple[Window, ...]
    inverted: bool
    has_overlays: bool
    burned_in: bool
    marks: tuple[Mark, ...] = field(repr=False)
    frame: int = 0
    frame_time_ms: float | None = None
    tile: tuple[int, int] | None = None
    stack: str = ""

    @property
    def placed(self) -> bool:
        """Whether the file says where the image lies in the patient."""
        return self.orientation is not None and self.position is not None

    @property
    def is_colour(self) -> bool:
        """Whether its pixels are red, green and blue, once read."""
        return not self.stored.photometric.startswith("MONOCHROME")


def recognises(path: Path, head: bytes) -> bool:
    """Whether the first bytes are DICOM's: the magic at 128, or a data set that begins with group 2 or 8."""
    if head[128:132] == b"DICM":
        return True
    if len(head) < 8 or head[:2] not in (b"\x08\x00", b"\x02\x00", b"\x00\x08", b"\x00\x02"):
        return False
    element = struct.unpack("<H" if head[1] == 0 else ">H", head[2:4])[0]
    return element <= 0x0070 and (head[4:6].isalpha() or struct.unpack("<I", head[4:8])[0] < 0x400)


def read_header(path: Path) -> tuple[Header, ...] | LeftOut:
    """Return what is kept of each image in the file, or why it is left out. Never raises."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        try:
            return _headers(path, descriptor)
        finally:
            os.close(descriptor)
    except OSError:
        return LeftOut("the file cannot be opened or read", refused=True)
    except Damaged as damage:
        return _left_out(damage)
    except Exception:
        return LeftOut("damaged DICOM header", refused=True)


def _left_out(damage: Damaged) -> LeftOut:
    """Return why a damaged file is left out; no image at all may be what it was, as far as it can be read."""
    if damage.met is None or not damage.met.values:
        return LeftOut(str(damage), refused=True)
    attributes = Attributes(damage.met)
    kind = kind_of(attributes)
    if isinstance(kind, LeftOut) and not kind.refused and kind.reason != NO_IMAGE:
        return kind
    uid = attributes.text("SeriesInstanceUID")
    return LeftOut(str(damage), refused=True, series_uid=uid, damaged=True)


def _headers(path: Path, descriptor: int) -> tuple[Header, ...] | LeftOut:
    status = os.fstat(descriptor)
    elements = walk(descriptor, status.st_size, WANTED)
    attributes = Attributes(elements)
    kind = kind_of(attributes)
    if isinstance(kind, LeftOut):
        return kind
    uid = attributes.text("SeriesInstanceUID")
    stored = stored_of(attributes, elements, status, kind)
    if isinstance(stored, LeftOut):
        return replace(stored, series_uid=uid)
    try:
        return _images(_header(path, attributes, stored, kind), attributes)
    except Damaged as damage:
        return LeftOut(str(damage), refused=True, series_uid=uid, damaged=True)
    except Exception:
        # In sequences pydicom raises a dozen kinds of error; what they quote may identify.
        return LeftOut("damaged DICOM header", refused=True, series_uid=uid, damaged=True)


def _images(header: Header, attributes: Attributes) -> tuple[Header, ...]:
    """Return the images of the file: one, unless it has frames, tiles, or says more in sequences."""
    mosaic = "MOSAIC" in attributes.codes("ImageType")
    nested = mosaic or header.kind == "structures" or any(name in attributes for name in _NESTED)
    if header.stored.frames == 1 and not nested:
        return (header,)
    from voxcam.io.dicom.frames import frames_of

    return frames_of(header, attributes)


def _header(path: Path, attributes: Attributes, stored: Stored, kind: Kind) -> Header:
    spacing, spacing_from = pixel_spacing(attributes)
    modality = attributes.code("Modality")
    return Header(
        file=path,
        stored=stored,
        kind=kind,
        series_uid=attributes.text("SeriesInstanceUID"),
        study_uid=attributes.text("StudyInstanceUID"),
        instance_uid=attributes.text("SOPInstanceUID") or attributes.text("MediaStorageSOPInstanceUID"),
        frame_of_reference=attributes.text("FrameOfReferenceUID"),
        patient=attributes.fingerprint("PatientID", "PatientName"),
        description=attributes.free_text("SeriesDescription"),
        modality=modality,
        body_part=attributes.code("BodyPartExamined"),
        series_number=attributes.whole("SeriesNumber"),
        instance_number=attributes.whole("InstanceNumber"),
        rows=stored.rows,
        columns=stored.columns,
        apart=apart_of(attributes),
        orientation=attributes.numbers("ImageOrientationPatient", 6),
        position=attributes.numbers("ImagePositionPatient", 3),
        spacing_mm=spacing,
        spacing_from=spacing_from,
        thickness_mm=attributes.number("SliceThickness"),
        between_slices_mm=attributes.number("SpacingBetweenSlices"),
        patient_orientation=_biped_orientation(attributes),
        slope=_rescale(attributes, "DoseGridScaling" if kind == "dose" else "RescaleSlope"),
        intercept=_rescale(attributes, "RescaleIntercept"),
        has_modality_lut="ModalityLUTSequence" in attributes,
        rescale_type=attributes.term("RescaleType", _RESCALE_TYPES),
        units="Gy" if attributes.code("DoseUnits") == "GY" else attributes.term("Units", _PET_UNITS),
        padding=attributes.number("PixelPaddingValue"),
        padding_limit=attributes.number("PixelPaddingRangeLimit"),
        windows=_windows(attributes),
        inverted=_inverted(attributes),
        has_overlays=any(name in attributes for name in OVERLAYS),
        burned_in=attributes.code("BurnedInAnnotation") == "YES",
        marks=marks_of(attributes),
        frame_time_ms=attributes.number("FrameTime"),
    )


def _rescale(attributes: Attributes, keyword: str) -> float | None:
    """Return slope or intercept; one that is there but no number would make every value wrong.

    Raises
    ------
    Damaged
        It is none.
    """
    number = attributes.number(keyword)
    if number is None and attributes.text(keyword):
        raise Damaged("its rescale slope or intercept is not a number: export the series again")
    return number


def _inverted(attributes: Attributes) -> bool:
    """Whether low values are bright: MONOCHROME1.

    A PresentationLUTShape of INVERSE goes with MONOCHROME1 and says the same (PS3.3 C.8.11.3.1.2): taking
    both would turn the picture twice.
    """
    return attributes.code("PhotometricInterpretation") == "MONOCHROME1"


def _windows(attributes: Attributes) -> tuple[Window, ...]:
    centres = attributes.all_numbers("WindowCenter")
    if not centres:
        return ()
    names = attributes.text("WindowCenterWidthExplanation").split("\\")
    widths = attributes.all_numbers("WindowWidth")
    return window_pairs(centres, widths, tuple(names), attributes.code("VOILUTFunction"))


def _biped_orientation(attributes: Attributes) -> tuple[str, ...]:
    """PatientOrientation; none of a quadruped (0010,2210), whose letters mean other directions."""
    quadruped = "QUADRUPED" in attributes.codes("AnatomicalOrientationType")
    return () if quadruped else attributes.codes("PatientOrientation")
