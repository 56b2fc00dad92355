"""The reading room: the dock that joins the review, its layers and its panels.

The panels ask by signal; this file tells the review; the review tells panels and layers what changed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QFileDialog, QLabel, QSizePolicy, QVBoxLayout, QWidget

from voxcam.core.volume import Volume
from voxcam.core.windows import Window
from voxcam.export.planes import PLANES
from voxcam.plugin.canvas.frame import place
from voxcam.plugin.canvas.layers import ReviewLayers
from voxcam.plugin.canvas.overlays import Overlays
from voxcam.plugin.docks.evidence_panel import EvidencePanel
from voxcam.plugin.docks.model_panel import DEVICES, ModelPanel
from voxcam.plugin.docks.questions import TrustDialog, WeightsDialog
from voxcam.plugin.docks.scan_panel import ScanPanel
from voxcam.plugin.review.review import LABEL, Review
from voxcam.plugin.work.bundles import bundle_words, demo_bundles, preferred_device
from voxcam.plugin.work.runner import Runner

if TYPE_CHECKING:
    import napari

    from voxcam.errors import ChangedWeightsError
    from voxcam.export.view import FigureOptions
    from voxcam.model.trusted import Code

_KEYS = {"A": 0, "C": 1, "S": 2}


class Room(QWidget):  # type: ignore[misc]
    """Read a study with its classifier beside it.

    Parameters
    ----------
    napari_viewer
        The viewer whose layers show study and evidence.
    review
        What is read; a new one unless given.
    """

    def __init__(self, napari_viewer: napari.Viewer, review: Review | None = None) -> None:
        super().__init__()
        self.viewer, self.review = napari_viewer, review or Review()
        self.layers = ReviewLayers(napari_viewer, self.review)
        self.overlays = Overlays(napari_viewer, self.review)
        self.runner = Runner(self.review)
        self.scan, self.classifier = ScanPanel(), ModelPanel(demo_bundles())
        self.evidence = EvidencePanel()
        self.message = QLabel("")
        self._lay_out()
        self._listen_to_panels()
        self._listen_to_review()
        napari_viewer.layers.events.inserted.connect(self._take_dropped)
        self._bind_keys()
        self.destroyed.connect(_closer(self.runner, self.review))
        self.classifier.devices.setCurrentText(preferred_device(DEVICES))
        self._show_all()

    def sizeHint(self) -> Any:  # noqa: N802 - Qt's name
        """Wide enough for the class table."""
        hint = super().sizeHint()
        hint.setWidth(318)
        return hint

    # --- what the panels ask

    def open_file(self) -> None:
        """Ask for a file and read it."""
        path, _ = QFileDialog.getOpenFileName(self, "Open a scan", "", "All files (*)")
        if path:
            self.runner.read(Path(path))

    def open_folder(self) -> None:
        """Ask for a folder and read its largest series."""
        path = QFileDialog.getExistingDirectory(self, "Open a folder")
        if path:
            self.runner.read(Path(path))

    def open_layer(self) -> None:
        """Read the scan of the selected layer, if VoxCAM opened it."""
        layer = self.viewer.layers.selection.active
        if not _holds_scan(layer):
            self.review.said.emit(
                "Select an image layer that VoxCAM opened: of others the place is not known.", True
            )
            return
        self.layers.adopt(layer)
        self.review.open(layer.metadata["volume"])

    def _take_dropped(self, event: Any) -> None:
        """Open the first scan that napari's own reader brings into an empty room."""
        if self.review.volume is None and _holds_scan(event.value):
            # After napari has put the layer in.
            QTimer.singleShot(0, self._open_first)

    def _open_first(self) -> None:
        scans = [layer for layer in self.viewer.layers if layer.visible and _holds_scan(layer)]
        if self.review.volume is None and scans:
            self.viewer.layers.selection.active = scans[-1]
            self.open_layer()

    def choose_bundle(self, bundle: Path | None) -> None:
        """Choose a model, or browse for the folder of one."""
        if bundle is None:
            path = QFileDialog.getExistingDirectory(self, "Choose the folder of a MONAI bundle")
            bundle = Path(path) if path else self.review.bundle
        self.review.choose(bundle)

    def choose_file(self) -> None:
        """Browse for a model that is one file: a zipped bundle, weights stated beside, TorchScript."""
        kinds = "Models (*.zip *.safetensors *.pt *.pth *.ckpt *.ts)"
        path, _ = QFileDialog.getOpenFileName(self, "Choose a model", "", kinds)
        self.review.choose(Path(path) if path else self.review.bundle)

    def ask_trust(self, code: Code) -> None:
        """Ask whether a model's code may run, and run it if so."""
        self.dialog = TrustDialog(code, self)
        self.dialog.trusted.connect(self._run_trusted)
        self.dialog.open()

    def ask_about_weights(self, changed: ChangedWeightsError) -> None:
        """Ask whether changed weights are meant, and run with them if so."""
        self.dialog = WeightsDialog(changed, self)
        self.dialog.accepted_weights.connect(self._run_accepted)
        self.dialog.open()

    def _run_accepted(self, digest: str) -> None:
        self.review.accept_weights(digest)
        self.runner.explain()

    def _run_trusted(self, digest: str) -> None:
        self.review.trust(digest)
        self.runner.explain()

    def jump(self) -> None:
        """Step to the hottest slice of the chosen class, or of the hottest shown."""
        self.review.step_peak(self.evidence.table.chosen_class)

    def hide_evidence(self, hidden: bool | None = None) -> None:
        """Hide all evidence, or show it again; None turns it over."""
        self.review.set_look(hidden=not self.review.look.hidden if hidden is None else hidden)

    def export_figure(self, target: Path | None = None) -> None:
        """Write the slice on the screen and its evidence as a PNG; ask where unless told."""
        explanation = self.review.explanation
        if explanation is None:
            return
        if not explanation.explained:
            self.review.said.emit("There is no heatmap to draw: scores alone were found.", True)
            return
        name = self.evidence.table.chosen_class
        if name not in explanation.explained:
            name = next(iter(self.review.visible), explanation.explained[0])
        if target is None:
            suggestion = f"{''.join(c if c.isalnum() else '-' for c in name)}-{self.review.look.method}.png"
            # An existing file is left as it is, and said so; Qt's question would promise otherwise.
            chosen, _ = QFileDialog.getSaveFileName(
                self,
                "Export figure",
                suggestion,
                "PNG (*.png)",
                options=QFileDialog.Option.DontConfirmOverwrite,
            )
            target = Path(chosen).with_suffix(".png") if chosen else None
        if target is not None:
            self.runner.write_figure(target, name, self.figure_options(name))

    def figure_options(self, name: str) -> FigureOptions:
        """Return what makes a figure of class `name` look as the screen does."""
        look, volume = self.review.look, self.review.volume
        through = self.layers.order()[0]
        index = None
        if volume is not None:
            at = place(volume.geometry)
            step = (self.layers.display_point()[through] - at.translate[through]) / at.scale[through]
            index = min(max(round(step), 0), at.geometry.shape[through] - 1)
        return {
            "method": look.method,
            "layer": look.layer,
            "plane": PLANES[through],
            "index": index,
            "style": self.layers.styles().get(name, self.review.style(name)),
            "window": self._window_on_screen(),
            "mask": self.review.mask,
        }

    # --- putting it together

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 4, 8, 6)
        column.setSpacing(10)
        column.addWidget(self.scan)
        column.addWidget(self.classifier)
        column.addWidget(self.evidence, 1)
        self.message.setWordWrap(True)
        self.message.setTextInteractionFlags(Qt.TextSelectableByMouse)
        column.addWidget(self.message)
        label = QLabel(LABEL)
        label.setWordWrap(True)
        label.setStyleSheet("color: #d8b46a")
        column.addWidget(label)
        self.setMinimumWidth(300)
        self.setSizePolicy(QSizePolicy.Preferred, QSizePolicy.Expanding)

    def _listen_to_panels(self) -> None:
        review, scan, classifier, evidence = self.review, self.scan, self.classifier, self.evidence
        scan.file_asked.connect(self.open_file)
        scan.folder_asked.connect(self.open_folder)
        scan.layer_asked.connect(self.open_layer)
        scan.window_asked.connect(review.set_window)
        scan.plane_asked.connect(self.layers.show_plane)
        classifier.bundle_asked.connect(self.choose_bundle)
        classifier.file_asked.connect(self.choose_file)
        classifier.device_asked.connect(lambda device: review.choose(review.bundle, device))
        classifier.run_asked.connect(self.runner.explain)
        classifier.cancel_asked.connect(review.cancel)
        evidence.method_asked.connect(review.show_method)
        evidence.layer_asked.connect(review.show_layer)
        evidence.threshold_asked.connect(lambda value: review.set_look(threshold=value))
        evidence.opacity_asked.connect(lambda value: review.set_look(opacity=value))
        evidence.shared_asked.connect(lambda on: review.set_look(shared_range=on))
        evidence.table.toggled.connect(review.show_class)
        evidence.table.coloured.connect(review.colour)
        evidence.jump_asked.connect(self.jump)
        evidence.hide_asked.connect(self.hide_evidence)
        evidence.export_asked.connect(self.export_figure)

    def _listen_to_review(self) -> None:
        review = self.review
        review.study_changed.connect(self._show_study)
        review.window_changed.connect(self._show_window)
        review.classifier_changed.connect(self._show_classifier)
        review.running_changed.connect(self._show_running)
        review.explanation_changed.connect(self._show_evidence)
        review.look_changed.connect(self._show_evidence)
        review.said.connect(self._say)
        review.trust_asked.connect(self.ask_trust)
        review.weights_asked.connect(self.ask_about_weights)

    def _bind_keys(self) -> None:
        for key, through in _KEYS.items():
            self.viewer.bind_key(key, lambda _, n=through: self.layers.show_plane(n), overwrite=True)
        self.viewer.bind_key("J", lambda _: self.jump(), overwrite=True)
        self.viewer.bind_key("E", lambda _: self.hide_evidence(), overwrite=True)

    # --- what the review tells

    def _show_window(self) -> None:
        self.scan.show_window(self.review.window)

    def _show_all(self) -> None:
        self._show_study()
        self._show_classifier()
        self._show_running()
        self._show_evidence()

    def _show_study(self) -> None:
        self._say("", False)
        self.scan.show_review(self.review)
        self.classifier.show_running(self.review)

    def _show_classifier(self) -> None:
        words, wrong = bundle_words(self.review.bundle)
        self.classifier.show_bundle(self.review, words)
        if wrong:
            self._say(wrong, True)
        self.classifier.show_running(self.review)
        self.evidence.show_review(self.review)

    def _show_running(self) -> None:
        if self.review.running is not None:
            self._say(self.review.running.words, False)
        elif self.message.property("running"):
            self._say("", False)
        self.message.setProperty("running", self.review.running is not None)
        self.classifier.show_running(self.review)
        self.evidence.show_hint(self.review)

    def _show_evidence(self) -> None:
        self.evidence.show_review(self.review)

    def _say(self, line: str, wrong: bool) -> None:
        self.message.setText(line)
        self.message.setStyleSheet("color: #ff8a73" if wrong else "")
        self.message.setVisible(bool(line))

    def _window_on_screen(self) -> Window | None:
        """Return the review's window, or the one the study's contrast limits were drawn to."""
        window, study = self.review.window, self.layers.study
        if window is None or study is None or study.colormap.name.startswith(("sigmoid", "table")):
            return window
        low, high = (float(limit) for limit in study.contrast_limits)
        if abs(low - window.ends[0]) < 1e-3 and abs(high - window.ends[1]) < 1e-3:
            return window
        return Window((low + high) / 2, max(high - low, 1e-6))


def _holds_scan(layer: Any) -> bool:
    """Whether VoxCAM's reader made the layer of a scan."""
    volume = None if layer is None else layer.metadata.get("volume")
    return isinstance(volume, Volume) and volume.unit != "label"


def _closer(runner: Runner, review: Review) -> Any:
    """Return what ends the work when the room is gone; it must not hold the room itself."""

    def close(_: object = None) -> None:
        runner.close()
        for signal in ("study", "classifier", "explanation", "look", "window", "running"):
            getattr(review, f"{signal}_changed").disconnect()
        review.said.disconnect()
        review.trust_asked.disconnect()
        review.weights_asked.disconnect()

    return close
