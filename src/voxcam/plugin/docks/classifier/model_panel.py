"""Which classifier, how the scan fits it, where it runs, and the run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QProgressBar, QWidget

from voxcam.plugin.docks.classifier.model_box import ModelBox
from voxcam.plugin.docks.classifier.model_details import ModelDetails, code_words
from voxcam.plugin.docks.classifier.run_options import RunOptionsDialog
from voxcam.plugin.docks.parts import button_for, column_of, in_colour, quiet, told
from voxcam.plugin.keys import tip
from voxcam.plugin.preferences import DEVICES
from voxcam.plugin.work.bundles import DEMO, KINDS, Offer, may_be_model
from voxcam.plugin.work.options import RunOptions, moments_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from voxcam.model.fitness import Fit
    from voxcam.plugin.review.review import Review
    from voxcam.plugin.work.bundles import Description

__all__ = ["DEVICES", "RUN_TIP", "ModelPanel"]

RUN_TIP = tip("Score the scan and find the evidence for every class", "run")
CANCEL_TIP = tip("Stop at the next step", "cancel")
_DEVICE_TIP = "Where the network runs; auto takes CUDA where there is one"
_MOMENTS = "The scan has {} moments: the one on the screen is explained, unless the options say otherwise."


class ModelPanel(QWidget):  # type: ignore[misc]
    """Which classifier, how the scan fits it, where it runs, and the run.

    Parameters
    ----------
    bundles
        Title and place of models to choose from, until `show_offers` is told of more.
    """

    bundle_asked = Signal(object)  # a path, or None to browse
    file_asked = Signal()
    forget_asked = Signal(object)  # the path of a model chosen before
    device_asked = Signal(str)
    options_asked = Signal(object)  # RunOptions
    run_asked = Signal()
    cancel_asked = Signal()

    def __init__(self, bundles: Mapping[str, Path]) -> None:
        super().__init__()
        self.description: Description | None = None
        self.options = RunOptions()
        self.methods: tuple[str, ...] = ()
        self._weights, self._moments = False, 1
        column = column_of(self)
        self.box = ModelBox(tuple(Offer(title, place, DEMO) for title, place in bundles.items()))
        self.bundles = self.box.bundles
        column.addWidget(self.box)
        self.words, self.wrong, self.warned = told("quiet"), told("error"), told("warning")
        self.asked = quiet("")
        for label in (self.words, self.wrong, self.warned, self.asked):
            label.setVisible(False)
            column.addWidget(label)
        column.addLayout(self._run_row())
        self.bar, self.progress = QProgressBar(), quiet("")
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(max(6, self.fontMetrics().height() // 2))
        column.addWidget(self.bar)
        column.addWidget(self.progress)
        column.addStretch(1)
        self._listen()
        self.setAcceptDrops(True)

    # --- what is shown

    def show_offers(self, offers: Sequence[Offer]) -> None:
        """Show the models to choose from."""
        self.box.show_offers(offers)

    def show_bundle(self, review: Review, words: str = "") -> None:
        """Show the chosen bundle, and `words` about it until it is described."""
        self.box.show_chosen(review.bundle)
        self._weights = review.bundle is not None and KINDS.get(review.bundle.suffix.lower()) == "weights"
        self.methods = review.more_methods
        if self.description is None or self.description.place != review.bundle:
            self.description = None
            self.box.about.setEnabled(False)
            _tell(self.words, words)
            self.show_fit(None)
        if self.options.network and not self._weights:
            # A bundle names its own, and loading refuses another.
            self.options_asked.emit(replace(self.options, network=""))

    def show_description(self, description: Description) -> None:
        """Show what a model's files say of it."""
        self.description = description
        self.box.about.setEnabled(True)
        _tell(self.words, description.line)
        self.show_fit(None)

    def show_fit(self, fit: Fit | None) -> None:
        """Show how the scan fits the model: why a run would be refused, and in what it differs."""
        description = self.description
        wrong = [description.wrong] if description is not None else []
        warned = (
            [code_words(description.runs_code)] if description is not None and description.runs_code else []
        )
        if fit is not None:
            wrong.append(_refusal(fit))
            warned += [f"Mind: {sentence}." for sentence in fit.warnings]
        _tell(self.wrong, "\n".join(filter(None, wrong)))
        _tell(self.warned, "\n".join(filter(None, warned)))

    def show_options(self, options: RunOptions) -> None:
        """Show what the next run is asked beyond the usual."""
        self.options = options
        self._show_asked()

    def show_running(self, review: Review) -> None:
        """Show how far the run is, or what is missing for one."""
        running = review.running
        self.run.setEnabled(running is None and not review.missing)
        self.run.setToolTip(review.missing or RUN_TIP)
        self.cancel.setEnabled(running is not None and not running.stopping)
        # Without a number of steps the bar moves back and forth.
        self.bar.setRange(0, 1 if running is None else running.total)
        self.bar.setValue(0 if running is None else running.done)
        self.run.setText("Run" if running is None else "Running")
        self.bar.setToolTip("" if running is None else running.words)
        _tell(self.progress, "" if running is None else running.words)
        self._moments = moments_of(review.volume)
        self._show_asked()

    # --- what is asked

    def ask_about(self) -> ModelDetails | None:
        """Open what the model's files say of it."""
        if self.description is None:
            return None
        dialog = ModelDetails(self.description, self)
        dialog.setAttribute(Qt.WA_DeleteOnClose)
        dialog.show()
        return dialog

    def ask_options(self) -> RunOptionsDialog:
        """Open the options of the run."""
        dialog = RunOptionsDialog(
            self.options, weights=self._weights, moments=self._moments, methods=self.methods, parent=self
        )
        dialog.setAttribute(Qt.WA_DeleteOnClose)
        dialog.chosen.connect(self.options_asked)
        dialog.open()
        return dialog

    def dragEnterEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Take what may be a model; anything else falls through to the window, which opens scans."""
        if _dropped(event) is not None:
            event.acceptProposedAction()
        else:
            event.ignore()

    def dropEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Choose the model that was dropped."""
        model = _dropped(event)
        if model is not None:
            event.acceptProposedAction()
            self.bundle_asked.emit(model)

    # --- putting it together

    def _run_row(self) -> QHBoxLayout:
        row = QHBoxLayout()
        self.run = button_for("Run", RUN_TIP, self.run_asked)
        self.cancel = button_for("Cancel", CANCEL_TIP, self.cancel_asked)
        self.devices = QComboBox()
        self.devices.addItems(DEVICES)
        self.devices.setToolTip(_DEVICE_TIP)
        self.devices.setAccessibleName("Device")
        for widget, stretch in ((self.run, 3), (self.cancel, 2), (self.devices, 0)):
            row.addWidget(widget, stretch)
        return row

    def _listen(self) -> None:
        self.devices.currentTextChanged.connect(self.device_asked)
        self.box.bundle_asked.connect(self.bundle_asked)
        self.box.file_asked.connect(self.file_asked)
        self.box.forget_asked.connect(self.forget_asked)
        self.box.about_asked.connect(self.ask_about)
        self.box.options_asked.connect(self.ask_options)

    def _show_asked(self) -> None:
        undecided = self._moments > 1 and self.options.moment is None
        in_colour(self.asked, "quiet")
        words = self.options.words
        _tell(
            self.asked, _MOMENTS.format(self._moments) if undecided else f"The run: {words}" if words else ""
        )


def _tell(label: Any, words: str) -> None:
    label.setText(words)
    label.setVisible(bool(words))


def _refusal(fit: Fit) -> str:
    # What follows the semicolon is for the command line.
    phrases = [phrase.partition("; state")[0] for phrase in fit.against]
    return f"A run would be refused: {'; '.join(phrases)}." if phrases else ""


def _dropped(event: Any) -> Path | None:
    """Return the one local path of a drop, if it may be a model's."""
    urls = event.mimeData().urls()
    if len(urls) != 1 or not urls[0].isLocalFile():
        return None
    place = Path(urls[0].toLocalFile())
    return place if may_be_model(place) else None
