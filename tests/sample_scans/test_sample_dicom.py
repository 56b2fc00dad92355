"""The DICOM samples keep what is odd about them, and the pixel data of their source."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.encaps import generate_frames

SAMPLES = Path(__file__).resolve().parents[2] / "sample_scans"
JPEG_2000 = [*sorted((SAMPLES / "ct_abdomen_dicom").iterdir()), SAMPLES / "chest_xray.dcm"]
# ISO/IEC 15444-1, table A.2
SIZE, CODING, COMMENT, TILE = 0xFF51, 0xFF52, 0xFF64, 0xFF90


@cache
def series(name):
    return [pydicom.dcmread(path) for path in sorted((SAMPLES / name).iterdir())]


def test_the_ct_steps_2_mm_towards_the_feet_though_its_slices_are_3_mm_thick():
    slices = series("ct_abdomen_dicom")
    heights = [s.ImagePositionPatient[2] for s in slices]
    np.testing.assert_array_equal(np.diff(heights), -2.0)
    assert {float(s.SliceThickness) for s in slices} == {3.0}
    assert all("." not in Path(s.filename).name for s in slices)


def test_the_ct_keeps_both_windows_and_is_one_ct_series():
    slices = series("ct_abdomen_dicom")
    assert {(tuple(s.WindowCenter), tuple(s.WindowWidth)) for s in slices} == {((40, 300), (300, 1500))}
    assert {s.SOPClassUID.name for s in slices} == {"CT Image Storage"}
    for shared in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
        assert len({s[shared].value for s in slices}) == 1
    assert len({s.SOPInstanceUID for s in slices}) == 20


@pytest.mark.parametrize("name", ["ct_abdomen_dicom", "mr_brain_oblique_dicom"])
def test_decoded_pixels_span_the_range_the_scanner_wrote(name):
    for s in series(name):
        assert s.pixel_array.shape == (s.Rows, s.Columns)
        assert s.pixel_array.min() == s.SmallestImagePixelValue
        assert s.pixel_array.max() == s.LargestImagePixelValue


@pytest.mark.parametrize("path", JPEG_2000, ids=lambda path: path.name)
def test_a_code_stream_is_the_source_s_lossless_one(path):
    """Written by the scanner's Kakadu with the reversible 5/3 wavelet; a re-encoding would sign itself."""
    instance = pydicom.dcmread(path)
    segments = code_stream_segments(instance)
    size, coding = dict(segments)[SIZE], dict(segments)[CODING]
    comments = [body[2:] for marker, body in segments if marker == COMMENT]
    assert instance.file_meta.TransferSyntaxUID.name == "JPEG 2000 Image Compression (Lossless Only)"
    assert (int.from_bytes(size[2:6]), int.from_bytes(size[6:10])) == (instance.Columns, instance.Rows)
    assert coding[9] == 1
    assert comments
    assert all(comment.startswith((b"Kakadu-", b"Kdu-Layer-Info")) for comment in comments)


def test_the_mr_is_oblique_and_its_header_misleads_about_the_step():
    slices = series("mr_brain_oblique_dicom")
    row, column = np.array(slices[0].ImageOrientationPatient, float).reshape(2, 3)
    normal = np.cross(row, column)
    assert np.degrees(np.arccos(normal[2])) == pytest.approx(7.7, abs=0.05)
    steps = np.diff([np.dot(s.ImagePositionPatient, normal) for s in slices])
    assert 6.95 < steps.min() < 6.97
    assert 7.06 < steps.max() < 7.08
    assert {(s.SliceThickness, s.SpacingBetweenSlices, s.WindowWidth) for s in slices} == {(5, 2, 0)}


def test_the_radiograph_keeps_its_traps():
    chest = pydicom.dcmread(SAMPLES / "chest_xray.dcm")
    assert chest.PhotometricInterpretation == "MONOCHROME1"
    assert list(chest.PixelSpacing) == [0, 0]
    assert list(chest.PatientOrientation) == ["L", "F"]
    assert chest.pixel_array.shape == (1955, 1841)
    assert 2**14 < chest.pixel_array.max() < 2**15
    # MONOCHROME1: the spine, which is white, has low values; a lung has high ones
    right_lung, spine = chest.pixel_array[500:600, 600:700], chest.pixel_array[500:600, 850:900]
    assert np.median(right_lung) > 2 * np.median(spine)


def code_stream_segments(instance):
    """Return (marker, body) for the main header of a single-frame JPEG 2000 code stream."""
    stream = next(generate_frames(instance.PixelData, number_of_frames=1))
    segments, at = [], 2
    while (marker := int.from_bytes(stream[at : at + 2])) != TILE:
        length = int.from_bytes(stream[at + 2 : at + 4])
        segments.append((marker, stream[at + 4 : at + 2 + length]))
        at += 2 + length
    return segments
