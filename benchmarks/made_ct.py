"""A CT made for measuring: smooth anatomy, noise of 15 HU, some 60 elements a header, in four codings."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGLosslessSV1, RLELossless
from scipy import ndimage

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from builders import affine_of, write_dicom_series

RAW, JLL = "uncompressed", "JPEG lossless"
CODINGS = {RAW: None, "RLE": RLELossless, JLL: JPEGLosslessSV1, "JPEG 2000 lossless": JPEG2000Lossless}
# What a scanner states beside what places an image; values of 12 bits, as most of them measure.
STATED: dict[str, Any] = {
    "BitsStored": 12,
    "HighBit": 11,
    "FocalSpots": ["0.7", "0.8"],
    "WindowCenter": ["40", "-600"],
    "WindowWidth": ["400", "1500"],
}
STATED |= dict(
    stated.split("=")
    for stated in (
        "Manufacturer=None ManufacturerModelName=None InstitutionName=Nowhere StationName=CT1 "
        "DeviceSerialNumber=1 SoftwareVersions=1 StudyDate=19000101 SeriesDate=19000101 "
        "AcquisitionDate=19000101 ContentDate=19000101 StudyTime=000000 ContentTime=000000 "
        "AccessionNumber=1 StudyID=1 ReferringPhysicianName= PatientBirthDate= PatientSex=O "
        "StudyDescription=CT SeriesDescription=thorax ProtocolName=thorax BodyPartExamined=CHEST KVP=120 "
        "ExposureTime=500 XRayTubeCurrent=300 ConvolutionKernel=B30f FilterType=0 "
        "DataCollectionDiameter=500 ReconstructionDiameter=400 GantryDetectorTilt=0 TableHeight=150 "
        "PatientPosition=HFS AcquisitionNumber=1"
    ).split()
)


def make_ct(place: Path, syntax: str | None, slices: int) -> Path:
    """Write the CT in one coding."""
    rng = np.random.default_rng(0)
    smooth = ndimage.gaussian_filter(rng.normal(size=(512, 512)), 6)
    smooth = smooth / smooth.std() * 300 + 1000
    voxels = np.empty((512, 512, slices), np.uint16)
    for k in range(slices):
        voxels[:, :, k] = np.clip(np.roll(smooth, k, 0) + rng.normal(size=(512, 512)) * 15, 0, 4095)
    by_hand = syntax == JPEGLosslessSV1  # pydicom encodes none
    affine = affine_of(spacing=(0.7, 0.7, 1.0))
    for path in write_dicom_series(place, voxels, affine, compress=None if by_hand else syntax, **STATED):
        if by_hand:
            as_jpeg_lossless(path)
    return place


def as_jpeg_lossless(path: Path) -> None:
    dataset = pydicom.dcmread(path)
    code = imagecodecs.jpeg8_encode(dataset.pixel_array, lossless=True, bitspersample=12)
    dataset.PixelData = encapsulate([code])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    dataset.save_as(path)


def make_headers(place: Path, count: int) -> None:
    """Write series of 200 small images each, `count` in all."""
    voxels = np.zeros((32, 32, 200), np.int16)
    for number in range(max(count // 200, 1)):
        write_dicom_series(place / f"series{number}", voxels, affine_of(), **STATED)
