"""No sample says who, where or when. The lists here were written apart from the script that cleans."""

from __future__ import annotations

import gzip
import math
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import UID

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydicom.dataelem import DataElement

SAMPLES = Path(__file__).resolve().parents[2] / "sample_scans"
CT = sorted((SAMPLES / "ct_abdomen_dicom").iterdir())
MR = sorted((SAMPLES / "mr_brain_oblique_dicom").iterdir())
CHEST = SAMPLES / "chest_xray.dcm"
NIFTI = sorted(SAMPLES.glob("*.nii.gz"))

_KEYWORDS = """
    SpecificCharacterSet ImageType SOPClassUID SOPInstanceUID StudyDate StudyTime AccessionNumber
    Modality Manufacturer ReferringPhysicianName StudyDescription SeriesDescription PatientName
    PatientID PatientBirthDate PatientSex PatientIdentityRemoved DeidentificationMethod
    LongitudinalTemporalInformationModified BodyPartExamined ViewPosition PatientPosition
    PatientOrientation StudyInstanceUID SeriesInstanceUID StudyID SeriesNumber InstanceNumber
    FrameOfReferenceUID PositionReferenceIndicator ImagePositionPatient ImageOrientationPatient
    SliceLocation SliceThickness SpacingBetweenSlices PixelSpacing GantryDetectorTilt SamplesPerPixel
    PhotometricInterpretation Rows Columns BitsAllocated BitsStored HighBit PixelRepresentation
    SmallestImagePixelValue LargestImagePixelValue PixelPaddingValue RescaleIntercept RescaleSlope
    RescaleType WindowCenter WindowWidth WindowCenterWidthExplanation LossyImageCompression PixelData
    ContrastBolusAgent KVP ExposureTime XRayTubeCurrent Exposure FilterType FocalSpots ConvolutionKernel
    DataCollectionDiameter ReconstructionDiameter DistanceSourceToDetector DistanceSourceToPatient
    SingleCollimationWidth TotalCollimationWidth SpiralPitchFactor CTDIvol ScanningSequence
    SequenceVariant ScanOptions MRAcquisitionType SequenceName RepetitionTime EchoTime EchoNumbers
    EchoTrainLength FlipAngle NumberOfAverages MagneticFieldStrength NumberOfPhaseEncodingSteps
    PixelBandwidth AcquisitionMatrix InPlanePhaseEncodingDirection FileMetaInformationGroupLength
    FileMetaInformationVersion MediaStorageSOPClassUID MediaStorageSOPInstanceUID TransferSyntaxUID
    ImplementationClassUID ImplementationVersionName
"""
ALLOWED = set(_KEYWORDS.split())
# Free text is allowed by value, not by element: a name in a series description would pass a list of elements
ALLOWED_TEXT = {
    "",
    "Sample^CT-Abdomen",
    "SAMPLE-CT-ABDOMEN",
    "Sample^MR-Brain-Oblique",
    "SAMPLE-MR-BRAIN-OBLIQUE",
    "Sample^Chest-XRay",
    "SAMPLE-CHEST-XRAY",
    "Allow-list of header elements, new UIDs, no dates",
    "VoxCAM sample scan",
    "VOXCAM_SAMPLES",
    "Abdomen CT, JPEG 2000",
    "Brain MR, proton density, oblique",
    "Chest radiograph, MONOCHROME1",
    "SIEMENS",
    "GE Medical Systems",
    "Philips Medical Systems",
    "APPLIED",
    "FLAT",
    "0.1Cu 1Al",
    "Br38f",
    "3",
    "fse",
    "HU",
    "SIGNAL INTENSITY (UNITLESS)",
    "WINDOW1",
    "WINDOW2",
}
_TEXT = {"AE", "AS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"}
_TIME = {"DA", "DT", "TM"}
_DICOM_ROOT = "1.2.840.10008."
_FRESH_ROOT = "1.2.826.0.1.3680043.8.498."


