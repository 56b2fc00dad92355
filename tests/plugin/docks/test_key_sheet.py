"""The key sheet shows every key with its words, in the theme's colours, and prints black on white."""

from __future__ import annotations

import pytest
from qtpy.QtCore import Qt
from qtpy.QtGui import QTextDocument

from voxcam.plugin.docks.key_sheet import KeySheet, can_print, keys_as_html
from voxcam.plugin.docks.theme import colours
from voxcam.plugin.keys import KEYS


def test_every_key_and_its_words_are_on_it_in_order(qapp):
    document = QTextDocument()
    document.setHtml(keys_as_html("#000000", "#000000", "#000000"))
    lines = [line.strip() for line in document.toPlainText().splitlines()]
    places = [lines.index(key.shown) for key in KEYS.values()]
    assert places == sorted(places)
    for key, at in zip(KEYS.values(), places, strict=True):
        assert lines[at + 1].removesuffix(" (napari)") == key.words
        assert lines[at + 1].endswith("(napari)") == (key.by == "napari")


@pytest.mark.gui
def test_it_opens_reads_and_closes_by_keyboard(qtbot):
    sheet = KeySheet()
    qtbot.addWidget(sheet)
    sheet.show()
    assert "Ctrl+Enter" in sheet.text.toPlainText()
    assert colours().background in sheet.text.styleSheet()
    assert sheet.text.verticalScrollBar().maximum() < sheet.text.viewport().height(), "it fits, or nearly"
    qtbot.keyClick(sheet, Qt.Key_Escape)
    assert not sheet.isVisible()


@pytest.mark.gui
@pytest.mark.skipif(not can_print(), reason="this Qt knows of no printers")
def test_it_prints_black_on_white_whatever_the_theme(qtbot, tmp_path):
    from qtpy.QtPrintSupport import QPrinter

    sheet = KeySheet()
    qtbot.addWidget(sheet)
    printer = QPrinter()
    printer.setOutputFormat(QPrinter.OutputFormat.PdfFormat)
    printer.setOutputFileName(str(tmp_path / "keys.pdf"))
    sheet.print_on(printer)
    written = (tmp_path / "keys.pdf").read_bytes()
    assert written.startswith(b"%PDF")
    assert len(written) > 3_000
