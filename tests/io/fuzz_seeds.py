"""Whole small DICOM files to be damaged: one of each kind, with a name in them that must never be said."""

from __future__ import annotations

import tempfile
import warnings
import zlib
from functools import lru_cache
from io import BytesIO
from pathlib import Path

from builders import affine_of, decimals, noise, write, write_dicom_series, write_enhanced
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

CANARY = "Zebulon"
# Native, implicit, big-endian, deflated, every compression, frames, colour, objects on images, no meta.
FOUND = (
    "CT_small.dcm MR_small_implicit.dcm MR_small_bigendian.dcm image_dfl.dcm MR_small_RLE.dcm "
    "MR_small_jp2klossless.dcm MR_small_jpeg_ls_lossless.dcm JPEGLSNearLossless_16.dcm JPEG2000.dcm "
    "JPEG-lossy.dcm SC_rgb_jpeg_gdcm.dcm SC_rgb_small_odd_jpeg.dcm SC_rgb_rle_2frame.dcm "
    "SC_ybr_full_422_uncompressed.dcm liver_1frame.dcm rtdose.dcm rtdose_rle.dcm rtstruct.dcm mlut_18.dcm "
    "vlut_04.dcm UN_sequence.dcm no_meta.dcm"
).split()
IDENTIFYING = (
    "PatientName PatientID ReferringPhysicianName InstitutionName StudyDescription ProtocolName"
).split()
_SERIES = {"SeriesInstanceUID": "1.2.3", "StudyInstanceUID": "1.2.4", "FrameOfReferenceUID": "1.2.5"}


@lru_cache(maxsize=1)
def seeds():
    """Return files by name."""
    found = {name: path for name in FOUND if (path := get_testdata_file(name))}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found |= _made(Path(folder))
        return {name: _named(Path(path)) for name, path in found.items()}


@lru_cache(maxsize=1)
def companions():
    """Return files that lie beside the damaged one, by its name: the other slices, the images drawn on."""
    with tempfile.TemporaryDirectory() as folder:
        slices = [_named(path) for path in _slices(Path(folder))]
    return {"slice": [slices[0], slices[2], slices[3]], "structures": slices}


def _made(folder):
    """Write what the packages hold no small file of."""
    from nibabel.nicom import tests as nicom

    mosaic = Path(nicom.__file__).parent / "data" / "siemens_dwi_0.dcm.gz"
    (folder / "mosaic").write_bytes(zlib.decompress(mosaic.read_bytes(), 31))
    (native,) = write_dicom_series(folder / "native", noise((32, 32, 1)), SeriesDescription="thorax")
    values = {"PixelValueTransformationSequence": {"RescaleIntercept": "1", "RescaleSlope": "2"}}
    return {
        "mosaic": folder / "mosaic",
        "native": native,
        "slice": _slices(folder)[1],
        "structures": _structures(folder / "structures.dcm"),
        "enhanced": write_enhanced(folder / "frames.dcm", [0, 1, 2, 3], noise((8, 9, 4)), shared=values),
        "echoes": write_enhanced(folder / "echoes.dcm", [0, 1, 0, 1], noise((8, 9, 4)), each=_echo),
    }


def _echo(frame):
    return {"MREchoSequence": {"EffectiveEchoTime": float(5 + frame // 2)}}


def _slices(folder):
    return write_dicom_series(folder / "series", noise((16, 16, 4)), **_SERIES, PatientID=CANARY)


def _structures(path):
    """Write a structure set of a square on each of two slices of `_slices`."""
    dataset, images, study, frame = Dataset(), Dataset(), Dataset(), Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.481.3", "1.2.6"
    dataset.Modality, dataset.SeriesInstanceUID, dataset.StudyInstanceUID = "RTSTRUCT", "1.2.7", "1.2.4"
    images.SeriesInstanceUID = _SERIES["SeriesInstanceUID"]
    study.RTReferencedSeriesSequence = [images]
    frame.RTReferencedStudySequence, frame.FrameOfReferenceUID = [study], _SERIES["FrameOfReferenceUID"]
    dataset.ReferencedFrameOfReferenceSequence = [frame]
    roi, drawn = Dataset(), Dataset()
    roi.ROINumber, roi.ROIName, drawn.ReferencedROINumber = 1, CANARY, 1
    drawn.ContourSequence = [_square(k) for k in (1, 2)]
    dataset.StructureSetROISequence, dataset.ROIContourSequence = [roi], [drawn]
    write(dataset, path)
    return path


def _square(k):
    contour, affine = Dataset(), affine_of()
    corners = [affine[:3] @ (i, j, k, 1) * (-1, -1, 1) for i, j in ((3, 3), (9, 3), (9, 9), (3, 9))]
    contour.ContourGeometricType, contour.NumberOfContourPoints = "CLOSED_PLANAR", 4
    contour.ContourData = decimals([mm for corner in corners for mm in corner])
    return contour


def _named(path):
    """Return the file with the canary wherever somebody is named."""
    dataset = dcmread(path, force=True)
    for keyword in IDENTIFYING:
        setattr(dataset, keyword, CANARY)
    stream = BytesIO()
    try:
        dataset.save_as(stream)
    except Exception:  # some are damaged on purpose, and stay as they are
        return path.read_bytes()
    return stream.getvalue()