@pytest.mark.parametrize("path", [*CT, *MR, CHEST], ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_dicom_header_holds_anything_identifying(path):
    assert identifying(pydicom.dcmread(path)) == []


def _in_a_sequence(instance, keyword, value):
    item = Dataset()
    setattr(item, keyword, value)
    instance.RequestAttributesSequence = [item]


PLANTED = {
    "0010,0010": lambda instance: setattr(instance, "PatientName", "Doe^Jane"),
    "0008,0020": lambda instance: setattr(instance, "StudyDate", "20200229"),
    "0008,0030": lambda instance: setattr(instance, "StudyTime", "120000"),
    "0010,1030": lambda instance: setattr(instance, "PatientWeight", "61"),
    "0008,103e": lambda instance: setattr(instance, "SeriesDescription", "for Dr Doe"),
    "0020,000d": lambda instance: setattr(instance, "StudyInstanceUID", "1.3.12.2.1107.5.1.4.1"),
    "0040,1001": lambda instance: _in_a_sequence(instance, "RequestedProcedureID", "77"),
    "0010,0020": lambda instance: _in_a_sequence(instance, "PatientID", "77"),
    "0009,1001": lambda instance: instance.private_block(9, "MAKER", True).add_new(1, "LO", "x"),
    "0002,0016": lambda instance: setattr(instance.file_meta, "SourceApplicationEntityTitle", "SCANNER1"),
    "preamble": lambda instance: setattr(instance, "preamble", b"Doe" + bytes(125)),
}


@pytest.mark.parametrize("place", PLANTED)
def test_the_header_check_finds_what_is_planted(place):
    instance = pydicom.dcmread(CHEST)
    PLANTED[place](instance)
    assert any(place in found.lower() for found in identifying(instance))


def test_every_dicom_file_says_that_identity_was_removed():
    for path in [*CT, *MR, CHEST]:
        instance = pydicom.dcmread(path, stop_before_pixels=True)
        assert instance.PatientIdentityRemoved == "YES"
        assert instance.DeidentificationMethod


@pytest.mark.parametrize("path", NIFTI, ids=lambda path: path.name)
def test_a_nifti_is_its_geometry_and_voxels_and_no_text(path):
    """The raw bytes, by the offsets of nifti1.h."""
    file = gzip.decompress(path.read_bytes())
    for field, start, end in (
        ("data_type", 4, 14),
        ("db_name", 14, 32),
        ("descrip", 148, 228),
        ("aux_file", 228, 252),
        ("intent_name", 328, 344),
        ("extension", 348, 352),
    ):
        assert not any(file[start:end]), field
    voxels = math.prod(struct.unpack("<3h", file[42:48]))
    bytes_per_voxel = struct.unpack("<h", file[72:74])[0] // 8
    assert struct.unpack("<f", file[108:112])[0] == 352
    assert len(file) == 352 + voxels * bytes_per_voxel


@pytest.mark.parametrize("path", NIFTI, ids=lambda path: path.name)
def test_no_gzip_header_holds_a_file_name_or_a_time(path):
    start = path.read_bytes()[:10]
    flags, time = start[3], start[4:8]
    assert (flags, time) == (0, bytes(4))


def identifying(instance: Dataset) -> list[str]:
    """Name every element, at every level and in the file meta information, that has no place there."""
    found = [f"{element.tag} {element.keyword}" for element in _every_element(instance) if _is_out(element)]
    return found if instance.preamble == bytes(128) else ["preamble", *found]


def _every_element(instance: Dataset) -> Iterator[DataElement]:
    yield from instance.file_meta.iterall()
    yield from instance.iterall()


def _is_out(element: DataElement) -> bool:
    if element.tag.is_private or element.keyword not in ALLOWED:
        return True
    values = [str(value) for value in (element.value if element.VM > 1 else [element.value])]
    if element.VR in _TIME:
        return any(values)
    if element.VR in _TEXT:
        return not ALLOWED_TEXT.issuperset(values)
    if element.VR == "UI":
        return not all(_is_fresh(UID(value)) for value in values)
    return False


def _is_fresh(uid: UID) -> bool:
    return uid.is_valid and uid.startswith((_DICOM_ROOT, _FRESH_ROOT))
