from __future__ import annotations

import json
import logging
import os
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
from builders import affine_of, noise, write_dicom_series

from voxcam import io
from voxcam.errors import ReadError

PYDICOM_FILES = Path(pydicom.__file__).parent / "data" / "test_files"
CANARY = "Zebulon"


def reasons(study):
    return [f.text for f in study.findings if f.kind in ("skipped", "refused")]


def assert_adds_up(study):
    assert study.found == study.loaded + study.skipped + study.refused
    assert study.loaded == sum(len(s.files) for s in study.series)
    assert study.skipped == sum(f.count for f in study.findings if f.kind == "skipped")
    assert study.refused == sum(f.count for f in study.findings if f.kind == "refused")


def test_every_file_of_pydicoms_collection_is_accounted_for():
    study = io.scan(PYDICOM_FILES)
    assert study.found == sum(path.is_file() for path in PYDICOM_FILES.rglob("*"))
    assert_adds_up(study)
    assert study.series


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("reportsi.dcm", "1 file skipped: structured report (SR)"),
        ("SC_rgb_rle_16bit.dcm", "1 file refused: colour of more than 8 bits"),
        ("rtplan_truncated.dcm", "1 file skipped: radiotherapy plan (RTPLAN)"),
        ("liver_1frame.dcm", "1 file refused: it states 1 frames and describes 3: export it again"),
        ("waveform_ecg.dcm", "1 file skipped: waveform"),
        ("MR_truncated.dcm", "1 file refused: pixel data cut short: copy the file again"),
        ("no_meta.dcm", "1 file skipped: not an image file"),
        ("meta_missing_tsyntax.dcm", "1 file refused: damaged DICOM header"),
        ("README.txt", "1 file skipped: not an image file"),
    ],
)
def test_what_is_no_readable_image_is_left_out_with_its_reason(name, reason):
    study = io.scan(PYDICOM_FILES / name)
    assert reasons(study) == [reason]
    assert study.series == ()
    assert_adds_up(study)
    with pytest.raises(ReadError, match="found none") as caught:
        study.choose()
    assert reason in str(caught.value)


def test_a_dicomdir_stands_for_its_medium_and_is_no_image():
    index = PYDICOM_FILES / "dicomdirtests" / "DICOMDIR"
    medium = io.scan(index)
    assert "8 files skipped: index of a medium (DICOMDIR)" in reasons(medium)
    assert [s.key for s in medium.series] == [s.key for s in io.scan(index.parent).series] != []


def test_a_place_with_everything_wrong_in_it(tmp_path):
    write_dicom_series(tmp_path / "good", noise())
    (tmp_path / "empty.dcm").touch()
    (tmp_path / "notes.txt").write_text("seen twice")
    (tmp_path / "magic.dcm").write_bytes(bytes(128) + b"DICM" + b"\xff" * 50)
    (tmp_path / "bundle.zip").write_bytes(b"PK\x03\x04rest")
    (tmp_path / "fake.nii").write_bytes(b"x" * 400)
    (tmp_path / "fake.nii.gz").write_bytes(b"\x1f\x8b" + b"x" * 400)
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    (tmp_path / "good" / "loop").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe")  # opening it would wait for ever
    study = io.scan(tmp_path)
    assert_adds_up(study)
    assert (study.found, study.loaded, study.skipped, study.refused) == (12, 4, 3, 5)
    assert [s.shape for s in study.series] == [(7, 5, 4)]


def test_a_headerless_file_of_group_8_is_read(tmp_path):
    voxels = noise((4, 3, 1))
    path = write_dicom_series(tmp_path / "whole", voxels)[0]
    raw = pydicom.dcmread(path)
    bare = tmp_path / "bare"
    raw.file_meta, raw.preamble = pydicom.dataset.FileMetaDataset(), None
    pydicom.dcmwrite(bare, raw, implicit_vr=True, little_endian=True)
    assert bare.read_bytes()[:2] == b"\x08\x00"
    volume = io.read(io.scan(bare).choose())
    np.testing.assert_array_equal(volume.voxels, voxels - 1024)


def test_an_empty_folder_is_a_study_of_nothing_and_a_missing_one_an_error(tmp_path):
    study = io.scan(tmp_path)
    assert (study.found, study.series) == (0, ())
    assert [f.kind for f in study.findings] == ["empty"]
    with pytest.raises(ReadError, match="found nothing there") as caught:
        io.scan(tmp_path / CANARY)
    assert CANARY not in str(caught.value)


def test_one_file_is_a_place(tmp_path):
    path = write_dicom_series(tmp_path, noise())[2]
    assert io.scan(path).choose().shape == (7, 5, 1)
    assert io.scan(str(path)).found == 1


