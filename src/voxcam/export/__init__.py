"""Explanations as files: figures and NIfTI. Draws without a viewer, needs no model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from voxcam.export.options import ExportOptions

if TYPE_CHECKING:
    from pathlib import Path

    from voxcam.core.explanation import Explanation

__all__ = ["FORMATS", "ExportOptions"]


class Export(Protocol):
    """Write an explanation to a new folder, whole or not at all; return the files."""

    def __call__(
        self, explanation: Explanation, folder: Path, options: ExportOptions | None = None
    ) -> list[Path]: ...


def _png(explanation: Explanation, folder: Path, options: ExportOptions | None = None) -> list[Path]:
    from voxcam.export.figure_files import write_figures

    return write_figures(explanation, folder, options)


def _nifti(explanation: Explanation, folder: Path, options: ExportOptions | None = None) -> list[Path]:
    from voxcam.export.nifti import write_heatmaps_nifti

    options = options or ExportOptions()
    return write_heatmaps_nifti(explanation, folder, options.grid, options.volume)


# matplotlib and nibabel load at first use.
FORMATS: dict[str, Export] = {
    "png": _png,
    "nifti": _nifti,
}
