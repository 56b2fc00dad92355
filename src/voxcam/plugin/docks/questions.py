"""Questions before a run: whether a model's own code may run, and whether changed weights are meant."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QDialog, QDialogButtonBox, QLabel, QPlainTextEdit, QVBoxLayout, QWidget

if TYPE_CHECKING:
    from voxcam.errors import ChangedWeightsError
    from voxcam.model.trusted import Code

_ASKED = (
    "Loading this model runs code that came with it. Nothing has run yet. Code can read and send any file "
    "of yours: trust it only if you know where it comes from."
)


class TrustDialog(QDialog):  # type: ignore[misc]
    """Ask whether code may run. Nothing is chosen beforehand, and closing it means no."""

    trusted = Signal(str)  # "sha256:..."

    def __init__(self, code: Code, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Run code that came with a model?")
        self.digest = f"sha256:{code.digest}"
        column = QVBoxLayout(self)
        asked = QLabel(f"<b>{escape(code.name)}</b><br><br>{_ASKED}")
        asked.setTextFormat(Qt.RichText)
        asked.setWordWrap(True)
        column.addWidget(asked)
        self.listing = QPlainTextEdit(listing(code))
        self.listing.setReadOnly(True)
        column.addWidget(self.listing, 1)
        self.buttons = QDialogButtonBox()
        refuse = self.buttons.addButton("Do not run it", QDialogButtonBox.RejectRole)
        self.buttons.addButton("Trust this code and run it", QDialogButtonBox.AcceptRole)
        refuse.setDefault(True)
        refuse.setFocus()
        self.buttons.rejected.connect(self.reject)
        self.buttons.accepted.connect(self._trust)
        column.addWidget(self.buttons)
        self.resize(680, 420)

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
        told = QLabel(str(changed).partition("; if that is meant")[0].replace(" sha256:", "\nsha256:") + ".")
        told.setWordWrap(True)
        told.setTextInteractionFlags(Qt.TextSelectableByMouse)
        column.addWidget(told)
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


def listing(code: Code) -> str:
    """Return what would run, a place a line, and the digest that is trusted."""
    lines = [str(need) for need in code.would_run]
    lines += [f"it also holds {words}" for words in code.also_holds]
    return "\n".join([*lines, "", f"trusted is exactly this, and remembered: sha256:{code.digest}"])
