"""The images a plane is painted of; each is kept until what it is made of differs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtGui import QImage, QPainterPath

from voxcam.plugin.canvas.picture import Picture
from voxcam.plugin.review.plane import outline

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from voxcam.core.geometry import Geometry
    from voxcam.core.volume import Volume
    from voxcam.core.windows import Window
    from voxcam.plugin.review.plane import Plane, Sight
    from voxcam.plugin.review.reading import Reading

_LINE = 1.5  # view pixels
_FINEST = 640  # cells of contours along an axis: of a picture that is zoomed in, most lies outside the view


class PlaneImages:
    """Make the images of one view, of whatever plane and slice it shows; one of each kind is kept."""

    def __init__(self) -> None:
        self._grey, self._evidence, self._outline = _Kept(), _Kept(), _Kept()
        self._shown, self._grid, self._picture = _Kept(), _Kept(), _Kept()

    def grey(self, plane: Plane, index: int, window: Window, moment: int) -> QImage:
        """Return the study's slice."""

        def made() -> QImage:
            return _grey_image(plane.grey(index, window, moment))

        return self._grey.get((plane, index, window, moment), made)

    def evidence(self, plane: Plane, index: int, reading: Reading, sight: Sight) -> QImage | None:
        """Return the evidence on the slice, of the main picture's colours; None if none is shown."""
        shown = self._shown.get((reading.explanation, reading.look), lambda: reading.shown)
        if not shown:
            return None
        drawn = reading.look.drawn
        grid = self._lined(plane, sight) if drawn == "contours" else plane.grid
        picture = self._picture.get((grid, drawn), lambda: Picture(grid, plane.through, (), drawn))

        def made() -> QImage:
            picture.show(shown)
            return _colour_image(plane.cut(picture, index))

        return self._evidence.get((plane, index, picture, shown), made)

    def outline(self, plane: Plane, index: int, mask: Volume) -> QPainterPath:
        """Return the outline of a drawn finding, between the slice's pixels."""

        def made() -> QPainterPath:
            return _path(outline(plane.cut(mask.on(plane.grid).voxels, index) > 0))

        return self._outline.get((plane, index, mask), made)

    def _lined(self, plane: Plane, sight: Sight) -> Geometry:
        """Return a grid whose cells are as large as a line is thick, whatever the voxels.

        Of lines as thin as a small voxel some would be lost, those as thick as a large one would hide a lot.
        """
        columns, rows = (min(max(int(side / _LINE), 1), _FINEST) for side in sight.box[2:])
        grid: Geometry = self._grid.get((plane, rows, columns), lambda: plane.divided(rows, columns))
        return grid


class _Kept:
    """The last thing that was made; it is made anew when what it is made of differs."""

    def __init__(self) -> None:
        self._of: tuple[Any, ...] | None = None
        self._made: Any = None

    def get(self, of: tuple[Any, ...], make: Callable[[], Any]) -> Any:
        if of != self._of:
            self._of, self._made = of, make()
        return self._made


def _grey_image(pixels: NDArray[np.uint8]) -> QImage:
    rows, columns = pixels.shape
    image = QImage(pixels.tobytes(), columns, rows, columns, QImage.Format_Grayscale8)
    return image.convertToFormat(QImage.Format_RGB32)  # a copy, and what Qt paints fastest


def _colour_image(pixels: NDArray[np.uint8]) -> QImage:
    rows, columns, _ = pixels.shape
    image = QImage(pixels.tobytes(), columns, rows, 4 * columns, QImage.Format_RGBA8888)
    return image.convertToFormat(QImage.Format_ARGB32_Premultiplied)


def _path(lines: NDArray[np.intp]) -> QPainterPath:
    path = QPainterPath()
    for x, y, to_x, to_y in lines.tolist():
        path.moveTo(x, y)
        path.lineTo(to_x, to_y)
    return path
