"""A reading room in a window of its own, for ``voxcam review`` and ``voxcam demo``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from voxcam.errors import VoxcamError

if TYPE_CHECKING:
    from pathlib import Path

    import napari

    from voxcam.core.explanation import Explanation
    from voxcam.core.volume import Volume
    from voxcam.io import Study
    from voxcam.plugin.review.reading import Origin
    from voxcam.plugin.room import Room

WIDTH, HEIGHT = 1280, 800


class Found(NamedTuple):
    """What a scan of a place found, and where the volume that is shown came from."""

    study: Study
    origin: Origin


class Allowed(NamedTuple):
    """What a reader allows a classifier beforehand; as `voxcam.load_classifier` takes it."""

    trust_code: str | None = None
    accept_weights: str | None = None
    network: str | None = None

    def give(self, room: Room) -> None:
        """Let the runs of a room have it."""
        room.review.trust(self.trust_code or "")
        room.review.accept_weights(self.accept_weights or "")
        if self.network:
            room.ask_options(replace(room.runner.options, network=self.network))


def open_review(  # noqa: PLR0913 - what a window may open with
    volume: Volume | None = None,
    bundle: Path | None = None,
    explanation: Explanation | None = None,
    mask: Volume | None = None,
    *,
    found: Found | None = None,
    allowed: Allowed | None = None,
    show: bool = True,
) -> napari.Viewer:
    """Open napari with the reading room docked and what is given on the screen.

    The room itself is ``viewer.window.dock_widgets["VoxCAM"]``. napari's own lists of layers and their
    controls begin hidden; the Window menu brings them back.

    Parameters
    ----------
    volume
        The study; the explanation's unless given.
    bundle
        Folder of the classifier for further runs.
    explanation
        What to show over the study.
    mask
        A drawn finding.
    found
        What a scan found, and which of it the volume is: listed, so that other series can be opened.
    allowed
        What the reader allows the classifier beforehand.

    Raises
    ------
    VoxcamError
        If there is an explanation without a study, or it was made of another one.
    """
    if explanation is not None:
        volume = _study_of(explanation, volume)
    import napari
    from qtpy.QtCore import Qt

    from voxcam.plugin.canvas.warming import warm
    from voxcam.plugin.joining import join_drops
    from voxcam.plugin.room import Room

    warm()
    viewer = napari.Viewer(title="VoxCAM", show=show, show_welcome_screen=False)
    room = Room(viewer)
    dock = viewer.window.add_dock_widget(room, name="VoxCAM", area="right")
    _clear_the_desk(room, dock)
    join_drops(room, room.window())
    viewer.window.resize(WIDTH, HEIGHT)
    room.window().resizeDocks([dock], [room.sizeHint().width()], Qt.Horizontal)
    if volume is not None:
        room.review.open(volume, mask, found.origin if found is not None else None)
    if found is not None:
        room.review.know_place(found.origin.place, found.study)
        if len(found.study.series) > 1:
            room.show_browser()
    if bundle is not None:
        room.review.choose(bundle)
    if allowed is not None:
        allowed.give(room)
    if explanation is not None:
        room.review.adopt(explanation)
        room.step_peak()
    return viewer


def stay() -> None:
    """Run napari's event loop until the window is closed."""
    import napari

    napari.run()


def _study_of(explanation: Explanation, volume: Volume | None) -> Volume:
    """Return the study to show an explanation on; never another than it was made of."""
    study = volume or explanation.volume
    if study is None:
        raise VoxcamError("this explanation was saved without its study: give the study as PLACE too")
    own, same = explanation.volume, explanation.was_made_of(study)
    if same is None and own is not None:
        same = own.geometry.same_grid(study.geometry)
    if same is False:
        raise VoxcamError("this explanation was made of another study: grid or voxels differ")
    return study


def _clear_the_desk(room: Any, dock: Any) -> None:
    """Hide napari's layer list and controls, whose place the picture takes."""
    from qtpy.QtWidgets import QDockWidget

    for other in room.window().findChildren(QDockWidget):
        if other is not dock and other.objectName() in ("layer list", "layer controls"):
            other.hide()
