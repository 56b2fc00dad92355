"""What may be asked of every export; each format takes what concerns it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from voxcam.core.volume import Volume
    from voxcam.core.windows import Window
    from voxcam.export.page import ThemeName

Grid = Literal["study", "network"]


@dataclass(frozen=True)
class ExportOptions:
    """Options shared by the formats.

    Parameters
    ----------
    theme, dpi, window, colours, threshold, mask, caption
        Of figures; see `voxcam.export.view.FigureOptions` and `voxcam.export.style.HeatmapStyle`.
    grid
        Of NIfTI: heatmaps on the study's voxels, or raw on the network's own.
    volume
        The study, for an explanation saved without it.
    """

    theme: ThemeName = "dark"
    dpi: int = 200
    window: Window | None = None
    colours: str = "inferno"
    threshold: float = 0.0
    mask: Volume | None = None
    caption: str | None = None
    grid: Grid = "study"
    volume: Volume | None = None
