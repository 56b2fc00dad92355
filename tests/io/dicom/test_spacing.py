from __future__ import annotations

import numpy as np
import pytest
from builders import noise, write_dicom_series
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

from voxcam import io

NOWHERE = {
    "Modality": "CR",
    "ImagePositionPatient": None,
    "ImageOrientationPatient": None,
    "PixelSpacing": None,
}
DETECTOR, SCANNED = ["0.3", "0.2"], ["0.17", "0.16"]


@pytest.mark.parametrize(
    ("elements", "spacing", "source", "finding"),
    [
        ({"PixelSpacing": ["0.5", "0.4"]}, (0.4, 0.5), "PixelSpacing", None),
        ({"PixelSpacing": ["0.5", "0.4"], "ImagerPixelSpacing": DETECTOR}, (0.4, 0.5), "PixelSpacing", None),
        (
            {"PixelSpacing": ["0.5", "0.4"], "PixelSpacingCalibrationType": "GEOMETRY"},
            (0.4, 0.5),
            "PixelSpacing (GEOMETRY)",
            None,
        ),
        (
            {"PixelSpacing": ["0.5", "0.4"], "PixelSpacingCalibrationType": "FIDUCIAL"},
            (0.4, 0.5),
            "PixelSpacing (FIDUCIAL)",
            None,
        ),
        ({"ImagerPixelSpacing": DETECTOR}, (0.2, 0.3), "ImagerPixelSpacing", "detector-spacing"),
        (
            {"PixelSpacing": ["0.000", "0.000"], "ImagerPixelSpacing": DETECTOR},
            (0.2, 0.3),
            "ImagerPixelSpacing",
            "detector-spacing",
        ),
        (
            {"ImagerPixelSpacing": DETECTOR, "EstimatedRadiographicMagnificationFactor": "1.25"},
            (0.16, 0.24),
            "ImagerPixelSpacing / magnification",
            "magnified-spacing",
        ),
        (
            {"ImagerPixelSpacing": DETECTOR, "EstimatedRadiographicMagnificationFactor": "0"},
            (0.2, 0.3),
            "ImagerPixelSpacing",
            "detector-spacing",
        ),
        (
            {"ImagerPixelSpacing": DETECTOR, "NominalScannedPixelSpacing": SCANNED},
            (0.2, 0.3),
            "ImagerPixelSpacing",
            "detector-spacing",
        ),
        (
            {"NominalScannedPixelSpacing": SCANNED},
            (0.16, 0.17),
            "NominalScannedPixelSpacing",
            "scanned-spacing",
        ),
        ({"PixelSpacing": ["-0.5", "0.4"]}, (1, 1), "none", "no-pixel-size"),
        ({}, (1, 1), "none", "no-pixel-size"),
    ],
)
def test_where_the_pixel_size_of_a_projection_comes_from(elements, spacing, source, finding, tmp_path):
    write_dicom_series(tmp_path, noise((6, 4, 1)), **{**NOWHERE, **elements})
    series = io.scan(tmp_path).choose()
    volume = io.read(series)
    assert series.spacing_mm[:2] == pytest.approx(spacing)
    np.testing.assert_allclose(volume.affine[:2, :2], np.diag([-spacing[0], -spacing[1]]))
    assert volume.source["spacing_from"] == source
    assert {f.kind for f in series.findings} == ({finding} if finding else set())
    assert series.spacing_known == (source != "none")
    assert volume.geometry.frame == ("unknown" if source == "none" else "detector")


@pytest.mark.parametrize("name", ["RG1_UNCR.dcm", "RG1_UNCI.dcm"])
def test_a_pixel_size_of_zero_in_a_real_file_is_none(name):
    path = get_testdata_file(name)
    dataset = dcmread(path)
    assert [float(mm) for mm in dataset.PixelSpacing] == [0, 0]
    series = io.scan(path).choose()
    stated = [float(mm) for mm in dataset.get("ImagerPixelSpacing", [])]
    assert series.spacing_known == bool(stated)
    assert all(mm > 0 for mm in series.spacing_mm)
    if stated:
        assert series.spacing_mm[:2] == pytest.approx(stated[::-1])


def regions(*sizes, units=(3, 3)):
    found = []
    for x, y in sizes:
        region = Dataset()
        region.PhysicalDeltaX, region.PhysicalDeltaY = x, y
        region.PhysicalUnitsXDirection, region.PhysicalUnitsYDirection = units
        found.append(region)
    return found


@pytest.mark.parametrize(
    ("sequence", "spacing"),
    [
        (regions((0.02, 0.03)), (0.2, 0.3)),
        (regions((0.02, 0.03), (0.02, 0.03)), (0.2, 0.3)),
        (regions((0.02, -0.03)), (0.2, 0.3)),
        (regions((0.02, 0.03), (0.01, 0.03)), None),
        (regions((0.02, 0.03), units=(3, 4)), None),  # seconds along y: Doppler
        (regions((0.0, 0.0)), None),
        ([Dataset()], None),
    ],
)
def test_regions_of_an_ultrasound_state_centimetres_a_pixel(sequence, spacing, tmp_path):
    elements = {**NOWHERE, "Modality": "US", "SequenceOfUltrasoundRegions": sequence}
    write_dicom_series(tmp_path, noise((6, 4, 1)), **elements)
    series = io.scan(tmp_path).choose()
    assert series.spacing_mm[:2] == pytest.approx(spacing or (1, 1))
    assert {f.kind for f in series.findings} == {"region-spacing" if spacing else "no-pixel-size"}


def test_the_word_of_a_calibration_that_is_none_is_not_kept(tmp_path):
    elements = {"PixelSpacing": ["0.5", "0.4"], "PixelSpacingCalibrationType": "CANARY"}
    write_dicom_series(tmp_path, noise((6, 4, 1)), **{**NOWHERE, **elements})
    volume = io.read(io.scan(tmp_path).choose())
    assert volume.source["spacing_from"] == "PixelSpacing (other)"
