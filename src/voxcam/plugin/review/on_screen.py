"""The study on the screen, as the views ask for it: voxels, evidence, and how both are looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from voxcam.core.explanation import Explanation
    from voxcam.core.heatmap import Heatmap
    from voxcam.core.volume import Volume
    from voxcam.core.windows import Window
    from voxcam.export.style import HeatmapStyle
    from voxcam.plugin.review.look import ClassRow, Look
    from voxcam.plugin.review.reading import Point, Reading


class OnScreen:
    """What there is to see of `reading`; nothing here changes it."""

    reading: Reading

    @property
    def volume(self) -> Volume | None:
        """The study."""
        return self.reading.volume

    @property
    def mask(self) -> Volume | None:
        """A drawn finding on it."""
        return self.reading.mask

    @property
    def explanation(self) -> Explanation | None:
        """What was said of it."""
        return self.reading.explanation

    @property
    def look(self) -> Look:
        """How its evidence is looked at."""
        return self.reading.look

    @property
    def window(self) -> Window | None:
        """How its grey values are seen."""
        return self.reading.window

    @property
    def point_mm(self) -> Point:
        """The world point the planes cross at; the middle of the study until one was asked for."""
        if self.reading.point_mm is not None or self.volume is None:
            return self.reading.point_mm or (0.0, 0.0, 0.0)
        geometry = self.volume.geometry
        x, y, z = geometry.to_world(np.array(geometry.shape) // 2)
        return float(x), float(y), float(z)

    @property
    def rows(self) -> tuple[ClassRow, ...]:
        """The classes, the highest score first."""
        return self.reading.rows

    @property
    def visible(self) -> tuple[str, ...]:
        """Classes whose heatmap is on the screen, the most probable first."""
        return self.reading.visible

    def heatmap(self, name: str) -> Heatmap | None:
        """Return the heatmap of a class by the method and at the layer looked at, if there is one."""
        return self.reading.heatmap(name)

    def style(self, name: str) -> HeatmapStyle:
        """Return what a value of a class's evidence looks like."""
        return self.reading.style(name)
