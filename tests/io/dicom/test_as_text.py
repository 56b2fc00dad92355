from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from builders import noise, write_dicom_series

from voxcam import io
from voxcam.io.dicom.as_text import as_text, from_text
from voxcam.io.dicom.headers import read_header

FILES = sorted((Path(pydicom.__file__).parent / "data/test_files").glob("*.dcm"))
NIBABEL = Path(nib.__file__).parent / "nicom/tests/data"


@pytest.mark.parametrize("path", FILES, ids=[path.name for path in FILES])
def test_headers_come_back_from_text_as_they_were(path):
    found = read_header(path)
    text = as_text(found)
    assert text is None or from_text(path, text) == found


@pytest.mark.parametrize("name", ["siemens_dwi_1000", "philips_mprage"])
def test_tiles_and_frames_come_back_as_they_were(name, tmp_path):
    path = tmp_path / "a"
    path.write_bytes(gzip.decompress((NIBABEL / f"{name}.dcm.gz").read_bytes()))
    found = read_header(path)
    text = as_text(found)
    assert (text is None) == (len(found) > 64)
    assert text is None or from_text(path, text) == found


def test_a_second_scan_that_remembers_reads_the_same_volume(tmp_path):
    uids = {"SeriesInstanceUID": "1.2.3", "FrameOfReferenceUID": "1.2.4"}
    for t in range(2):
        gradient = {"DiffusionBValue": 900.0 * t, "DiffusionGradientOrientation": [0.0, 0.6 * t, 0.8 * t]}
        write_dicom_series(tmp_path / str(t), noise(seed=t), Modality="MR", **uids, **gradient)
    first, again = (io.read(io.scan(tmp_path).choose()) for _ in range(2))
    assert first.fourth == again.fourth
    assert again.fourth.values == (0.0, "900 (0.000, 0.600, 0.800)")
    np.testing.assert_array_equal(first.voxels, again.voxels)


def test_no_name_of_a_patient_and_no_clock_is_in_the_text(tmp_path):
    (path, *_) = write_dicom_series(
        tmp_path, noise(), PatientName="Canary^Mrs", PatientID="C4N4RY", AcquisitionDate="19620430"
    )
    text = as_text(read_header(path))
    for told in ("Canary", "C4N4RY", "19620430", str(tmp_path)):
        assert told not in text
