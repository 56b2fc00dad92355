"""Files dragged over a widget and let go, by real Qt events."""

from __future__ import annotations

from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import QApplication


def drop(widget, *paths):
    """Drag paths over a widget and let go; whether they were taken."""
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    if not drag(widget, mime):
        return False
    let_go = QDropEvent(QPointF(20, 20), Qt.CopyAction, mime, Qt.LeftButton, Qt.NoModifier)
    QApplication.sendEvent(widget, let_go)
    return True


def drag(widget, mime):
    """Drag something over a widget; whether the widget would take it."""
    enter = QDragEnterEvent(QPoint(20, 20), Qt.CopyAction, mime, Qt.LeftButton, Qt.NoModifier)
    enter.ignore()
    QApplication.sendEvent(widget, enter)
    return enter.isAccepted()
