"""That the evidence on the screen is not of the model that is chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QSizePolicy

from voxcam.plugin.docks.parts import in_colour

if TYPE_CHECKING:
    from voxcam.core.explanation import Explanation
    from voxcam.model.statement import Statement

_WORDS = "This evidence is of {}; the model chosen now is {}: run it."
_NAME_LETTERS = 17  # with two names as long, two lines in the narrowest dock

_Model = tuple[str, str]  # name and version; "" where not known


class OtherModel(QLabel):  # type: ignore[misc]
    """Warns while the model that is chosen is not the one that made the evidence."""

    def __init__(self) -> None:
        super().__init__()
        self._made_by: _Model = ("", "")
        self._chosen: _Model = ("", "")
        self.setWordWrap(True)
        self.setTextFormat(Qt.PlainText)
        self.setTextInteractionFlags(Qt.TextSelectableByMouse)
        self.setSizePolicy(QSizePolicy.Preferred, QSizePolicy.Maximum)
        in_colour(self, "warning")
        self.hide()

    @property
    def warns(self) -> bool:
        """Whether both models are known, and differ."""
        return bool(self._made_by[0] and self._chosen[0]) and self._made_by != self._chosen

    def show_evidence(self, explanation: Explanation | None) -> None:
        """Take note of what the evidence's provenance tells of its model."""
        found = explanation.provenance.get("classifier", {}) if explanation is not None else {}
        self._made_by = (str(found.get("name", "")), str(found.get("version") or ""))
        self._show()

    def show_chosen(self, statement: Statement | None) -> None:
        """Take note of what the chosen model says of itself; None while that is not known."""
        self._chosen = ("", "") if statement is None else (statement.name, statement.version)
        self._show()

    def _show(self) -> None:
        (made_by, old), (chosen, new) = self._made_by, self._chosen
        if made_by == chosen:
            made_by, chosen = f"{made_by} version {old or 'unknown'}", f"version {new or 'unknown'}"
        metrics = self.fontMetrics()
        room = _NAME_LETTERS * metrics.averageCharWidth()
        short = [metrics.elidedText(name, Qt.ElideMiddle, room) for name in (made_by, chosen)]
        self.setText(_WORDS.format(*short) if self.warns else "")
        self.setToolTip(_WORDS.format(made_by, chosen) if self.warns else "")
        self.setVisible(self.warns)
