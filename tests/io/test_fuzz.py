from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path

import pytest
from builders import noise, write_dicom_series

from voxcam import io
from voxcam.errors import ReadError


@lru_cache(maxsize=1)
def load():
    spec = importlib.util.spec_from_file_location("dicom_fuzz", Path(__file__).with_name("fuzz.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def bugs(ends):
    return [end for end in ends if end.startswith("BUG")]


def test_damaged_files_end_as_a_volume_a_finding_or_one_line():
    ends = load().run(600, seed=7)
    assert not bugs(ends), ends
    assert min(ends["volume"], ends["left out"], ends["refused when read"]) > 10, ends


def test_the_seeds_are_whole_and_named():
    """Without it, damage might be done only to what is never read, or no name be there to be said."""
    fuzz = load()
    kept = fuzz.seeds()
    assert len(kept) >= 20
    assert sum(fuzz.CANARY.encode() in whole for whole in kept.values()) >= len(kept) - 3
    assert {"mosaic", "enhanced", "structures", "liver_1frame.dcm", "rtstruct.dcm", "image_dfl.dcm"} <= set(
        kept
    )


def test_files_cut_short_are_left_out_unless_all_pixels_are_there():
    ends = load().run_cuts(40, 64, seed=7)
    assert not bugs(ends), ends
    assert ends["left out"] > 200, ends


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


ABSURD = {
    "pixels of no size": {"PixelSpacing": ["0.0000001", "0.0000001"]},
    "pixels larger than the earth": {"PixelSpacing": ["1e300", "1e300"]},
    "slices of no thickness": {"SliceThickness": "1e-300"},
    "an intercept beyond all numbers": {"RescaleIntercept": "1e300"},
    "a slope beyond all numbers": {"RescaleSlope": "1e300"},
}


@pytest.mark.filterwarnings("ignore:Invalid value")
@pytest.mark.parametrize("stated", ABSURD.values(), ids=ABSURD)
def test_absurd_numbers_stop_their_series_and_no_other(stated, tmp_path):
    """Found by damage: the scan of the whole place raised."""
    write_dicom_series(tmp_path / "absurd", noise((6, 5, 1)), **stated)
    write_dicom_series(tmp_path / "sound", noise((6, 5, 3)))
    study = io.scan(tmp_path)
    assert study.found == study.loaded == 4
    sound = next(series for series in study.series if series.readable)
    assert io.read(sound).shape == (6, 5, 3)
    (absurd,) = [series for series in study.series if not series.readable]
    with pytest.raises(ReadError, match="export the series again"):
        io.read(absurd, gaps="mark")
