"""Copy a DICOM instance without anything that could point at a person, a place or a day.

What is kept stands in `KEPT`, an allow-list: an element that nobody thought of is dropped. Private elements,
sequences, every date and time, and the sender's file meta information are never kept. The pixel data is
passed on byte for byte, so a compressed instance stays in the coding it came in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, generate_uid

if TYPE_CHECKING:
    from pathlib import Path

_GENERAL = (
    "SpecificCharacterSet",
    "ImageType",
    "Modality",
    "Manufacturer",
    "BodyPartExamined",
    "InstanceNumber",
)
_GEOMETRY = (
    "PatientPosition",
    "PatientOrientation",
    "ViewPosition",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "SliceLocation",
    "SliceThickness",
    "SpacingBetweenSlices",
    "PixelSpacing",
    "GantryDetectorTilt",
)
_PIXELS = (
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "SmallestImagePixelValue",
    "LargestImagePixelValue",
    "PixelPaddingValue",
    "RescaleIntercept",
    "RescaleSlope",
    "RescaleType",
    "WindowCenter",
    "WindowWidth",
    "WindowCenterWidthExplanation",
    "LossyImageCompression",
    "PixelData",
)
_X_RAY_TECHNIQUE = (
    "ContrastBolusAgent",
    "KVP",
    "ExposureTime",
    "XRayTubeCurrent",
    "Exposure",
    "FilterType",
    "FocalSpots",
    "ConvolutionKernel",
    "DataCollectionDiameter",
    "ReconstructionDiameter",
    "DistanceSourceToDetector",
    "DistanceSourceToPatient",
    "SingleCollimationWidth",
    "TotalCollimationWidth",
    "SpiralPitchFactor",
    "CTDIvol",
)
_MR_TECHNIQUE = (
    "ScanningSequence",
    "SequenceVariant",
    "ScanOptions",
    "MRAcquisitionType",
    "SequenceName",
    "RepetitionTime",
    "EchoTime",
    "EchoNumbers",
    "EchoTrainLength",
    "FlipAngle",
    "NumberOfAverages",
    "MagneticFieldStrength",
    "NumberOfPhaseEncodingSteps",
    "PixelBandwidth",
    "AcquisitionMatrix",
    "InPlanePhaseEncodingDirection",
)
KEPT = _GENERAL + _GEOMETRY + _PIXELS + _X_RAY_TECHNIQUE + _MR_TECHNIQUE

# DICOM PS3.3 asks for these elements (type 2) but lets them be empty
EMPTY = (
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
    "PatientBirthDate",
    "PatientSex",
    "StudyID",
)
_SALT = "VoxCAM sample scans"


@dataclass(frozen=True)
class Stand:
    """The identity that stands in for the one taken away."""

    sample: str
    """Name of the sample; its UIDs are made from it."""
    patient_name: str
    series_description: str
    sop_class: UID


def write_clean(source: Dataset, stand: Stand, index: int, path: Path) -> None:
    """Write the clean copy of one instance as a DICOM file with an empty preamble.

    Parameters
    ----------
    source
        The instance as read.
    stand
        The identity it gets.
    index
        Its place in the series, from 1; the SOP instance UID is made from it.
    path
        The file to write.
    """
    copy = FileDataset(str(path), _kept_elements(source), preamble=bytes(128), file_meta=FileMetaDataset())
    _give_identity(copy, stand, index)
    copy.file_meta = _file_meta(copy, source.file_meta.TransferSyntaxUID)
    if "ImagePositionPatient" in copy:
        copy.FrameOfReferenceUID = new_uid(stand.sample, "frame of reference")
        copy.PositionReferenceIndicator = ""
    pydicom.dcmwrite(path, copy, enforce_file_format=True)


def new_uid(*names: str) -> UID:
    """Return the UID that belongs to these names: the same one in every run."""
    return generate_uid(entropy_srcs=[_SALT, *names])


def _kept_elements(source: Dataset) -> Dataset:
    kept = Dataset()
    for keyword in KEPT:
        if keyword in source:
            kept[keyword] = source[keyword]
    return kept


def _give_identity(copy: Dataset, stand: Stand, index: int) -> None:
    for keyword in EMPTY:
        setattr(copy, keyword, "")
    copy.PatientName = stand.patient_name
    copy.PatientID = stand.patient_name.replace("^", "-").upper()
    copy.PatientIdentityRemoved = "YES"
    copy.DeidentificationMethod = "Allow-list of header elements, new UIDs, no dates"
    copy.LongitudinalTemporalInformationModified = "REMOVED"
    copy.StudyDescription = "VoxCAM sample scan"
    copy.SeriesDescription = stand.series_description
    copy.SeriesNumber = 1
    copy.SOPClassUID = stand.sop_class
    copy.SOPInstanceUID = new_uid(stand.sample, "instance", str(index))
    copy.StudyInstanceUID = new_uid(stand.sample, "study")
    copy.SeriesInstanceUID = new_uid(stand.sample, "series")


def _file_meta(copy: Dataset, transfer_syntax: UID) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = copy.SOPClassUID
    meta.MediaStorageSOPInstanceUID = copy.SOPInstanceUID
    meta.TransferSyntaxUID = transfer_syntax
    # Named here, so that the files do not change with the version of pydicom
    meta.ImplementationClassUID = new_uid("implementation")
    meta.ImplementationVersionName = "VOXCAM_SAMPLES"
    return meta
