"""What is kept of a DICOM file's header, or why the file is left out."""

from __future__ import annotations

import math
import os
import re
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

from pydicom import dcmread
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian

from voxcam.io.dicom.windows import windows_of
from voxcam.io.identity import salted
from voxcam.io.left_out import LeftOut

if TYPE_CHECKING:
    from pathlib import Path

    from pydicom.dataset import Dataset

    from voxcam.core.windows import Window

Vector = tuple[float, ...]

# By Modality (0008,0060): what is not an image to look at. Their SOP classes may hold rows and pixels.
NOT_IMAGES = {
    "AU": "audio",
    "DOC": "document",
    "ECG": "waveform",
    "EPS": "waveform",
    "HD": "waveform",
    "KO": "key object selection (KO)",
    "M3D": "model for printing (M3D)",
    "PLAN": "plan",
    "PR": "presentation state (PR)",
    "REG": "registration (REG)",
    "RESP": "waveform",
    "RTDOSE": "radiotherapy dose (RTDOSE)",
    "RTPLAN": "radiotherapy plan (RTPLAN)",
    "RTRECORD": "radiotherapy record (RTRECORD)",
    "RTSTRUCT": "radiotherapy structure set (RTSTRUCT)",
    "RWV": "real world value map (RWV)",
    "SEG": "segmentation (SEG)",
    "SR": "structured report (SR)",
}
# By SOP class, where modality does not tell.
_NOT_IMAGE_CLASSES = {
    "1.2.840.10008.1.3.10": "index of a medium (DICOMDIR)",
    "1.2.840.10008.5.1.4.1.1.30": "parametric map",
    "1.2.840.10008.5.1.4.1.1.66": "raw measurements",
    "1.2.840.10008.5.1.4.1.1.104.1": "document (PDF)",
}
# Values of ImageType (0008,0008), beyond the second, that set images of one series apart: scouts and
# screens; projections; magnitude, phase, real, imaginary.
SCOUTS = ("LOCALIZER", "REF_SURVIEW", "PATIENT_INFO", "DOSE_INFO")
_APART = (*SCOUTS, "SCREEN SAVE", "MIP", "M", "P", "R", "I")
# Defined terms of PS3.3 C.11.1.1.2 and C.8.9.1.1.3; other text is not kept.
_RESCALE_TYPES = ("OD", "HU", "US", "MGML", "Z_EFF", "ED", "EDW", "HU_MOD", "PCT")
_PET_UNITS = (
    *("CNTS", "NONE", "CM2", "CM2ML", "PCNT", "CPS", "BQML", "MGMINML", "UMOLMINML", "MLMING", "MLG"),
    *("1CM", "UMOLML", "PROPCNTS", "PROPCPS", "MLMINML", "MLML", "GML", "STDDEV"),
)
_UNDEFINED_LENGTH = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Header:
    """One single-frame grey image. Names after PS3.3; ``None`` where absent or not a number.

    `spacing_mm` is (between rows, between columns); `orientation` is the direction of growing column
    index, then of growing row index; `position` is the centre of the first pixel: all LPS, mm.
    """

    file: Path = field(repr=False)
    series_uid: str = field(repr=False)
    study_uid: str = field(repr=False)
    instance_uid: str = field(repr=False)
    frame_of_reference: str = field(repr=False)
    patient: str = field(repr=False)
    description: str = field(repr=False)
    modality: str
    series_number: int | None
    instance_number: int | None
    rows: int
    columns: int
    signed: bool
    photometric: str
    apart: str
    orientation: Vector | None
    position: Vector | None
    spacing_mm: Vector | None
    detector_spacing_mm: Vector | None
    calibration: str
    thickness_mm: float | None
    between_slices_mm: float | None
    patient_orientation: tuple[str, ...]
    slope: float | None
    intercept: float | None
    has_modality_lut: bool
    has_voi_lut: bool
    rescale_type: str
    units: str
    padding: float | None
    windows: tuple[Window, ...]
    transfer_syntax: str

    @property
    def placed(self) -> bool:
        """Whether the file says where the image lies in the patient."""
        return self.orientation is not None and self.position is not None


def recognises(path: Path, head: bytes) -> bool:
    """Whether the first bytes are DICOM's: the magic at 128, or a data set that begins with group 2 or 8."""
    if head[128:132] == b"DICM":
        return True
    if len(head) < 8 or head[:2] not in (b"\x08\x00", b"\x02\x00", b"\x00\x08", b"\x00\x02"):
        return False
    element = struct.unpack("<H" if head[1] == 0 else ">H", head[2:4])[0]
    return element <= 0x0070 and (head[4:6].isalpha() or struct.unpack("<I", head[4:8])[0] < 0x400)


