"""Questions before a run: whether a model's own code may run, and whether changed weights are meant."""

from __future__ import annotations

from html import escape
from itertools import groupby
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QFontDatabase
from qtpy.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QPlainTextEdit,
    QVBoxLayout,
    QWidget,
)

from voxcam.plugin.docks.classifier.code_texts import code_texts
from voxcam.plugin.docks.parts import page_style, quiet, resize_to_letters, told
from voxcam.plugin.docks.theme import follow

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from voxcam.errors import ChangedWeightsError
    from voxcam.model.bundle import Need
    from voxcam.model.trusted import Code

WOULD_RUN = "What would run"
_ASKED = "Loading this model runs code that came with it. Nothing has run yet."
_WARNED = "Code can read and send any file of yours: trust it only if you know where it comes from."
_REMEMBERED = (
    "What you trust is exactly this, and it is remembered. Change one letter and you are asked again."
)
_OTHER = "A new version has other weights, and so has a model that somebody swapped."


class TrustDialog(QDialog):  # type: ignore[misc]
    """Ask whether code may run. Nothing is chosen beforehand, and closing it means no."""

    trusted = Signal(str)  # "sha256:..."

    def __init__(self, code: Code, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Run code that came with a model?")
        self._code, self._texts = code, code_texts(None)
        self.digest = f"sha256:{code.digest}"
        column = QVBoxLayout(self)
        asked = QLabel(f"<b>{escape(code.name)}</b><br><br>{_ASKED}")
        asked.setTextFormat(Qt.RichText)
        asked.setWordWrap(True)
        column.addWidget(asked)
        warned = told("warning")
        warned.setText(_WARNED)
        column.addWidget(warned)
        column.addWidget(quiet(places(code)))
        self.listing = QPlainTextEdit(listing(code))
        follow(self.listing, lambda: self.listing.setStyleSheet(page_style()))
        self.listing.setReadOnly(True)
        self.listing.setFont(QFontDatabase.systemFont(QFontDatabase.FixedFont))
        self.listing.setAccessibleName(WOULD_RUN)
        self.listing.setTabChangesFocus(True)
        self.files = QListWidget()
        self.files.setAccessibleName("Files of the model")
        self.files.setToolTip("What would run, and the text of the files; reading them runs nothing")
        self.files.currentRowChanged.connect(self._show_file)
        self.files.hide()
        column.addLayout(self._pages(), 1)
        column.addWidget(quiet(_REMEMBERED))
        self.buttons = QDialogButtonBox()
        refuse = self.buttons.addButton("Do not run it", QDialogButtonBox.RejectRole)
        self.buttons.addButton("Trust this code and run it", QDialogButtonBox.AcceptRole)
        refuse.setDefault(True)
        refuse.setFocus()
        self.buttons.rejected.connect(self.reject)
        self.buttons.accepted.connect(self._trust)
        column.addWidget(self.buttons)
        resize_to_letters(self, 110, 36)

    def show_files(self, place: Path | None) -> None:
        """Offer the text of the model's files beside what would run; nothing of them is run."""
        self._texts = code_texts(place)
        self.files.addItems([WOULD_RUN, *(text.name for text in self._texts)])
        for row in range(self.files.count()):
            self.files.item(row).setToolTip(self.files.item(row).text())
        self.files.setCurrentRow(0)
        self.files.setVisible(bool(self._texts))

    def _pages(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.addWidget(self.files, 1)
        row.addWidget(self.listing, 3)
        return row

    def _show_file(self, row: int) -> None:
        self.listing.setPlainText(self._texts[row - 1].text if row > 0 else listing(self._code))
        self.listing.setAccessibleName(self.files.item(row).text() if row > 0 else WOULD_RUN)

    def _trust(self) -> None:
        self.trusted.emit(self.digest)
        self.accept()


class WeightsDialog(QDialog):  # type: ignore[misc]
    """Ask whether weights that changed under a known name are meant; closing it means no."""

    accepted_weights = Signal(str)  # "sha256:..."

    def __init__(self, changed: ChangedWeightsError, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Other weights than before?")
        self.digest = f"sha256:{changed.found}"
        column = QVBoxLayout(self)
        words = told("text")
        words.setText(str(changed).partition("; if that is meant")[0].replace(" sha256:", "\nsha256:") + ".")
        column.addWidget(words)
        column.addWidget(quiet(_OTHER))
        self.buttons = QDialogButtonBox()
        refuse = self.buttons.addButton("Do not use them", QDialogButtonBox.RejectRole)
        self.buttons.addButton("They are meant: use them", QDialogButtonBox.AcceptRole)
        refuse.setDefault(True)
        refuse.setFocus()
        self.buttons.rejected.connect(self.reject)
        self.buttons.accepted.connect(self._accept)
        column.addWidget(self.buttons)

    def _accept(self) -> None:
        self.accepted_weights.emit(self.digest)
        self.accept()


def places(code: Code) -> str:
    """Return how much would run, in a sentence."""
    count, files = len(code.would_run), len({need.file for need in code.would_run})
    return f"It would do so in {count} place{'s' * (count != 1)} of {files} file{'s' * (files != 1)}:"


def listing(code: Code) -> str:
    """Return what would run, file by file and place by place, and the digest that is trusted."""
    lines: list[str] = []
    for file, needs in groupby(code.would_run, key=lambda need: need.file):
        lines += [file, *(line for need in needs for line in _shown(need)), ""]
    lines += [f"It also holds {words}." for words in code.also_holds]
    return "\n".join([*lines, "", f"sha256:{code.digest}"])


def _shown(need: Need) -> Iterator[str]:
    where = f"line {need.line}: " if need.line else ""
    yield f"  {where}{need.what}{f' at {need.place}' if need.place else ''}"
    if need.text:
        yield f"      {need.text}"
