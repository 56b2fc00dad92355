"""Files that belong to no series: counted, and told why."""

from __future__ import annotations

from pathlib import Path

from tests.plugin.scanned import PLACE, study_of
from voxcam.io import Finding
from voxcam.plugin.review.catalogue import catalogue
from voxcam.plugin.review.left_out import left_out_lines, left_out_words


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


def test_of_very_many_refused_files_the_first_are_named_and_the_others_counted():
    left_out = tuple((PLACE / f"IM{number}", "cut short") for number in range(1350))
    lines = left_out_lines(catalogue({PLACE: study_of(left_out=left_out)}))
    assert lines[:200] == [f"IM{number}: cut short" for number in range(200)]
    assert lines[200:] == ["and 1,150 more"]