def test_sizes_that_differ_are_taken_apart(tmp_path):
    uids = {"SeriesInstanceUID": "1.2.3", "FrameOfReferenceUID": "1.2.4"}
    write_dicom_series(tmp_path / "a", noise(), **uids)
    write_dicom_series(tmp_path / "b", noise((9, 9, 3)), **uids)
    study = io.scan(tmp_path)
    assert sorted(s.shape for s in study.series) == [(7, 5, 4), (9, 9, 3)]
    with pytest.raises(ReadError, match="2 series have the UID"):
        study.choose("1.2.3")


@pytest.fixture
def three(tmp_path):
    """A localizer, listed last, and two images."""
    scout = {
        "ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"],
        "SeriesInstanceUID": "1.9.1",
        "SeriesNumber": 1,
    }
    write_dicom_series(tmp_path / "c", noise((6, 6, 1)), **scout)
    write_dicom_series(tmp_path / "b", noise(), SeriesInstanceUID="1.9.23", SeriesNumber=2)
    write_dicom_series(
        tmp_path / "a", noise((8, 8, 2)), SeriesInstanceUID="1.9.24", SeriesNumber=3, Modality="MR"
    )
    return tmp_path


def test_series_are_chosen_by_index_uid_beginning_or_key(three):
    study = io.scan(three)
    assert [s.uid for s in study.series] == ["1.9.23", "1.9.24", "1.9.1"]
    assert [s.localizer for s in study.series] == [False, False, True]
    assert study.choose("0") is study.choose(0) is study.series[0]
    assert study.choose("1.9.24") is study.series[1]
    assert study.choose("1.9.1") is study.series[2]
    assert study.choose(study.series[1].key) is study.series[1]
    with pytest.raises(ReadError, match="2 series have the UID asked for"):
        study.choose("1.9.2")
    for index in ("3", "-1", 3, -1, "99999"):
        with pytest.raises(ReadError, match=f"^no series has index {index}; 3 series here: 0: CT"):
            study.choose(index)
    with pytest.raises(ReadError, match="no series has the UID asked for"):
        study.choose("7.7")


def test_several_series_and_no_choice_are_listed_on_one_line(three):
    with pytest.raises(ReadError) as caught:
        io.scan(three).choose()
    text = str(caught.value)
    assert text == (
        "3 series here: 0: CT 7 x 5 x 4 at 0.8 x 0.9 x 2.5 mm; 1: MR 8 x 8 x 2 at 0.8 x 0.9 x 2.5 mm; ...; "
        "`voxcam scan PLACE` lists them; choose by index or UID (--series)"
    )


def test_a_line_about_many_series_stays_short_and_says_how_to_choose(tmp_path):
    for number in range(30):
        folder = tmp_path / f"{CANARY}{number}"
        write_dicom_series(folder, noise((7, 5, 2)), SeriesInstanceUID=f"1.2.777.{number}")
    study = io.scan(tmp_path)
    for which in (None, "30", "-1", "1.2.777", "7.7"):
        with pytest.raises(ReadError) as caught:
            study.choose(which)
        text = str(caught.value)
        assert len(text) <= 200
        assert "30 series here: 0: CT 7 x 5 x 2" in text
        assert text.endswith("; `voxcam scan PLACE` lists them; choose by index or UID (--series)")
        assert CANARY not in text
        assert "1.2.777" not in text


def test_a_series_without_pixel_size_does_not_pretend_to_mm(tmp_path):
    write_dicom_series(tmp_path / "a", noise(), PixelSpacing=None)
    write_dicom_series(tmp_path / "b", noise())
    texts = {series.spacing_known: str(series) for series in io.scan(tmp_path).series}
    assert texts == {
        False: "CT 7 x 5 x 4, pixel size unknown",
        True: "CT 7 x 5 x 4 at 0.8 x 0.9 x 2.5 mm",
    }


def test_a_localizer_does_not_stand_in_the_way_of_the_only_image(three):
    for path in (three / "a").iterdir():
        path.unlink()
    assert io.scan(three).choose().uid == "1.9.23"


def test_series_without_uid_are_held_together_by_their_folder(tmp_path):
    for folder in ("a", "b"):
        write_dicom_series(tmp_path / folder, noise(), SeriesInstanceUID="", FrameOfReferenceUID="1.2")
    study = io.scan(tmp_path)
    assert [s.shape for s in study.series] == [(7, 5, 4)] * 2


def test_a_key_stands_for_the_images_wherever_they_lie(tmp_path, monkeypatch):
    paths = write_dicom_series(tmp_path / "a", noise())
    (tmp_path / "b").mkdir()
    for number, path in enumerate(reversed(paths)):
        (tmp_path / "b" / str(number)).write_bytes(path.read_bytes())
    here, there = io.scan(tmp_path / "a").series[0], io.scan(tmp_path / "b").series[0]
    assert here.key == there.key
    assert here.uid not in here.key
    monkeypatch.setenv("VOXCAM_SALT", "of this site")
    assert io.scan(tmp_path / "a").series[0].key != here.key


