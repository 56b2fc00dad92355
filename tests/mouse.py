"""The mouse on the canvas: by real Qt events, or, without a window, as napari hands it to its callbacks."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
from napari.utils._proxies import ReadOnlyWrapper
from napari.utils.interactions import mouse_move_callbacks, mouse_press_callbacks, mouse_release_callbacks
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

PAUSE_MS = 12  # napari passes on a move every 5 ms


class Mouse:
    """A mouse over the canvas of a viewer that is shown."""

    def __init__(self, viewer):
        self.viewer = viewer
        self.canvas = viewer.window._qt_viewer.canvas.native

    @property
    def size(self):
        return self.canvas.width(), self.canvas.height()

    def press(self, at, button=Qt.LeftButton, keys=Qt.NoModifier):
        self._send(QEvent.MouseButtonPress, at, button, button, keys)

    def move(self, at, button=Qt.NoButton, keys=Qt.NoModifier):
        self._send(QEvent.MouseMove, at, Qt.NoButton, button, keys)

    def release(self, at, button=Qt.LeftButton, keys=Qt.NoModifier):
        self._send(QEvent.MouseButtonRelease, at, button, Qt.NoButton, keys)

    def click(self, at, button=Qt.LeftButton):
        self.move(at)
        self.press(at, button)
        self.release(at, button)

    def double_click(self, at, button=Qt.LeftButton):
        self.click(at, button)
        self._send(QEvent.MouseButtonDblClick, at, button, button, Qt.NoModifier)
        self.release(at, button)

    def drag(self, *places, button=Qt.LeftButton, keys=Qt.NoModifier, steps=4):
        """Press at the first place, go through the others, let go at the last."""
        self.press(places[0], button, keys)
        for start, end in pairwise(places):
            for n in range(1, steps + 1):
                at = [a + (b - a) * n / steps for a, b in zip(start, end, strict=True)]
                self.move(at, button, keys)
        self.release(places[-1], button, keys)

    def pixel(self, display):
        """Return where display coordinates (3,) are on the canvas."""
        camera, offset = self.viewer.scene.camera, self.viewer.dims.ndim - 3
        down, right = (display[axis - offset] for axis in self.viewer.dims.displayed)
        centre_down, centre_right = camera.center[-2:]
        return (
            self.size[0] / 2 + (right - centre_right) * camera.zoom,
            self.size[1] / 2 + (down - centre_down) * camera.zoom,
        )

    def _send(self, kind, at, button, buttons, keys):
        where = QPointF(*at)
        overall = QPointF(self.canvas.mapToGlobal(QPoint(round(at[0]), round(at[1]))))
        QApplication.sendEvent(self.canvas, QMouseEvent(kind, where, overall, button, buttons, keys))
        QTest.qWait(PAUSE_MS)


class Pointer(Mouse):
    """A mouse over a viewer's model alone; `handled` tells whether the camera was kept from the last drag."""

    size = (800, 600)

    def __init__(self, viewer):
        self.viewer = viewer
        self.handled = None

    def _send(self, kind, at, button, buttons, keys):
        dims = self.viewer.dims
        position = np.array(dims.point, float)
        down, right = dims.displayed
        camera = self.viewer.scene.camera
        position[down] = (at[1] - self.size[1] / 2) / camera.zoom + camera.center[-2]
        position[right] = (at[0] - self.size[0] / 2) / camera.zoom + camera.center[-1]
        name, call = {
            QEvent.MouseButtonPress: ("mouse_press", mouse_press_callbacks),
            QEvent.MouseMove: ("mouse_move", mouse_move_callbacks),
            QEvent.MouseButtonRelease: ("mouse_release", mouse_release_callbacks),
        }[kind]
        event = SimpleNamespace(
            type=name,
            pos=np.array(at, float),
            position=tuple(position),
            button=1 if button == Qt.LeftButton else 2,
            modifiers=(),
            handled=False,
            is_dragging=buttons != Qt.NoButton,
        )
        call(self.viewer, ReadOnlyWrapper(event, exceptions=("handled",)))
        if kind == QEvent.MouseButtonPress:
            self.handled = event.handled
