"""What was found odd about the files of the open scan: a line, and on a click all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QSizePolicy

from voxcam.plugin.docks.studies.foldout import Foldout
from voxcam.plugin.review.wording import counted, sentence

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST = 12  # in the tooltip
_ARROW = 30  # what the arrow takes beside the words


class Findings(Foldout):
    """The first finding in a line that is cut where the dock ends; gone where nothing is odd."""

    def __init__(self) -> None:
        super().__init__()
        self._words = ""
        self.head.setSizePolicy(QSizePolicy.Ignored, QSizePolicy.Fixed)
        self.head.setAccessibleName("Findings about the files")

    def show_found(self, found: Sequence[str]) -> None:
        """Show these findings; folded up again."""
        count = f"{counted(len(found), 'finding')}: " if found else ""
        self._words = f"{count}{found[0]}" if found else ""
        self.show_lines(self._words, [sentence(line) for line in found])
        more = [f"and {len(found) - _MOST} more"] if len(found) > _MOST else []
        self.head.setToolTip("\n".join([*found[:_MOST], *more, "", "Click to see all"]))
        self.head.setChecked(False)
        self._fit()

    def resizeEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Cut the line anew."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        room = max(self.width() - _ARROW, 0)
        self.head.setText(self.head.fontMetrics().elidedText(self._words, Qt.ElideRight, room))
