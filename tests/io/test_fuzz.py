from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from builders import noise, write_dicom_series

from voxcam import io
from voxcam.errors import ReadError


def load():
    spec = importlib.util.spec_from_file_location("dicom_fuzz", Path(__file__).with_name("fuzz.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_damaged_files_end_as_a_volume_a_finding_or_one_line():
    ends = load().run(600, seed=7)
    assert not [end for end in ends if end.startswith("BUG")], ends
    assert min(ends["volume"], ends["left out"], ends["refused when read"]) > 10, ends


@pytest.mark.parametrize("compress", [None, "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.90"])
def test_a_file_cut_anywhere_is_never_a_study(compress, tmp_path):
    path = write_dicom_series(tmp_path / "whole", noise((32, 32, 1)), compress=compress)[0]
    whole = path.read_bytes()
    cut = tmp_path / "cut"
    for kept in range(140, len(whole), 7):
        cut.write_bytes(whole[:kept])
        study = io.scan(cut)
        assert study.loaded == 0, kept
        with pytest.raises(ReadError):
            study.choose()
