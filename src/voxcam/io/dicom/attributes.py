"""Attributes of a walked file by keyword: text, codes and numbers; absent where they make no sense."""

from __future__ import annotations

import math
import re
from functools import lru_cache
from struct import Struct
from typing import TYPE_CHECKING, Literal

from voxcam.io.identity import salted

if TYPE_CHECKING:
    from voxcam.io.dicom.elements import Elements

Vector = tuple[float, ...]
# Every second group from 6000 on may hold an overlay plane; PS3.5 7.6.
OVERLAYS = {f"OverlayRows {group:04X}": group << 16 | 0x0010 for group in range(0x6000, 0x6020, 2)}
# text: characters; short, signed: 16 bits; sign: as PixelRepresentation says; float, double.
Kind = Literal["text", "short", "signed", "sign", "float", "double", "long", "sequence", "tag"]

# Everything a header is made of; PS3.6.
TAGS: dict[str, tuple[int, Kind]] = {
    "MediaStorageSOPClassUID": (0x00020002, "text"),
    "MediaStorageSOPInstanceUID": (0x00020003, "text"),
    "SpecificCharacterSet": (0x00080005, "text"),
    "ImageType": (0x00080008, "text"),
    "SOPClassUID": (0x00080016, "text"),
    "SOPInstanceUID": (0x00080018, "text"),
    "AcquisitionDate": (0x00080022, "text"),
    "AcquisitionDateTime": (0x0008002A, "text"),
    "AcquisitionTime": (0x00080032, "text"),
    "ContentTime": (0x00080033, "text"),
    "Modality": (0x00080060, "text"),
    "SeriesDescription": (0x0008103E, "text"),
    "PatientName": (0x00100010, "text"),
    "PatientID": (0x00100020, "text"),
    "AnatomicalOrientationType": (0x00102210, "text"),
    "BodyPartExamined": (0x00180015, "text"),
    "SliceThickness": (0x00180050, "text"),
    "EchoTime": (0x00180081, "text"),
    "InversionTime": (0x00180082, "text"),
    "EchoNumbers": (0x00180086, "text"),
    "SpacingBetweenSlices": (0x00180088, "text"),
    "TriggerTime": (0x00181060, "text"),
    "FrameTime": (0x00181063, "text"),
    "EstimatedRadiographicMagnificationFactor": (0x00181114, "text"),
    "ImagerPixelSpacing": (0x00181164, "text"),
    "FlipAngle": (0x00181314, "text"),
    "NominalScannedPixelSpacing": (0x00182010, "text"),
    "SequenceOfUltrasoundRegions": (0x00186011, "sequence"),
    "DiffusionBValue": (0x00189087, "double"),
    "DiffusionGradientOrientation": (0x00189089, "double"),
    "SiemensBValue": (0x0019100C, "text"),
    "SiemensGradient": (0x0019100E, "double"),
    "StudyInstanceUID": (0x0020000D, "text"),
    "SeriesInstanceUID": (0x0020000E, "text"),
    "SeriesNumber": (0x00200011, "text"),
    "AcquisitionNumber": (0x00200012, "text"),
    "InstanceNumber": (0x00200013, "text"),
    "PatientOrientation": (0x00200020, "text"),
    "ImagePositionPatient": (0x00200032, "text"),
    "ImageOrientationPatient": (0x00200037, "text"),
    "FrameOfReferenceUID": (0x00200052, "text"),
    "TemporalPositionIdentifier": (0x00200100, "text"),
    "TemporalPositionIndex": (0x00209128, "long"),
    "NominalCardiacTriggerDelayTime": (0x00209153, "double"),
    "SamplesPerPixel": (0x00280002, "short"),
    "PhotometricInterpretation": (0x00280004, "text"),
    "PlanarConfiguration": (0x00280006, "short"),
    "NumberOfFrames": (0x00280008, "text"),
    "FrameIncrementPointer": (0x00280009, "tag"),
    "Rows": (0x00280010, "short"),
    "Columns": (0x00280011, "short"),
    "PixelSpacing": (0x00280030, "text"),
    "BitsAllocated": (0x00280100, "short"),
    "BitsStored": (0x00280101, "short"),
    "HighBit": (0x00280102, "short"),
    "PixelRepresentation": (0x00280103, "short"),
    "PixelPaddingValue": (0x00280120, "sign"),
    "PixelPaddingRangeLimit": (0x00280121, "sign"),
    "BurnedInAnnotation": (0x00280301, "text"),
    "PixelSpacingCalibrationType": (0x00280A02, "text"),
    "WindowCenter": (0x00281050, "text"),
    "WindowWidth": (0x00281051, "text"),
    "RescaleIntercept": (0x00281052, "text"),
    "RescaleSlope": (0x00281053, "text"),
    "RescaleType": (0x00281054, "text"),
    "WindowCenterWidthExplanation": (0x00281055, "text"),
    "VOILUTFunction": (0x00281056, "text"),
    "RedPaletteColorLookupTableData": (0x00281201, "sequence"),
    "ModalityLUTSequence": (0x00283000, "sequence"),
    "VOILUTSequence": (0x00283010, "sequence"),
    "GEBValue": (0x00431039, "text"),
    "DetectorInformationSequence": (0x00540022, "sequence"),
    "Units": (0x00541001, "text"),
    "PhilipsBValue": (0x20011003, "float"),
    "DoseUnits": (0x30040002, "text"),
    "DoseGridScaling": (0x3004000E, "text"),
    "GridFrameOffsetVector": (0x3004000C, "text"),
    "SharedFunctionalGroupsSequence": (0x52009229, "sequence"),
    "PerFrameFunctionalGroupsSequence": (0x52009230, "sequence"),
    "SegmentationType": (0x00620001, "text"),
    **{name: (tag, "short") for name, tag in OVERLAYS.items()},
}
WANTED = frozenset(tag for tag, _ in TAGS.values())
_STRUCTS = {"short": "H", "signed": "h", "float": "f", "double": "d", "long": "I"}
_LITTLE = {kind: Struct("<" + code) for kind, code in _STRUCTS.items()}
_BIG = {kind: Struct(">" + code) for kind, code in _STRUCTS.items()}
# PS3.5 6.2: a decimal string; Python's float takes more ("1_0", "nan").
_DECIMAL = re.compile(rb"[ \0]*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?[ \0]*")
_PLAIN_SETS = ("", "ISO_IR 6", "ISO 2022 IR 6")
_LONGEST_TEXT = 10_240


