"""Places and studies as the browser lists them: numbered, named, kept, and marked where open."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from builders import noise, write_dicom_series

from tests.plugin.scanned import PLACE, series, study_of
from voxcam.core.geometry import Geometry
from voxcam.core.volume import Volume
from voxcam.io import scan
from voxcam.plugin.review.catalogue import catalogue, marks, place_names
from voxcam.plugin.review.reading import Origin
from voxcam.plugin.review.review import Review


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