def read_header(path: Path) -> Header | LeftOut:
    """Return what is kept of the file, without its pixels, or why it is left out. Never raises."""
    try:
        with path.open("rb") as stream:
            dataset = dcmread(stream, stop_before_pixels=True, force=True)
            pixel_bytes = _pixel_bytes(stream, dataset)
        return _reason(dataset, pixel_bytes) or _header(path, dataset)
    except OSError:
        return LeftOut("the file cannot be opened or read", refused=True)
    except Exception:
        # pydicom raises a dozen kinds of error on broken headers; what they quote may identify.
        return LeftOut("damaged DICOM header", refused=True)


def _reason(dataset: Dataset, pixel_bytes: int | None) -> LeftOut | None:
    """Return why the file is not a single-frame grey image, or None if it is."""
    meta = dataset.file_meta
    sop_class = _text(dataset, "SOPClassUID") or str(meta.get("MediaStorageSOPClassUID", ""))
    other = NOT_IMAGES.get(_code(dataset, "Modality")) or _NOT_IMAGE_CLASSES.get(sop_class)
    if other:
        return LeftOut(other)
    if len(dataset) < 3:
        return LeftOut("damaged DICOM header", refused=True)
    rows, columns = _whole(dataset, "Rows"), _whole(dataset, "Columns")
    if not rows or not columns:
        return LeftOut("DICOM without an image")
    uid = _text(dataset, "SeriesInstanceUID")
    if refusal := _unsupported(dataset):
        return LeftOut(refusal, refused=True, series_uid=uid)
    if loss := _cut_short(dataset, rows * columns, pixel_bytes):
        return LeftOut(loss, refused=True, series_uid=uid, damaged=True)
    return None


def _unsupported(dataset: Dataset) -> str:
    frames = _text(dataset, "NumberOfFrames")
    if frames not in ("", "1") or "PerFrameFunctionalGroupsSequence" in dataset:
        return "multi-frame image, not supported yet: export the series as single-frame images"
    photometric = _code(dataset, "PhotometricInterpretation") or "MONOCHROME2"
    if (_whole(dataset, "SamplesPerPixel") or 1) > 1 or not photometric.startswith("MONOCHROME"):
        return "colour image: only grey images are read"
    if "MOSAIC" in _codes(dataset, "ImageType"):
        return "Siemens mosaic, not supported yet: export the series as one image a slice"
    if _whole(dataset, "BitsAllocated") not in (8, 16, 32):
        return "pixels are not of 8, 16 or 32 bits"
    return ""


def _cut_short(dataset: Dataset, pixels: int, pixel_bytes: int | None) -> str:
    if pixel_bytes is None:
        return "no pixel data: only a header, or the file was cut short"
    if pixel_bytes < pixels * (_whole(dataset, "BitsAllocated") or 0) // 8:
        return "pixel data cut short: copy the file again"
    return ""


def _pixel_bytes(stream: BinaryIO, dataset: Dataset) -> int | None:
    """Return how many bytes of pixel data the file really holds, None if no such element begins here.

    `dcmread` stops in front of (7FE0,0010). Compressed pixels count as enough: their decoder will tell.
    """
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    if syntax == DeflatedExplicitVRLittleEndian:
        return _UNDEFINED_LENGTH
    start = stream.read(12)
    order = ">" if syntax == ExplicitVRBigEndian or start[:1] == b"\x7f" else "<"
    if len(start) < 12 or struct.unpack(order + "HH", start[:4]) != (0x7FE0, 0x0010):
        return None
    explicit = start[4:6] in (b"OB", b"OW", b"UN")
    length = struct.unpack(order + "I", start[8:12] if explicit else start[4:8])[0]
    if length == _UNDEFINED_LENGTH:
        return _UNDEFINED_LENGTH if _reaches_its_end(stream) else 0
    here = stream.tell() if explicit else stream.tell() - 4
    return min(int(length), os.fstat(stream.fileno()).st_size - here)


def _reaches_its_end(stream: BinaryIO) -> bool:
    """Whether encapsulated pixels run to their sequence delimiter (FFFE,E0DD); PS3.5 A.4.

    Skips from item to item: nothing is decoded. What is no item at all is left to the decoder.
    """
    size = os.fstat(stream.fileno()).st_size
    while len(item := stream.read(8)) == 8:
        group, element, length = struct.unpack("<HHI", item)
        if (group, element) != (0xFFFE, 0xE000):
            return True
        if stream.tell() + length > size:
            return False
        stream.seek(length, os.SEEK_CUR)
    return False


