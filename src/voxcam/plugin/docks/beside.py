"""The docks beside the picture, made when they are asked for: studies, planes, graph along the slices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.compat import isalive
from qtpy.QtCore import Qt

if TYPE_CHECKING:
    from collections.abc import Callable

    import napari
    from qtpy.QtWidgets import QWidget

# Where napari puts each.
STUDIES, PLANES, PLOT = "Studies", "Planes", "Scores along the slices"
AREAS = {STUDIES: "left", PLANES: "left", PLOT: "bottom"}


class Beside:
    """Show docks and hide them; one whose window was closed is made anew.

    Parameters
    ----------
    viewer
        napari's viewer.
    makers
        By title: makes the widget, joined to the review.
    changed
        Called when a dock was shown or hidden, by whomever.
    """

    def __init__(
        self,
        viewer: napari.Viewer,
        makers: dict[str, Callable[[], QWidget]],
        changed: Callable[[], object] = lambda: None,
    ) -> None:
        self._viewer, self._makers, self._changed = viewer, makers, changed
        self._docks: dict[str, tuple[Any, QWidget]] = {}
        self._ours: set[str] = set()  # hidden by `hide`, not by the reader

    def widget(self, title: str) -> Any | None:
        """Return the dock's widget; None if it was not asked for, or closed."""
        dock, widget = self._docks.get(title, (None, None))
        return widget if dock is not None and isalive(dock) and isalive(widget) else None

    def is_shown(self, title: str) -> bool:
        """Whether the dock is on the screen."""
        return self.widget(title) is not None and bool(self._docks[title][0].isVisible())

    def show(self, title: str) -> Any:
        """Show a dock, and return its widget."""
        if self.widget(title) is None:
            widget = self._makers[title]()
            dock = self._viewer.window.add_dock_widget(widget, name=title, area=AREAS[title])
            self._docks[title] = (dock, widget)
            dock.visibilityChanged.connect(lambda _: self._changed())
            # Under the picture, not under the dock beside it, which would make the window taller.
            dock.window().setCorner(Qt.BottomRightCorner, Qt.RightDockWidgetArea)
            dock.window().setCorner(Qt.BottomLeftCorner, Qt.LeftDockWidgetArea)
        self._ours.discard(title)
        dock, widget = self._docks[title]
        dock.show()
        dock.raise_()
        self._changed()
        return widget

    def hide(self, title: str) -> None:
        """Hide a dock; what it holds stays."""
        if self.is_shown(title):
            self._ours.add(title)
            self._docks[title][0].hide()

    def was_hidden(self, title: str) -> bool:
        """Whether the reader hid or closed the dock."""
        return title in self._docks and not self.is_shown(title) and title not in self._ours

    def close(self) -> None:
        """Take all docks away."""
        for title in list(self._docks):
            if self.widget(title) is not None:
                self._viewer.window.remove_dock_widget(self._docks[title][0])
        self._docks.clear()

    def turn(self, title: str) -> None:
        """Show a dock, or hide it if it is shown."""
        if self.is_shown(title):
            self.hide(title)
            self._ours.discard(title)
        else:
            self.show(title)
