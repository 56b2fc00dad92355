"""The main dock: scan, classifier and measuring in tabs, the evidence below, and what there is to say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QLabel, QSizePolicy, QTabWidget, QVBoxLayout, QWidget

from voxcam.plugin.docks.classifier.model_panel import ModelPanel
from voxcam.plugin.docks.evidence.evidence_panel import EvidencePanel
from voxcam.plugin.docks.parts import in_colour
from voxcam.plugin.docks.scan.measure_panel import MeasurePanel
from voxcam.plugin.docks.scan.readout import Readout
from voxcam.plugin.docks.scan.scan_panel import ScanPanel
from voxcam.plugin.review.review import LABEL

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

WIDTH = 318
_FRAME = 6  # pixels round a panel of the tabs


class Panels(QWidget):  # type: ignore[misc]
    """Lay out the panels; who joins them to a review is `voxcam.plugin.room`.

    Parameters
    ----------
    bundles
        Title and place of the models to choose from at first.
    """

    def __init__(self, bundles: Mapping[str, Path]) -> None:
        super().__init__()
        self.scan, self.classifier, self.measure = ScanPanel(), ModelPanel(bundles), MeasurePanel()
        self.evidence, self.readout = EvidencePanel(), Readout()
        self.tabs, self.message, self.label = Tabs(), QLabel(""), QLabel(LABEL)
        for panel, title in (
            (self.scan, "&Scan"),
            (self.classifier, "&Classifier"),
            (self.measure, "&Measure"),
        ):
            self.tabs.add(panel, title)
        self._lay_out()

    def sizeHint(self) -> Any:  # noqa: N802 - Qt's name
        """Wide enough for the class table."""
        hint = super().sizeHint()
        hint.setWidth(WIDTH)
        return hint

    def say(self, line: str, wrong: bool) -> None:
        """Show one line, in the colour of an error if it is one; "" takes it away."""
        self.message.setText(line)
        self.message.setProperty("wrong", wrong)
        in_colour(self.message, "error" if wrong else "text")
        self.message.setVisible(bool(line))

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 4, 8, 6)
        column.setSpacing(6)
        for widget, stretch in (
            (self.tabs, 0),
            (self.evidence, 1),
            (self.readout, 0),
            (self.message, 0),
            (self.label, 0),
        ):
            column.addWidget(widget, stretch)
        self.message.setTextInteractionFlags(Qt.TextSelectableByMouse)
        self.message.setTextFormat(Qt.PlainText)
        for label in (self.message, self.label):
            label.setWordWrap(True)
        in_colour(self.label, "warning")
        self.setMinimumWidth(300)
        self.setSizePolicy(QSizePolicy.Preferred, QSizePolicy.Expanding)


class Tabs(QTabWidget):  # type: ignore[misc]
    """Tabs as high as the one on top: the others do not take the evidence's place."""

    def __init__(self) -> None:
        super().__init__()
        self.setDocumentMode(True)
        self.setSizePolicy(QSizePolicy.Preferred, QSizePolicy.Maximum)
        self.currentChanged.connect(self._fit)

    def add(self, panel: QWidget, title: str) -> None:
        """Add a panel."""
        self.addTab(panel, title)
        self._fit()

    def show_panel(self, panel: QWidget) -> None:
        """Bring a panel to the top."""
        self.setCurrentWidget(panel)

    def hasHeightForWidth(self) -> bool:  # noqa: N802 - Qt's name
        """Words wrap: how high the panel on top is depends on the width."""
        return True

    def heightForWidth(self, width: int) -> int:  # noqa: N802 - Qt's name
        """As high as the panel on top."""
        panel = self.currentWidget()
        if panel is None:
            return int(super().heightForWidth(width))
        wanted = panel.heightForWidth(width) if panel.hasHeightForWidth() else -1
        wanted = wanted if wanted > 0 else panel.sizeHint().height()
        return int(wanted + self.tabBar().sizeHint().height() + _FRAME)

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """As wide as the dock, as high as the panel on top."""
        return QSize(WIDTH, self.heightForWidth(WIDTH))

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """As wide as any panel needs, as high as the one on top."""
        return QSize(super().minimumSizeHint().width(), self.heightForWidth(WIDTH))

    def _fit(self, _: int = 0) -> None:
        self.updateGeometry()
