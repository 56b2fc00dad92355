"""Files, folders and zips that are dropped on a widget, or anywhere on a window."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QWidget

if TYPE_CHECKING:
    from collections.abc import Callable

    Meant = Callable[[list[Path]], bool]


def accept_drops(
    widget: QWidget, take: Callable[[list[Path]], object], meant: Meant = lambda paths: True
) -> None:
    """Call `take` with the files, folders and zips that are dropped anywhere on a widget, or a whole window.

    Parameters
    ----------
    meant
        Whether dropped paths are for us; of others the widget does what it did.
    """
    drops = _Drops(widget, take, meant)
    widget.setAcceptDrops(True)
    # What takes drops itself, as napari's canvas does, is asked before those around it.
    for one in (widget, *(inner for inner in widget.findChildren(QWidget) if inner.acceptDrops())):
        one.installEventFilter(drops)


class _Drops(QObject):  # type: ignore[misc]
    def __init__(self, widget: QWidget, take: Callable[[list[Path]], object], meant: Meant) -> None:
        super().__init__(widget)
        self._take, self._meant = take, meant

    def eventFilter(self, _: QObject, event: Any) -> bool:  # noqa: N802 - Qt's name
        if event.type() not in (QEvent.DragEnter, QEvent.DragMove, QEvent.Drop):
            return False
        paths = [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
        if not paths or not self._meant(paths):
            return False
        event.acceptProposedAction()
        if event.type() == QEvent.Drop:
            self._take(paths)
        return True
