"""The sample scans and demo classifiers that come with VoxCAM; origins in ``sample_scans/SOURCES.md``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from voxcam.errors import ReadError


@dataclass(frozen=True)
class Sample:
    """A sample scan.

    Parameters
    ----------
    title
        What a person reads.
    scan
        File or folder in ``sample_scans``.
    labels
        Its mask or label map, or None.
    """

    title: str
    scan: str
    labels: str | None = None


SAMPLES: dict[str, Sample] = {
    "lung_tumour": Sample(
        "Chest CT with a lung tumour and its drawn mask",
        "lung_tumour_ct.nii.gz",
        "lung_tumour_ct_mask.nii.gz",
    ),
    "ct_abdomen": Sample(
        "Abdominal CT (DICOM) with organ labels", "ct_abdomen_dicom", "ct_abdomen_labels.nii.gz"
    ),
    "ct_torso": Sample("Torso CT with organ labels", "ct_torso.nii.gz", "ct_torso_labels.nii.gz"),
    "mr_abdomen": Sample("Abdominal MR with organ labels", "mr_abdomen.nii.gz", "mr_abdomen_labels.nii.gz"),
    "mr_brain_oblique": Sample("Oblique brain MR (DICOM)", "mr_brain_oblique_dicom"),
    "brain_tumour": Sample(
        "Brain tumour, T1 with contrast, and its drawn mask",
        "brain_tumour_t1c.nii.gz",
        "brain_tumour_t1c_mask.nii.gz",
    ),
    "brain_template": Sample("Brain template, T1 (ICBM 152)", "brain_t1_template.nii.gz"),
    "chest_xray": Sample("Chest radiograph (DICOM, MONOCHROME1)", "chest_xray.dcm"),
}

MODELS: dict[str, str] = {
    "lung_nodule_3d": "Lung nodule, 3D, slid over a chest CT",
    "ct_organs_2d": "Organs in axial CT slices, 2D",
}


def sample_path(file: str) -> Path:
    """Return where a file of ``sample_scans`` lies: in the installed package, or in the checkout.

    Raises
    ------
    ReadError
        If this installation has no such file.
    """
    here = Path(__file__).resolve().parent
    for place in (here / "sample_scans" / file, here.parents[1] / "sample_scans" / file):
        if place.exists():
            return place
    raise ReadError(f"this installation has no sample {file!r}: install VoxCAM again")


def model_path(name: str) -> Path:
    """Return the folder of a demo classifier's bundle, one of `MODELS`."""
    return sample_path(f"models/{name}")
