"""The browser's rows: words for readers, groups of studies, badges, and what a search finds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from builders import noise, write_dicom_series

from voxcam.core.geometry import Geometry
from voxcam.core.volume import Volume
from voxcam.io import Finding, Series, Study, scan
from voxcam.plugin.review.catalogue import (
    catalogue,
    left_out_lines,
    left_out_words,
    marks,
    place_names,
)
from voxcam.plugin.review.reading import Origin
from voxcam.plugin.review.review import Review

PLACE = Path("here") / "scans"


def series(number, modality="CT", description="", study="1.1", patient="p", **changes):
    shape = changes.pop("shape", (512, 512, 300))
    made = Series(
        uid=f"1.2.{number}",
        key=f"key{number}",
        modality=modality,
        description=description,
        shape=shape,
        spacing_mm=(0.7031, 0.7031, 1.25),
        files=(PLACE / f"IM{number}",),
        format="dicom",
        headers=tuple(SimpleNamespace(study_uid=study, patient=patient) for _ in range(shape[2])),
    )
    return replace(made, **changes)


def study_of(*found, findings=(), left_out=(), skipped=0, refused=0):
    return Study(tuple(found), tuple(findings), len(found), len(found), skipped, refused, tuple(left_out))


def row_of(one):
    return catalogue({PLACE: study_of(one)})[0].studies[0].rows[0]


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (series(1), ("512 × 512 × 300", "0.7 × 0.7 × 1.25 mm", "300 images", "512 × 512, 300 images")),
        (
            series(1, shape=(2048, 2500, 1)),
            ("2048 × 2500", "0.7 × 0.7 mm", "1 image", "2048 × 2500, 1 image"),
        ),
        (
            series(1, shape=(96, 90, 40, 5), headers=series(1, shape=(1, 1, 200)).headers),
            (
                "96 × 90 × 40, 5 times",
                "0.7 × 0.7 × 1.25 mm",
                "200 images",
                "96 × 90 × 40, 5 times, 200 images",
            ),
        ),
        (
            series(1, modality="", format="nifti", headers=()),
            ("512 × 512 × 300", "0.7 × 0.7 × 1.25 mm", "300 slices", "512 × 512, 300 slices"),
        ),
        (
            series(1, shape=(10, 10, 1), findings=(Finding("no-pixel-size", "no pixel size"),)),
            ("10 × 10", "pixel size unknown", "1 image", "10 × 10, 1 image"),
        ),
        (
            series(1, shape=(10, 10, 2), spacing_mm=(0.0485, 12.5, 3.0)),
            ("10 × 10 × 2", "0.049 × 12.5 × 3 mm", "2 images", "10 × 10, 2 images"),
        ),
    ],
)
def test_size_spacing_and_images_are_said_in_words(one, words):
    row = row_of(one)
    assert (row.size, row.spacing, row.images, row.extent) == words


def test_a_row_is_called_by_modality_and_description_and_a_file_without_one_by_its_name():
    assert row_of(series(1, "MR", " T2   axial ")).title == "MR T2 axial"
    assert row_of(series(1, "CT")).title == "CT"
    nifti = series(1, "", format="nifti", headers=(), files=(PLACE / "brain_t1.nii.gz",))
    assert row_of(nifti).title == "NIfTI brain_t1"
    # What came out of an archive has a number for a name, which says nothing.
    assert row_of(replace(nifti, keeps=object())).title == "NIfTI"


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({}, ""),
        ({"localizer": True}, "localizer"),
        ({"kind": "segmentation"}, "segmentation"),
        ({"headers": (SimpleNamespace(is_label=True),)}, "labels"),
    ],
)
def test_what_is_no_plain_image_says_what_it_is(changes, kind):
    assert row_of(series(1, **changes)).kind == kind


def test_findings_that_stop_come_first_and_gaps_can_be_opened_all_the_same():
    odd, gap, lost = (
        Finding("overlap", "slices overlap"),
        Finding("missing-slices", "2 missing", 2, True),
        None,
    )
    lost = Finding("incomplete", "a file is damaged", 1, True)
    row = row_of(series(1, findings=(odd, gap, odd)))
    assert [(badge.stops, badge.count) for badge in row.badges] == [(True, 1), (False, 2)]
    assert row.badges[0].texts == ("2 missing",)
    assert row.badges[1].texts == ("Slices overlap", "Slices overlap")
    assert row.can_be_opened
    stopped = row_of(series(1, findings=(gap, lost)))
    assert not stopped.can_be_opened
    assert stopped.details.startswith("cannot be opened")


def test_one_patients_studies_are_numbered_in_the_order_of_the_scan():
    (row,) = catalogue(
        {
            PLACE: study_of(
                series(1, "CT"),
                series(2, "MR", study="1.9"),
                series(3, "CT"),
                series(4, "PT"),
                series(5, "CT"),
            )
        }
    )
    assert [study.title for study in row.studies] == ["Study 1", "Study 2"]
    assert [one.key for one in row.studies[0].rows] == ["key1", "key3", "key4", "key5"]
    assert row.studies[0].words == "4 series, CT, PT"
    assert row.words == "2 studies, 5 series, CT, MR, PT"


def test_several_patients_are_told_apart_by_number_alone():
    first, second = "hash-a", "hash-b"
    (row,) = catalogue(
        {
            PLACE: study_of(
                series(1, patient=first),
                series(2, study="1.2", patient=first),
                series(3, study="1.3", patient=second),
                series(4, study="1.3", patient=second),
                series(5, "", format="nifti", headers=()),
            )
        }
    )
    titles = [study.title for study in row.studies]
    assert titles == ["Patient 1, study 1", "Patient 1, study 2", "Patient 2, study 1", "Files"]
    shown = repr([(study.title, study.words, [one.lines for one in study.rows]) for study in row.studies])
    assert not any(secret in shown for secret in (first, second, "1.3"))
    # A study that is one series says whose it is on its own.
    assert row.studies[0].rows[0].details.startswith("Patient 1, ")
    assert not row.studies[2].rows[0].details.startswith("Patient")


def test_files_left_out_are_counted_and_the_refused_named():
    findings = (
        Finding("refused", "2 files refused: damaged DICOM header", 2),
        Finding("skipped", "14 files skipped: structured report (SR)", 14),
        Finding("several-studies", "the place holds 2 studies of one patient", 2),
    )
    left_out = ((PLACE / "deep" / "IM7", "damaged DICOM header"), (Path("/tmp/x/3"), "cut short"))
    one = study_of(findings=findings, left_out=left_out, skipped=14, refused=2)
    rows = catalogue({PLACE: one, Path("other"): study_of()})
    assert rows[0].left_out == "14 files skipped, 2 refused"
    assert left_out_words([one, study_of(refused=1)]) == "14 files skipped, 3 refused"
    assert left_out_words([study_of(refused=1)]) == "1 file refused"
    assert left_out_words([study_of()]) == ""
    lines = left_out_lines(rows)
    assert lines[:3] == ["scans:", findings[0].text, findings[1].text]
    # What was unpacked to a folder of its own is not told where.
    assert lines[3:] == [f"{Path('deep') / 'IM7'}: damaged DICOM header", "3: cut short"]
    assert [badge.texts for badge in rows[0].badges] == [("The place holds 2 studies of one patient",)]


def test_places_of_one_name_are_told_apart_by_the_folder_above():
    a, b, c = Path("/x/anna/DICOM"), Path("/x/ben/DICOM"), Path("/y/other")
    assert place_names([a, b, c]) == {a: "anna/DICOM", b: "ben/DICOM", c: "other"}
    assert place_names([Path("/x"), Path("/x/x")]) == {Path("/x"): "/x", Path("/x/x"): "x/x"}


def test_a_place_scanned_before_keeps_its_rows():
    one, two = study_of(series(1)), study_of(series(2))
    before = catalogue({PLACE: one})
    after = catalogue({PLACE: one, Path("new"): two}, before)
    assert after[0] is before[0]
    assert catalogue({PLACE: two}, before)[0] is not before[0]


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("", True),
        ("ct", True),
        ("CT LUNG", True),
        ("lung mr", False),
        ("512x512", True),
        ("0.7", True),
        ("overlap", True),
        ("study 1", True),
        ("scans", True),
        ("localizer", False),
        ("straße", True),
        ("STRASSE", True),
    ],
)
def test_every_word_of_a_search_must_be_there(search, found):
    row = row_of(series(1, description="Lung Straße", findings=(Finding("overlap", "slices overlap"),)))
    assert row.matches(search) is found


def test_a_search_finds_no_hidden_identity():
    row = row_of(series(1, study="1.77.5", patient="fingerprint"))
    assert not row.matches("1.77.5")
    assert not row.matches("fingerprint")
    assert not row.matches("key1")


def test_marks_follow_the_review():
    review, volume = Review(), Volume(np.zeros((4, 4, 4), np.int16), Geometry((4, 4, 4), np.eye(4)))
    review.open(volume)
    for key in ("a", "b"):
        review.open(volume, origin=Origin(PLACE, key))
    assert marks(review.readings, review.reading) == {"a": "open", "b": "shown"}
    review.show(review.opened("a"))
    assert marks(review.readings, review.reading) == {"a": "shown", "b": "open"}
    review.close(review.opened("a"))
    assert marks(review.readings, review.reading)["b"] == "shown"


def test_real_files_become_rows(tmp_path):
    place = tmp_path / "exam"
    for number, modality in enumerate(("CT", "MR")):
        write_dicom_series(
            place / modality,
            noise((6, 5, 4)),
            Modality=modality,
            SeriesDescription=f"part {number}",
            PatientID="secret",
        )
    (place / "note.txt").write_text("no image")
    (row,) = catalogue({place: scan(place)})
    titles = [one.title for study in row.studies for one in study.rows]
    assert sorted(titles) == ["CT part 0", "MR part 1"]
    assert {one.images for study in row.studies for one in study.rows} == {"4 images"}
    assert row.left_out == "1 file skipped"
    assert "secret" not in repr([one.lines for study in row.studies for one in study.rows]) + repr(row)
