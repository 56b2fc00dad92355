"""The slice that napari shows: across which axis, at which moment, and where the mouse is on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from voxcam.plugin.canvas.frame import place_volume

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from numpy.typing import NDArray

    from voxcam.core.volume import Volume
    from voxcam.plugin.canvas.frame import Placement
    from voxcam.plugin.review.reading import Point
    from voxcam.plugin.review.review import Review

_EDGE_VOXELS = 0.5  # from the centre of the outermost voxel to its border


class ShownSlice:
    """Where on the study the mouse is, in display coordinates and in the world.

    Parameters
    ----------
    viewer
        napari's viewer, or its model alone.
    review
        What is read.
    """

    def __init__(self, viewer: ViewerModel, review: Review) -> None:
        self.viewer, self.review = viewer, review
        self._placed: tuple[Volume, Placement] | None = None

    @property
    def placement(self) -> Placement | None:
        """Where the study is shown; None without one."""
        volume = self.review.volume
        if volume is None:
            return None
        if self._placed is None or self._placed[0] is not volume:
            self._placed = (volume, place_volume(volume))
        return self._placed[1]

    @property
    def is_flat(self) -> bool:
        """Whether a slice of a study is on the screen, not 3-D."""
        dims = self.viewer.dims
        return self.review.volume is not None and dims.ndisplay == 2 and dims.ndim >= 3

    @property
    def through(self) -> int:
        """The display axis (0 axial, 1 coronal, 2 sagittal) the slice is across."""
        dims = self.viewer.dims
        before = int(dims.ndim) - 3
        return int(dims.order[before]) - before

    @property
    def plane(self) -> list[int]:
        """The display axes within the slice."""
        return [axis for axis in range(3) if axis != self.through]

    @property
    def number(self) -> int:
        """Which slice across that axis is shown, as napari's slider counts them."""
        return int(self.viewer.dims.current_step[-3 + self.through])

    @property
    def moment(self) -> int:
        """The place of the fourth axis that is shown; 0 of a study without one."""
        volume, dims = self.review.volume, self.viewer.dims
        shape: tuple[int, ...] = () if volume is None else volume.voxels.shape
        return min(int(dims.current_step[0]), shape[3] - 1) if len(shape) == 4 and dims.ndim == 4 else 0

    @property
    def pixel_mm(self) -> float:
        """The size of a screen pixel."""
        return 1 / float(self.viewer.scene.camera.zoom)

    def place(self, event: Any) -> NDArray[np.float64]:
        """Return the display coordinates (3,) under the mouse: on the slice, no further than its border."""
        placement = self.placement
        if placement is None:
            raise RuntimeError("no study is open")
        at = np.array(event.position[-3:], dtype=np.float64)
        at[self.through] = self.viewer.dims.point[-3 + self.through]
        index = (at - placement.translate) / placement.scale
        index[self.through] = np.rint(index[self.through])
        border = np.array(placement.geometry.shape) - 1 + _EDGE_VOXELS
        border[self.through] = placement.geometry.shape[self.through] - 1
        low = np.where(np.arange(3) == self.through, 0, -_EDGE_VOXELS)
        return np.asarray(np.clip(index, low, border) * placement.scale + placement.translate)

    def point_at(self, position: Sequence[float]) -> Point | None:
        """Return the world point (RAS+ mm) of the slice at a position of napari's; None without a slice."""
        if not self.is_flat or self.placement is None or len(position) < 3:
            return None
        at = np.array(position[-3:], dtype=np.float64)
        at[self.through] = self.viewer.dims.point[-3 + self.through]
        x, y, z = (float(one) for one in self.placement.to_world(at))
        return x, y, z
