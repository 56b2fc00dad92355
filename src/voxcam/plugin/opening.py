"""A reading room in a window of its own, for ``voxcam review`` and ``voxcam demo``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voxcam.errors import VoxcamError

if TYPE_CHECKING:
    from pathlib import Path

    import napari

    from voxcam.core.explanation import Explanation
    from voxcam.core.volume import Volume

WIDTH, HEIGHT = 1280, 800


def open_review(
    volume: Volume | None = None,
    bundle: Path | None = None,
    explanation: Explanation | None = None,
    mask: Volume | None = None,
    *,
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

    Raises
    ------
    VoxcamError
        If there is an explanation without a study, or it was made of another one.
    """
    if explanation is not None:
        volume = _study_of(explanation, volume)
    import napari

    from voxcam.plugin.docks.room import Room

    viewer = napari.Viewer(title="VoxCAM", show=show, show_welcome_screen=False)
    room = Room(viewer)
    dock = viewer.window.add_dock_widget(room, name="VoxCAM", area="right")
    _clear_the_desk(room, dock)
    viewer.window.resize(WIDTH, HEIGHT)
    if volume is not None:
        room.review.open(volume, mask)
    if bundle is not None:
        room.review.choose(bundle)
    if explanation is not None:
        room.review.adopt(explanation)
        room.jump()
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
