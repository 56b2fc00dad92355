"""Volumes and heatmaps as NIfTI-1 files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel
import numpy as np

from voxcam.core.landing import whole_file, whole_folder
from voxcam.errors import ExportError
from voxcam.export.file_names import heatmap_names

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voxcam.core.explanation import Explanation
    from voxcam.core.geometry import Geometry
    from voxcam.core.volume import Volume
    from voxcam.export.options import Grid

SCANNER, ALIGNED = 1, 2  # NIFTI_XFORM codes


def write_nifti(volume: Volume, path: str | Path) -> Path:
    """Write `volume` as .nii or .nii.gz with a fresh header: geometry and values, no free text.

    The affine is RAS+ mm, as ours. In the patient's frame sform and qform both say "scanner" (code 1); a
    sheared stack has no qform, which cannot hold it. In another frame the sform says "aligned" (code 2):
    files made from one image lie on each other, but the axes are not the patient's.

    Raises
    ------
    ExportError
        If the path is taken, has another ending, or the values are no numbers NIfTI knows.
    """
    target = Path(path)
    if not target.name.lower().endswith((".nii", ".nii.gz")):
        raise ExportError(f"NIfTI is written as .nii or .nii.gz, asked for {target.suffix or 'no ending'!r}")
    image = nibabel.Nifti1Image(_storable(np.asarray(volume.voxels)), volume.affine)
    _place(image.header, volume.geometry)
    with whole_file(target) as beside:
        nibabel.save(image, beside)
    return target


def write_heatmaps_nifti(
    explanation: Explanation, folder: str | Path, grid: Grid = "study", volume: Volume | None = None
) -> list[Path]:
    """Write every heatmap, raw and signed, float32, to a new `folder`, whole or not at all; return the files.

    Of several classifiers or views joined, the spread between them too.

    Parameters
    ----------
    grid
        "study": on the study's voxels, linear between the network's cells, NaN where it saw nothing;
        "network": on the network's own cells.
    volume
        The study, for an explanation saved without it.

    Raises
    ------
    ExportError
        If the folder is taken, there are no heatmaps, or the study is needed and not there.
    """
    study = volume or explanation.volume
    if not explanation.heatmaps:
        raise ExportError("no NIfTI: the explanation holds scores alone, no heatmaps")
    if grid not in ("study", "network"):
        raise ExportError(f"no grid {grid!r}: there is study, network")
    if grid == "study" and study is None:
        raise ExportError(
            "the explanation was saved without its study: give the volume, or ask for grid network"
        )
    geometry = study.geometry if study is not None and grid == "study" else None
    named = dict(zip(heatmap_names(explanation), explanation.heatmaps, strict=True))
    maps = {f"heatmap-{name}.nii.gz": heatmap for name, heatmap in named.items()}
    maps |= {f"spread-{name}.nii.gz": spread for name, of in named.items() if (spread := of.uncertainty)}
    with whole_folder(folder) as place:
        for name, heatmap in maps.items():
            evidence = heatmap.evidence if geometry is None else heatmap.on(geometry)
            voxels = np.asarray(evidence.voxels, dtype=np.float32)
            write_nifti(replace(evidence, voxels=voxels), place / name)
    return [Path(folder) / name for name in maps]


def _place(header: Any, geometry: Geometry) -> None:
    patient = geometry.frame == "patient"
    code = SCANNER if patient else ALIGNED
    axes = geometry.directions
    is_sheared = bool(np.abs(axes.T @ axes - np.eye(3)).max() > 1e-4)
    header.set_sform(geometry.affine, code=code)
    header.set_qform(geometry.affine, code=code if patient and not is_sheared else 0)
    header.set_xyzt_units("mm" if geometry.frame != "unknown" else "unknown")


def _storable(voxels: NDArray[Any]) -> NDArray[Any]:
    """Return the voxels in a type NIfTI readers know, without loss."""
    if voxels.dtype == bool:
        return voxels.astype(np.uint8)
    if voxels.dtype == np.float16:
        return voxels.astype(np.float32)
    if voxels.dtype.kind in "iu" and voxels.dtype.itemsize == 8:
        if voxels.size and (voxels.min() < -(2**31) or voxels.max() >= 2**31):
            raise ExportError("NIfTI readers know whole numbers of 32 bits: the volume holds larger ones")
        return voxels.astype(np.int32)
    if voxels.dtype.kind not in "iuf":
        raise ExportError(f"NIfTI holds numbers, found voxels of type {voxels.dtype}")
    return voxels