class Attributes:
    """What a walked file says, by keyword. Nothing here raises on what a file holds."""

    __slots__ = ("_elements", "_little")

    def __init__(self, elements: Elements) -> None:
        self._elements = elements
        self._little = elements.encoding.little

    def __contains__(self, keyword: str) -> bool:
        tag = TAGS[keyword][0]
        return tag in self._elements.values or tag in self._elements.present

    def raw(self, keyword: str) -> bytes:
        """Return the bytes as they lie in the file, b"" if absent."""
        return self._elements.values.get(TAGS[keyword][0], b"")

    def text(self, keyword: str) -> str:
        """Return plain text, without the padding; what is no ASCII is replaced."""
        return _text(self.raw(keyword))

    def free_text(self, keyword: str) -> str:
        """Return text in the file's own characters (0008,0005)."""
        sets = self.text("SpecificCharacterSet")
        return (
            self.text(keyword) if sets in _PLAIN_SETS else _decoded(self.raw(keyword)[:_LONGEST_TEXT], sets)
        )

    def codes(self, keyword: str) -> tuple[str, ...]:
        """Return the values of a code string (VR CS); what is no code, so perhaps free text, becomes ""."""
        return _codes(self.raw(keyword))

    def code(self, keyword: str) -> str:
        """Return the first of `codes`, or ""."""
        return next(iter(self.codes(keyword)), "")

    def term(self, keyword: str, known: tuple[str, ...]) -> str:
        """Return the code if it is known, "" if absent, else ``other``: free text may identify."""
        text = self.text(keyword).upper()
        return text if text in known else "other" if text else ""

    def numbers(self, keyword: str, count: int) -> Vector | None:
        """Return so many finite numbers, None if there are others or none."""
        found = self.all_numbers(keyword)
        return found if len(found) == count else None

    def all_numbers(self, keyword: str) -> Vector:
        """Return all numbers, () if one of them is none or not finite."""
        raw, kind = self.raw(keyword), TAGS[keyword][1]
        if not raw:
            return ()
        if kind == "sign":
            kind = "signed" if self.whole("PixelRepresentation") == 1 else "short"
        return _decimals(raw) if kind == "text" else _binary(raw, kind, self._little)

    def number(self, keyword: str) -> float | None:
        """Return the number, None if absent or several."""
        found = self.all_numbers(keyword)
        return found[0] if len(found) == 1 else None

    def first_number(self, keyword: str) -> float | None:
        """Return the first number of one or several."""
        return next(iter(self.all_numbers(keyword)), None)

    def whole(self, keyword: str) -> int | None:
        """Return the number without its fraction."""
        number = self.number(keyword)
        return int(number) if number is not None else None

    def fingerprint(self, *keywords: str) -> str:
        """Return a keyed hash that stands for these attributes."""
        return _fingerprint(tuple(self.raw(keyword) for keyword in keywords))


# The slices of a series repeat themselves: what was understood once is remembered.
@lru_cache(maxsize=8192)
def _text(raw: bytes) -> str:
    return raw[:_LONGEST_TEXT].decode("ascii", "replace").strip(" \0")


@lru_cache(maxsize=4096)
def _codes(raw: bytes) -> tuple[str, ...]:
    if not raw:
        return ()
    found = (value.strip().upper() for value in _text(raw).split("\\"))
    return tuple(value if re.fullmatch(r"[A-Z0-9_ /]{1,16}", value) else "" for value in found)


@lru_cache(maxsize=8192)
def _decimals(raw: bytes) -> Vector:
    found = []
    for piece in raw.split(b"\\"):
        if not _DECIMAL.fullmatch(piece):
            return ()
        found.append(float(piece.strip(b" \0")))
    return tuple(found) if all(map(math.isfinite, found)) else ()


@lru_cache(maxsize=4096)
def _binary(raw: bytes, kind: str, little: bool) -> Vector:
    if kind not in _LITTLE:
        return ()
    struct = (_LITTLE if little else _BIG)[kind]
    found = tuple(
        float(value) for (value,) in struct.iter_unpack(raw[: len(raw) // struct.size * struct.size])
    )
    return found if all(map(math.isfinite, found)) else ()


@lru_cache(maxsize=1024)
def _decoded(raw: bytes, sets: str) -> str:
    from pydicom.charset import convert_encodings, decode_bytes

    try:
        encodings = convert_encodings([one.strip() for one in sets.split("\\")])
        return decode_bytes(raw, encodings, {0x0A, 0x0C, 0x0D, 0x5C}).strip(" \0")
    except Exception:  # a character set that pydicom does not know, or wrong bytes in it
        return _text(raw)


@lru_cache(maxsize=4096)
def _fingerprint(parts: tuple[bytes, ...]) -> str:
    return salted([part.strip(b" \0") for part in parts])
