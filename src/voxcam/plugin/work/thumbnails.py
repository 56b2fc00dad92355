"""Small pictures of series, made in the background: those on the screen first."""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QObject, Signal
from qtpy.QtGui import QImage

from voxcam.errors import VoxcamError
from voxcam.plugin.work.runner import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from voxcam.io import Series

SIZE = 128
# Some series are read whole for a picture, and nothing can stop that: those above get none. Of two bytes a
# voxel, as a header says no more.
LARGEST_BYTES = 256 << 20
# Python's lock is left to the window between two pictures.
_PAUSE_S = 0.005


class Thumbnails(QObject):  # type: ignore[misc]
    """Make thumbnails one after the other in a thread that ends when none is wanted any more.

    Like `Runner` it has no Qt parent: the thread may outlive the window. Signal, in the window's thread:
    `made` (`Series.key`, a QImage, or None where none can be made).
    """

    made = Signal(str, object)

    _made = Signal(str, object)

    def __init__(self) -> None:
        super().__init__()
        self.closed = False
        self._wanted: dict[str, Series] = {}
        self._making = ""
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._last: threading.Thread | None = None
        self._made.connect(self._on_made)

    def want(self, series: Iterable[Series]) -> None:
        """Make pictures of these, in order, instead of those that were wanted and are not made yet."""
        with self._lock:
            wanted = () if self.closed else series
            self._wanted = {one.key: one for one in wanted if one.key != self._making}
            if self._wanted and self._thread is None:
                # Not a daemon: cut off while Python ends it would crash; it ends after its picture.
                self._thread = self._last = threading.Thread(target=self._work, name="voxcam thumbnails")
                self._thread.start()

    def cancel(self) -> None:
        """Want none any more."""
        self.want(())

    def close(self) -> None:
        """Want none any more and tell nothing; the thread ends after the picture it is at."""
        self.closed = True
        self.cancel()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the thread; whether it has ended."""
        thread = self._last
        if thread is not None:
            thread.join(timeout_s)
        return thread is None or not thread.is_alive()

    # --- in the thread

    def _work(self) -> None:
        while (series := self._next()) is not None:
            picture = _picture(series)
            self._made.emit(series.key, picture)
            time.sleep(_PAUSE_S)

    def _next(self) -> Series | None:
        with self._lock:
            self._making = next(iter(self._wanted), "")
            if not self._making:
                self._thread = None
                return None
            return self._wanted.pop(self._making)

    # --- in the window's thread

    def _on_made(self, key: str, picture: QImage | None) -> None:
        if not self.closed:
            self.made.emit(key, picture)


def _picture(series: Series) -> QImage | None:
    if _is_read_whole(series) and 2 * math.prod(series.shape) > LARGEST_BYTES:
        return None
    try:
        from voxcam.io import thumbnail

        return _as_image(thumbnail(series, SIZE))
    except VoxcamError:  # opening it will say why
        return None
    except Exception as error:
        one_line(error)  # to the log
        return None


def _as_image(pixels: NDArray[np.uint8]) -> QImage:
    rows, columns = pixels.shape[:2]
    dense = np.ascontiguousarray(pixels)
    layout = QImage.Format_RGB888 if dense.ndim == 3 else QImage.Format_Grayscale8
    return QImage(dense.data, columns, rows, dense.strides[0], layout).copy()


def _is_read_whole(series: Series) -> bool:
    """Whether there is no reading one image of it alone."""
    return series.format != "dicom" or series.kind in ("segmentation", "structures")
