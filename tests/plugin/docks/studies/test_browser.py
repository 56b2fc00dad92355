"""The study browser by real Qt events, alone and with scanner, thumbnails and review behind it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from builders import noise, write_dicom_series
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from tests.plugin.docks.dropping import drop
from tests.plugin.docks.seen import heard
from tests.plugin.scanned import PLACE, series, study_of
from voxcam.core.geometry import Geometry
from voxcam.core.volume import Volume
from voxcam.io import Finding
from voxcam.plugin.docks.studies.browser import Browser
from voxcam.plugin.review.reading import Origin
from voxcam.plugin.review.review import Review
from voxcam.plugin.work.scanner import Scanner
from voxcam.plugin.work.thumbnails import Thumbnails

pytestmark = pytest.mark.gui


@pytest.fixture
def browser(qtbot):
    browser = Browser()
    qtbot.addWidget(browser)
    browser.resize(260, 700)
    browser.show()
    qtbot.waitExposed(browser)
    browser.activateWindow()
    return browser


@pytest.fixture
def review(browser):
    """A review that the browser shows, as the room would have it."""
    review = Review()
    for changed in (review.places_changed, review.studies_changed, review.study_changed):
        changed.connect(lambda: browser.show_review(review))
    browser.show_review(review)
    return review


@pytest.fixture
def known(review):
    """A review that knows a place of three series."""
    review.know_place(PLACE, study_of(series(1), series(2, "MR"), series(3, "PT")))
    return review


def opened(review, key):
    volume = Volume(np.zeros((4, 4, 4), np.int16), Geometry((4, 4, 4), np.eye(4)))
    review.open(volume, origin=Origin(PLACE, key))


def press(qtbot, button):
    qtbot.mouseClick(button, Qt.LeftButton)


def test_empty_it_says_what_to_do(browser, review):
    assert "Drop files, folders or zips here" in browser.pages.currentWidget().text()
    assert not browser.search.isEnabled()
    review.know_place(PLACE, study_of(series(1)))
    assert browser.pages.currentWidget() is browser.tree
    review.forget_place(PLACE)
    assert "Drop" in browser.pages.currentWidget().text()


def test_it_is_narrow_enough_for_the_side_of_a_small_window(browser, known):
    assert browser.sizeHint().width() == 260
    assert browser.minimumSizeHint().width() <= 260
    assert browser.minimumSizeHint().height() <= 500


def test_the_buttons_ask(browser, qtbot):
    files, folders = heard(browser.file_asked), heard(browser.folder_asked)
    press(qtbot, browser.file)
    press(qtbot, browser.folder)
    assert (len(files), len(folders)) == (1, 1)


def test_open_asks_for_what_is_chosen_and_says_how_many(browser, known, qtbot):
    asked = heard(browser.series_asked)
    assert not browser.open.isEnabled()
    browser.tree.go_to_first()
    qtbot.keyClick(browser.tree, Qt.Key_Down, Qt.ShiftModifier)
    assert browser.open.text() == "&Open 2 series"
    press(qtbot, browser.open)
    assert [(place, [one.key for one in chosen]) for place, chosen in asked] == [(PLACE, ["key1", "key2"])]


def test_ctrl_f_searches_enter_goes_to_the_first_and_esc_clears(browser, known, qtbot):
    qtbot.waitActive(browser)
    browser.tree.setFocus()
    qtbot.keyClick(browser.tree, Qt.Key_F, Qt.ControlModifier)
    qtbot.waitUntil(browser.search.hasFocus)
    qtbot.keyClicks(browser.search, "pt")
    qtbot.keyClick(browser.search, Qt.Key_Return)
    qtbot.waitUntil(browser.tree.hasFocus)
    assert [row.key for row in browser.tree.chosen] == ["key3"]
    browser.find()
    qtbot.keyClicks(browser.search, "zzz")
    assert "No series has these words" in browser.pages.currentWidget().text()
    qtbot.keyClick(browser.search, Qt.Key_Escape)
    assert browser.search.text() == ""
    assert browser.pages.currentWidget() is browser.tree
    qtbot.keyClick(browser.search, Qt.Key_Escape)
    qtbot.waitUntil(browser.tree.hasFocus)


def test_tab_goes_from_the_buttons_down(browser, known, qtbot):
    qtbot.waitActive(browser)
    browser.tree.go_to_first()
    browser.file.setFocus()
    met = []
    for _ in range(4):
        qtbot.keyClick(QApplication.focusWidget(), Qt.Key_Tab)
        met.append(QApplication.focusWidget())
    assert met == [browser.folder, browser.search, browser.tree, browser.open]


def test_the_open_and_the_shown_are_marked(browser, known):
    opened(known, "key1")
    opened(known, "key3")
    assert browser.tree.marks == {"key1": "open", "key3": "shown"}
    known.show(known.opened("key1"))
    assert browser.tree.marks == {"key1": "shown", "key3": "open"}


def test_closing_asks_for_the_reading_as_it_is_now(browser, known, qtbot):
    opened(known, "key1")
    known.go_to((1.0, 1.0, 1.0))  # another value of the same study
    browser.close_asked.connect(known.close)
    browser.tree.go_to_first()
    qtbot.keyClick(browser.tree, Qt.Key_Delete)
    assert known.readings == ()
    assert browser.tree.marks == {}


def test_forgetting_asks_for_the_place(browser, known):
    asked = heard(browser.forget_asked)
    menu = browser.tree.menu_at(browser.tree.model().index(0, 0))
    menu.actions()[-1].trigger()
    assert asked == [(PLACE,)]


def test_findings_of_the_chosen_row_unfold(browser, review, qtbot):
    odd = Finding("overlap", "slices overlap")
    review.know_place(PLACE, study_of(series(1, findings=(odd, odd)), series(2)))
    browser.tree.go_to_first()
    assert browser.findings.head.text() == "2 findings"
    assert not browser.findings.body.isVisible()
    press(qtbot, browser.findings.head)
    assert browser.findings.body.isVisible()
    assert browser.findings.body.toPlainText() == "Slices overlap\nSlices overlap"
    qtbot.keyClick(browser.tree, Qt.Key_Down)
    assert not browser.findings.isVisible()
    browser.tree.findings_asked.emit(browser.tree.rows.shown[0].studies[0].rows[0])
    assert browser.findings.body.isVisible()


def test_what_was_left_out_is_counted_and_unfolds(browser, review, qtbot):
    assert not browser.left_out.isVisible()
    findings = (Finding("refused", "2 files refused: damaged DICOM header", 2),)
    left_out = ((PLACE / "IM1", "damaged DICOM header"),)
    review.know_place(PLACE, study_of(series(1), findings=findings, left_out=left_out, skipped=14, refused=2))
    assert browser.left_out.head.text() == "Left out: 14 files skipped, 2 refused"
    browser.left_out.head.setFocus()
    qtbot.keyClick(browser.left_out.head, Qt.Key_Space)
    assert browser.left_out.body.toPlainText() == (
        "2 files refused: damaged DICOM header\nIM1: damaged DICOM header"
    )
    assert browser.left_out.body.isVisible()
    # All of it can be read without scrolling, also after it became narrower.
    browser.resize(220, 700)
    qtbot.waitUntil(lambda: browser.left_out.body.verticalScrollBar().maximum() == 0)


def test_progress_is_shown_until_the_scan_has_ended_and_can_be_cancelled(browser, qtbot):
    asked = heard(browser.cancel_asked)
    assert not browser.progress.isVisible()
    browser.show_progress(412, 2000)
    assert browser.progress.words.text() == "412 of 2,000 files"
    press(qtbot, browser.progress.cancel)
    assert len(asked) == 1
    browser.show_ended()
    assert not browser.progress.isVisible()


def test_a_failure_is_said_and_stays_until_more_is_asked(browser, qtbot):
    browser.show_failure("expected a folder, found <b>nothing</b>", Path("/x/gone"))
    browser.show_failure("damaged archive")
    assert browser.failure.isVisible()
    assert browser.failure.text() == "gone: expected a folder, found <b>nothing</b>\ndamaged archive"
    assert browser.failure.textFormat() == Qt.PlainText
    press(qtbot, browser.folder)
    assert not browser.failure.isVisible()
    assert browser.failure.text() == ""


@pytest.mark.parametrize("onto", ["browser", "tree", "search"])
def test_dropped_paths_are_asked_for(browser, known, onto, tmp_path):
    asked = heard(browser.places_asked)
    archive = tmp_path / "exam.zip"
    widget = {"browser": browser, "tree": browser.tree.viewport(), "search": browser.search}[onto]
    while not widget.acceptDrops():  # Qt goes on to the parent
        widget = widget.parentWidget()
    assert drop(widget, tmp_path, archive)
    assert asked == [([tmp_path, archive],)]


def test_from_a_dropped_folder_to_pictures_in_the_list(browser, review, qtbot, tmp_path):
    for number in range(3):
        write_dicom_series(tmp_path / str(number), noise((20, 16, 4), seed=number), SeriesNumber=number)
    scanner, thumbnails = Scanner(), Thumbnails()
    browser.places_asked.connect(scanner.scan)
    scanner.found.connect(review.know_place)
    scanner.progressed.connect(browser.show_progress)
    scanner.failed.connect(browser.show_failure)
    scanner.ended.connect(browser.show_ended)
    browser.thumbnails_wanted.connect(thumbnails.want)
    thumbnails.made.connect(browser.show_thumbnail)
    try:
        with qtbot.waitSignal(scanner.ended, timeout=20_000):
            drop(browser, tmp_path, tmp_path / "gone")
        qtbot.waitUntil(lambda: len(browser.tree.pictures) == 3, timeout=20_000)
        assert all(picture.width() > 1 for picture in browser.tree.pictures.values())
        assert browser.failure.text().startswith("gone: ")
        assert not browser.progress.isVisible()
        assert len(review.places[tmp_path].series) == 3
    finally:
        scanner.close()
        thumbnails.close()
        assert scanner.wait(30)
        assert thumbnails.wait(30)


def test_a_place_without_images_is_said_in_a_line(browser, review, qtbot, tmp_path):
    scanner = Scanner()
    scanner.found.connect(review.know_place)
    scanner.found.connect(browser.show_found)
    (tmp_path / "letters").mkdir()
    for number in range(3):
        (tmp_path / "letters" / f"{number}.txt").write_text("no image")
    try:
        with qtbot.waitSignal(scanner.ended, timeout=20_000):
            scanner.scan([tmp_path / "letters"])
        assert browser.failure.text() == "letters: no images found; 3 files skipped"
        assert browser.failure.isVisible()
        browser.show_found(PLACE, study_of(series(1)))
        assert browser.failure.text().count("no images") == 1
    finally:
        scanner.close()
        assert scanner.wait(30)


def without_place(review, depth):
    review.open(Volume(np.zeros((4, 4, depth), np.int16), Geometry((4, 4, depth), np.eye(4)), "MR"))
    return review.volume


def test_what_is_open_and_of_no_place_is_listed_shown_and_closed_by_keys(browser, known, qtbot):
    opened(known, "key1")
    assert not browser.placeless.isVisible()
    first, second = without_place(known, 5), without_place(known, 6)
    opened(known, "key2")
    rows = browser.placeless.rows
    assert [rows.item(n).text() for n in range(rows.count())] == [
        "MR 4 × 4 × 5, 1 × 1 × 1 mm",
        "MR 4 × 4 × 6, 1 × 1 × 1 mm",
    ]
    browser.show_asked.connect(known.show)
    browser.close_asked.connect(known.close)
    rows.setCurrentRow(0)
    qtbot.keyClick(rows, Qt.Key_Return)
    assert known.volume is first
    assert browser.placeless.isVisible()
    known.go_to((1.0, 1.0, 1.0))  # another value of the same study
    chosen = next(n for n in range(rows.count()) if "× 5" in rows.item(n).text())
    assert rows.item(chosen).font().bold()
    rows.setCurrentRow(chosen)
    qtbot.keyClick(rows, Qt.Key_Delete)
    assert [one.volume is second for one in known.readings if one.origin is None] == [True]
    where = rows.visualItemRect(rows.item(0)).center()
    qtbot.mouseClick(rows.viewport(), Qt.LeftButton, pos=where)
    qtbot.mouseDClick(rows.viewport(), Qt.LeftButton, pos=where)
    assert known.volume is second
    known.forget_place(PLACE)  # the others have no row any more
    assert rows.count() == 3