def _header(path: Path, dataset: Dataset) -> Header:
    meta = dataset.file_meta
    spacing = _positive(_numbers(dataset, "PixelSpacing", 2))
    intercept, slope = _number(dataset, "RescaleIntercept"), _number(dataset, "RescaleSlope")
    return Header(
        file=path,
        series_uid=_text(dataset, "SeriesInstanceUID"),
        study_uid=_text(dataset, "StudyInstanceUID"),
        instance_uid=_text(dataset, "SOPInstanceUID") or str(meta.get("MediaStorageSOPInstanceUID", "")),
        frame_of_reference=_text(dataset, "FrameOfReferenceUID"),
        patient=salted([_text(dataset, "PatientID"), _text(dataset, "PatientName")]),
        description=_text(dataset, "SeriesDescription"),
        modality=_code(dataset, "Modality"),
        series_number=_whole(dataset, "SeriesNumber"),
        instance_number=_whole(dataset, "InstanceNumber"),
        rows=_whole(dataset, "Rows") or 0,
        columns=_whole(dataset, "Columns") or 0,
        signed=_whole(dataset, "PixelRepresentation") == 1,
        photometric=_code(dataset, "PhotometricInterpretation") or "MONOCHROME2",
        apart=_apart(_codes(dataset, "ImageType")),
        orientation=_numbers(dataset, "ImageOrientationPatient", 6),
        position=_numbers(dataset, "ImagePositionPatient", 3),
        spacing_mm=spacing,
        detector_spacing_mm=_positive(_numbers(dataset, "ImagerPixelSpacing", 2)),
        calibration=_term(dataset, "PixelSpacingCalibrationType", ("GEOMETRY", "FIDUCIAL")),
        thickness_mm=_number(dataset, "SliceThickness"),
        between_slices_mm=_number(dataset, "SpacingBetweenSlices"),
        patient_orientation=_biped_orientation(dataset),
        slope=slope,
        intercept=intercept,
        has_modality_lut="ModalityLUTSequence" in dataset,
        has_voi_lut="VOILUTSequence" in dataset,
        rescale_type=_term(dataset, "RescaleType", _RESCALE_TYPES),
        units=_term(dataset, "Units", _PET_UNITS),
        padding=_number(dataset, "PixelPaddingValue"),
        windows=windows_of(dataset),
        transfer_syntax=_syntax_name(meta.get("TransferSyntaxUID")),
    )


def _apart(image_type: tuple[str, ...]) -> str:
    return " ".join(value for value in image_type[2:] if value in _APART)


def _syntax_name(uid: UID | None) -> str:
    if uid is None:
        return "not stated"
    return uid.name if uid.name != str(uid) else "private transfer syntax"


def _value(dataset: Dataset, keyword: str) -> Any:
    try:
        return dataset.get(keyword)
    except Exception:  # an element that cannot be parsed counts as absent, whatever pydicom raises
        return None


def _text(dataset: Dataset, keyword: str) -> str:
    value = _value(dataset, keyword)
    return "" if value is None else str(value).strip()


def _biped_orientation(dataset: Dataset) -> tuple[str, ...]:
    """PatientOrientation; none of a quadruped (0010,2210), whose letters mean other directions."""
    quadruped = "QUADRUPED" in _codes(dataset, "AnatomicalOrientationType")
    return () if quadruped else _codes(dataset, "PatientOrientation")


def _codes(dataset: Dataset, keyword: str) -> tuple[str, ...]:
    """Values of a code string (VR CS); what is no code, so perhaps free text, becomes ""."""
    value = _value(dataset, keyword)
    values = [value] if isinstance(value, str) else list(value or ())
    found = (str(v).strip().upper() for v in values)
    return tuple(v if re.fullmatch(r"[A-Z0-9_ /]{1,16}", v) else "" for v in found)


def _code(dataset: Dataset, keyword: str) -> str:
    return next(iter(_codes(dataset, keyword)), "")


def _term(dataset: Dataset, keyword: str, known: tuple[str, ...]) -> str:
    """Return the code if it is known, "" if absent, else ``other``: free text may identify."""
    text = _text(dataset, keyword).upper()
    return text if text in known else "other" if text else ""


def _numbers(dataset: Dataset, keyword: str, count: int) -> Vector | None:
    value = _value(dataset, keyword)
    values = [value] if isinstance(value, (str, int, float)) else list(value or ())
    try:
        numbers = tuple(float(v) for v in values)
    except (TypeError, ValueError):
        return None
    return numbers if len(numbers) == count and all(math.isfinite(n) for n in numbers) else None


def _positive(numbers: Vector | None) -> Vector | None:
    return numbers if numbers is not None and min(numbers) > 0 else None


def _number(dataset: Dataset, keyword: str) -> float | None:
    numbers = _numbers(dataset, keyword, 1)
    return numbers[0] if numbers else None


def _whole(dataset: Dataset, keyword: str) -> int | None:
    number = _number(dataset, keyword)
    return int(number) if number is not None else None
