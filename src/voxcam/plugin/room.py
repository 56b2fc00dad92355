"""The reading room of a viewer: a review, its picture, its docks, its work, and what can be asked of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, Qt, QTimer
from qtpy.QtWidgets import QDockWidget, QFileDialog, QMainWindow

from voxcam.core.volume import Volume
from voxcam.plugin import joining
from voxcam.plugin.canvas.cine import Cine
from voxcam.plugin.canvas.crosshair import Crosshair
from voxcam.plugin.canvas.depth import Depth
from voxcam.plugin.canvas.figures import as_on_screen
from voxcam.plugin.canvas.layers import ReviewLayers
from voxcam.plugin.canvas.measuring import Measuring
from voxcam.plugin.canvas.overlays import Overlays
from voxcam.plugin.canvas.readout import Hover
from voxcam.plugin.canvas.window_drag import WindowDrag
from voxcam.plugin.desk import sit
from voxcam.plugin.docks import beside
from voxcam.plugin.docks.beside import Beside
from voxcam.plugin.docks.classifier.questions import TrustDialog, WeightsDialog
from voxcam.plugin.docks.panels import Panels
from voxcam.plugin.preferences import BY_CLASS
from voxcam.plugin.review.look import FIRST
from voxcam.plugin.review.review import Review
from voxcam.plugin.work.bundles import demo_bundles
from voxcam.plugin.work.describer import Describer
from voxcam.plugin.work.options import moments_of
from voxcam.plugin.work.recent import remember
from voxcam.plugin.work.runner import Runner
from voxcam.plugin.work.scanner import Scanner
from voxcam.plugin.work.thumbnails import Thumbnails

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import napari

    from voxcam.core.windows import Window
    from voxcam.errors import ChangedWeightsError
    from voxcam.export.view import FigureOptions
    from voxcam.model.trusted import Code
    from voxcam.plugin.docks.key_sheet import KeySheet
    from voxcam.plugin.keys import Bound
    from voxcam.plugin.preferences import Preferences
    from voxcam.plugin.work.options import RunOptions


class Room(Panels):
    """Read a study with its classifier beside it.

    Parameters
    ----------
    napari_viewer
        The viewer whose layers show study and evidence.
    review
        What is read; a new one unless given.
    """

    keys: Bound
    leave: Callable[[], None]  # ends the work, and lets go of the viewer; layers stay
    preferred: object  # what reads the preferences
    sheet: KeySheet | None = None
    _marks = True
    _fitted = False

    def __init__(self, napari_viewer: napari.Viewer, review: Review | None = None) -> None:
        super().__init__(demo_bundles())
        # napari hands plugins a proxy, which Qt does not take for a parent.
        self.viewer = getattr(napari_viewer, "__wrapped__", napari_viewer)
        self.review = review or Review()
        self.heard: list[Callable[[], object]] = []  # how to hear napari no more
        viewer, review = self.viewer, self.review
        self.layers = ReviewLayers(viewer, review)
        self.overlays = Overlays(viewer, review)
        self.depth = Depth(viewer, review, self.layers)
        layers = self.layers
        self.crosshair = Crosshair(viewer, review, lambda: layers.placement)
        self.crosshair.show(False)
        self.measuring, self.cine = Measuring(viewer, review), Cine(viewer, review, self)
        self.hover = Hover(viewer, review, self)
        self.window_drag = WindowDrag(viewer, review.set_window, lambda: review.window, self.own_window)
        self.runner, self.scanner = Runner(review), Scanner()
        self.thumbnails, self.describer = Thumbnails(), Describer()
        makers = {beside.STUDIES: self._browser, beside.PLANES: self._planes, beside.PLOT: self._plot}
        self.beside = Beside(viewer, makers, self.show_crosshair)
        sit(viewer, self)
        joining.join(self)

    def event(self, event: Any) -> bool:
        """Leave the viewer when the dock that held the room was closed; hidden, it stays."""
        if event.type() == QEvent.ParentChange and self.parent() is None and hasattr(self, "leave"):
            self.leave()
        return bool(super().event(event))

    def showEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Be no wider than needed: napari shares the window out evenly."""
        super().showEvent(event)
        dock, window = self.parent(), self.window()
        if not self._fitted and isinstance(dock, QDockWidget) and isinstance(window, QMainWindow):
            self._fitted = True
            window.resizeDocks([dock], [self.sizeHint().width()], Qt.Horizontal)

    # --- the study

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

    def open_places(self, places: Sequence[Path]) -> None:
        """Open what was dropped: one place at once if nothing is open, else all are scanned for the list."""
        if len(places) == 1 and self.review.volume is None and self.review.running is None:
            self.runner.read(places[0])
        else:
            self.beside.show(beside.STUDIES)
            self.scanner.scan(places)

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

    def take_dropped(self, event: Any) -> None:
        """Open what napari's own reader brings: no scan is shown but under its own name."""
        if event.value is not self.layers.study and (_holds_scan(event.value) or _holds_labels(event.value)):
            # After napari has put all its layers in.
            QTimer.singleShot(0, self._open_brought)

    def _open_brought(self) -> None:
        self._open_scan_brought()
        for layer in self.viewer.layers:
            if layer.visible and _holds_labels(layer) and self.review.holds(layer.metadata["volume"]):
                # Outlined: a field of colour under the evidence would be read as evidence.
                layer.visible = False
                self.review.outline(layer.metadata["volume"])

    def _open_scan_brought(self) -> None:
        scans = [layer for layer in self.viewer.layers if layer.visible and _holds_scan(layer)]
        brought = [layer for layer in scans if layer is not self.layers.study]
        if not brought:
            return
        if self.review.volume is None:
            self.viewer.layers.selection.active = brought[-1]
            self.open_layer()
            return
        for layer in brought:
            layer.visible = False
        self.review.open(brought[-1].metadata["volume"])

    def state_modality(self, modality: str) -> None:
        """Read the scan anew as of a modality its file does not state."""
        origin = self.review.reading.origin
        study = self.review.places.get(origin.place) if origin is not None else None
        series = [one for one in study.series if one.key == origin.key] if study and origin else []
        if origin is None or study is None or not series:
            self.review.said.emit("The place of this scan is not known: open it with File… first.", True)
            return
        self.runner.read_series(origin.place, study, series, modality)

    def own_window(self) -> Window | None:
        """Return the window the study itself states."""
        return None if self.review.volume is None else self.review.volume.window

    def show_plane(self, through: int) -> None:
        """Show axial (0), coronal (1) or sagittal (2) slices; of a single image there is one plane alone."""
        volume = self.review.volume
        if volume is not None and min(volume.shape) > 1:
            self.layers.show_plane(through)
        elif volume is not None:
            self.review.said.emit("This is a single image: it has no other planes.", False)

    def set_convention(self, neurological: bool | None = None) -> None:
        """Show the patient's left at the left, or at the right; None turns it over."""
        turned = not self.review.neurological if neurological is None else neurological
        self.review.set_convention(neurological=turned)

    # --- the classifier

    def choose_bundle(self, bundle: Path | None) -> None:
        """Choose a model, or browse for the folder of one."""
        if bundle is None:
            path = QFileDialog.getExistingDirectory(self, "Choose the folder of a MONAI bundle")
            bundle = Path(path) if path else self.review.bundle
        self._choose(bundle)

    def choose_file(self) -> None:
        """Browse for a model that is one file: a zipped bundle, weights stated beside, TorchScript."""
        kinds = "Models (*.zip *.safetensors *.pt *.pth *.ckpt *.ts)"
        path, _ = QFileDialog.getOpenFileName(self, "Choose a model", "", kinds)
        self._choose(Path(path) if path else self.review.bundle)

    def _choose(self, bundle: Path | None) -> None:
        self.review.choose(bundle)
        if bundle is not None and bundle not in demo_bundles().values():
            remember(bundle)
            self.describer.offer()

    def run(self) -> None:
        """Run the classifier on the study; of one in time, on the moment on the screen."""
        self.runner.explain(self.hover.moment if moments_of(self.review.volume) > 1 else None)

    def cancel(self) -> None:
        """Stop the run at its next step."""
        self.review.cancel()

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
        self.run()

    def _run_trusted(self, digest: str) -> None:
        self.review.trust(digest)
        self.run()

    def ask_options(self, options: RunOptions) -> None:
        """Take what the next run is asked beyond the usual."""
        self.runner.options = options
        self.classifier.show_options(options)

    # --- the evidence

    def step_peak(self, by: int = 0) -> None:
        """Go to the highest peak (0) of the chosen class, the next (1), or the one before (-1)."""
        self.review.step_peak(self.evidence.table.chosen_class, by)

    def hide_evidence(self, hidden: bool | None = None) -> None:
        """Hide all evidence, or show it again; None turns it over."""
        self.review.set_look(hidden=not self.review.look.hidden if hidden is None else hidden)

    def set_drawn(self, name: str) -> None:
        """Draw the evidence smooth, as cells, or as contours."""
        self.review.set_look(drawn=name)

    def set_depth(self, on: bool | None = None) -> None:
        """Show in three dimensions, or slices again; None turns it over."""
        self.depth.set(on)

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
        return as_on_screen(self.layers, self.review.reading, name)

    # --- the docks beside

    def show_browser(self) -> None:
        """Show the studies, or hide them."""
        self.beside.turn(beside.STUDIES)

    def show_planes(self) -> None:
        """Show the other planes, or hide them."""
        self.beside.turn(beside.PLANES)

    def show_plot(self) -> None:
        """Show the graph along the slices, or hide it."""
        if self.review.reading.windows is None:
            self.review.said.emit(
                "This model reads a scan in one piece: there is nothing along slices.", False
            )
        else:
            self.beside.turn(beside.PLOT)

    def show_keys(self) -> None:
        """Show the key sheet."""
        from voxcam.plugin.docks.key_sheet import KeySheet

        self.sheet = self.sheet or KeySheet(self)
        self.sheet.show()
        self.sheet.raise_()

    def show_crosshair(self, on: bool | None = None) -> None:
        """Mark where the planes cross, as long as more than one is shown; None leaves the reader's choice."""
        self._marks = self._marks if on is None else on
        self.crosshair.show(self._marks and self.beside.is_shown(beside.PLANES))
        planes = self.beside.widget(beside.PLANES)
        if planes is not None:
            planes.show_crosshair(self._marks)

    def prefer(self, preferences: Preferences) -> None:
        """Begin as the reader prefers it."""
        self.classifier.devices.setCurrentText(preferences.device)
        self.review.set_convention(neurological=preferences.neurological)
        first = FIRST if preferences.colours == BY_CLASS else preferences.colours
        self.review.set_look(drawn=preferences.drawn, layered=preferences.layered, first=first)
        self.review.prefer_method(preferences.method)
        self.show_crosshair(preferences.crosshair)

    def _browser(self) -> Any:
        from voxcam.plugin.docks.studies.browser import Browser

        return joining.join_browser(self, Browser())

    def _planes(self) -> Any:
        from voxcam.plugin.docks.planes.planes import Planes

        return joining.join_planes(self, Planes())

    def _plot(self) -> Any:
        from voxcam.plugin.docks.along.slice_plot import SlicePlot

        return joining.join_plot(self, SlicePlot())


def _holds_labels(layer: Any) -> bool:
    """Whether VoxCAM's reader made the layer of labels."""
    volume = None if layer is None else layer.metadata.get("volume")
    return isinstance(volume, Volume) and volume.unit == "label"


def _holds_scan(layer: Any) -> bool:
    """Whether VoxCAM's reader made the layer of a scan."""
    volume = None if layer is None else layer.metadata.get("volume")
    return isinstance(volume, Volume) and volume.unit != "label"