def test_nothing_that_names_the_patient_leaves_the_header(tmp_path, caplog, recwarn):
    folder = tmp_path / CANARY
    said = {
        "PatientName": f"{CANARY}^Q",
        "PatientID": f"{CANARY}-77",
        "PatientBirthDate": "19560708",
        "StudyDate": "20180102",
        "AccessionNumber": f"A{CANARY}",
        "InstitutionName": f"{CANARY} Hospital",
        "SeriesDescription": f"for {CANARY}",
        "StudyInstanceUID": "1.2.777.1",
        "SeriesInstanceUID": "1.2.777.2",
        "FrameOfReferenceUID": "1.2.777.3",
        "RescaleType": f"{CANARY}",
        "SliceThickness": "9",
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the writing of such files says is not ours
        paths = write_dicom_series(folder, noise((7, 5, 6)), affine_of(shear=(1, 0)), **said)
        paths[2].unlink()
        (folder / f"{CANARY}.txt").write_text(CANARY)
    caplog.set_level(logging.DEBUG)
    recwarn.clear()
    study = io.scan(folder)
    series = study.series[0]
    texts = [repr(study), str(study.findings), repr(series), str(series), repr(series.headers), series.key]
    for attempt in (lambda: io.read(series), lambda: study.choose("7.7"), lambda: study.choose("5")):
        with pytest.raises(ReadError) as caught:
            attempt()
        texts.append(str(caught.value))
    paths[1].unlink()
    paths[0].unlink()
    volume = io.read(io.scan(folder).choose())
    texts += [
        repr(volume.source),
        json.dumps(volume.source),
        caplog.text,
        str([str(w.message) for w in recwarn]),
    ]
    for text in texts:
        for secret in (CANARY, CANARY.upper(), "19560708", "20180102", "1.2.777"):
            assert secret not in text


def test_what_pydicom_would_warn_of_stays_unsaid_and_its_filters_come_back(caplog):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        before = list(warnings.filters)
        io.scan(PYDICOM_FILES / "badVR.dcm")
        io.scan(PYDICOM_FILES / "dicomdirtests")
        assert list(warnings.filters) == before
    assert [w for w in caught if "pydicom" in str(w.filename)] == []
    assert caplog.records == []
    assert logging.getLogger("pydicom").filters == []


def test_a_study_of_two_patients_is_not_read(tmp_path):
    shared = {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.4", "FrameOfReferenceUID": "1.2.5"}
    write_dicom_series(tmp_path / "a", noise(), PatientID="1", **shared)
    write_dicom_series(tmp_path / "b", noise(seed=1), affine_of(origin=(0, 0, 500)), PatientID="2", **shared)
    study = io.scan(tmp_path)
    assert [s.shape for s in study.series] == [(7, 5, 4)] * 2
    for series in study.series:
        with pytest.raises(ReadError, match="images of one study name 2 patients"):
            io.read(series)


@pytest.mark.parametrize("magic", [b"MZ", b"\x7fELF", b"#!/bin/sh\n", b"PK\x03\x04", b"\xcf\xfa\xed\xfe"])
def test_a_file_that_is_a_program_as_well_is_refused(magic, tmp_path):
    path = write_dicom_series(tmp_path, noise((7, 5, 1)))[0]
    path.write_bytes(magic + path.read_bytes()[len(magic) :])
    study = io.scan(path)
    assert (study.loaded, study.refused) == (0, 1)


def test_a_tiff_preamble_is_legal(tmp_path):
    path = write_dicom_series(tmp_path, noise((7, 5, 1)))[0]
    path.write_bytes(b"II*\0" + path.read_bytes()[4:])
    assert io.scan(path).loaded == 1


def test_a_second_scan_answers_the_same_from_memory(tmp_path, monkeypatch):
    write_dicom_series(tmp_path / "ct", noise(), WindowCenter=["40", "-600"], WindowWidth=["400", "1500"])
    (tmp_path / "ct" / "broken").write_bytes((tmp_path / "ct" / "000").read_bytes()[:-20])
    for file in (tmp_path / "ct").iterdir():
        os.utime(file, (1e9, 1e9))  # ctime stays: only a file written before the tick of a scan is remembered
    monkeypatch.setattr("voxcam.io.place.cache._TICK_NS", 0)
    first = io.scan(tmp_path)
    monkeypatch.setattr("voxcam.io.dicom.headers.read_header", None)
    monkeypatch.setattr("voxcam.io.places._head", None)
    again = io.scan(tmp_path)
    assert again.series[0].headers == first.series[0].headers
    assert again.series[0].findings == first.series[0].findings
    assert again.findings == first.findings
