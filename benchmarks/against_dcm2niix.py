"""Our reading beside dcm2niix's, series by series: voxels and affine, and why where they differ.

    python -m benchmarks.against_dcm2niix [--readme]

Each series of pydicom's, pydicom-data's and nibabel's own test files that dcm2niix converts at all, and
series made here with a known place in the world. Both results are turned to their closest RAS order, as
dcm2niix flips rows and sometimes slices; a grid is one grid if no corner is further than 1e-4 mm apart.
"""

from __future__ import annotations

import argparse
import gzip
import importlib.resources
import shutil
import subprocess
import sys
import tempfile
import warnings
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import dcm2niix
import nibabel as nib
import numpy as np
import pydicom

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from builders import affine_of, noise, write_dicom_series

from voxcam import io
from voxcam.errors import VoxcamError

if TYPE_CHECKING:
    from collections.abc import Iterator

README = Path(__file__).parent / "README.md"
MARKS = ("<!-- dcm2niix: begin -->", "<!-- dcm2niix: end -->")
SAMPLES = Path(__file__).resolve().parents[1] / "sample_scans"
EVEN_MM = 1e-4


_CODINGS = "one image in several codings, side by side in that collection"
_UID = "1.2.826.0.1.3680043.8.498"
_ONE_SERIES = {
    "Modality": "MR",
    "StudyInstanceUID": f"{_UID}.1",
    "SeriesInstanceUID": f"{_UID}.2",
    "FrameOfReferenceUID": f"{_UID}.3",
}
_KNOWN = {
    "philips_mprage.dcm": "it steps by SpacingBetweenSlices; ours is within 8e-6 mm of each frame's position",
    "J2K_pixelrep_mismatch.dcm": "the code stream is unsigned, the header signed: ours are pydicom's values",
    "MR2_UNCR.dcm": _CODINGS,
    "693_J2KR.dcm": _CODINGS,
}


@dataclass(frozen=True)
class Row:
    """One series beside dcm2niix's."""

    name: str
    shape: tuple[int, ...]
    voxels: str
    affine_mm: float | None
    reason: str = ""


def cases(folder: Path) -> Iterator[tuple[str, Path, str]]:
    """Yield (name, folder of one series, why we differ on purpose or "")."""
    yield "abdominal CT, JPEG 2000", SAMPLES / "ct_abdomen_dicom", ""
    yield (
        "oblique brain MR, uneven steps (6.96-7.07 mm)",
        SAMPLES / "mr_brain_oblique_dicom",
        "dcm2niix takes the first step for all; we the mean of all: nearer to each slice's own position",
    )
    yield from _made(folder)
    yield from _found(folder)


def _made(folder: Path) -> Iterator[tuple[str, Path, str]]:
    made = {
        "axial": {},
        "feet first (slices downwards)": {"order": range(5, -1, -1)},
        "oblique": {"angles": (20, -15, 30)},
        "sagittal": {"angles": (0, 90, 0)},
        "coronal": {"angles": (95, 10, 5)},
        "files in random order": {"order": [2, 5, 0, 3, 1, 4]},
        "rescale slope 2.5": {"RescaleSlope": "2.5", "RescaleIntercept": "-10"},
        "MONOCHROME1": {"PhotometricInterpretation": "MONOCHROME1"},
    }
    for name, how in made.items():
        elements = {k: v for k, v in how.items() if k not in ("angles",)}
        affine = affine_of(how.get("angles", (0, 0, 0)), (0.9, 0.7, 3.3), (35, -80, 120))
        place = folder / name.replace(" ", "-")
        write_dicom_series(place, noise((24, 20, 6)), affine, Modality="MR", **elements)
        yield f"made: {name}", place, ""
    tilted = affine_of((0, 0, 0), (0.9, 0.7, 3.3), (35, -80, 120), shear=(0.0, 1.1))
    write_dicom_series(folder / "tilt", noise((24, 20, 6)), tilted, GantryDetectorTilt="18.4")
    yield (
        "made: gantry tilt 18.4 degrees",
        folder / "tilt",
        "dcm2niix's affine leaves the shear out (another file is resampled); ours keeps every position",
    )
    paths = write_dicom_series(folder / "gap", noise((24, 20, 6)), affine_of())
    paths[3].unlink()
    yield (
        "made: one slice missing",
        folder / "gap",
        "dcm2niix stretches or splits; we refuse, or mark its place",
    )
    for echo in (1, 2):
        place = folder / "echoes" / str(echo)
        write_dicom_series(place, noise(seed=echo), affine_of(), each=partial(_echo, echo), **_ONE_SERIES)
    yield "made: two echoes in one series", folder / "echoes", ""


def _echo(echo: int, k: int) -> dict[str, str]:
    return {"EchoTime": str(5 * echo), "EchoNumbers": str(echo), "InstanceNumber": str(10 * echo + k)}


def _found(folder: Path) -> Iterator[tuple[str, Path, str]]:
    """Yield every placed series of the packages' test files that is more than a projection."""
    roots = {
        "pydicom": Path(pydicom.__file__).parent / "data" / "test_files",
        "pydicom-data": Path(str(importlib.resources.files("data_store"))) / "data",
        "nibabel": _unzipped(Path(nib.__file__).parent / "nicom" / "tests" / "data", folder / "nicom"),
    }
    for package, root in roots.items():
        for number, series in enumerate(io.scan(root).series):
            first = series.headers[0]
            if series.kind != "image" or not first.placed or first.is_colour or not series.readable:
                continue
            place = folder / package / str(number)
            place.mkdir(parents=True)
            for index, file in enumerate(series.files):
                shutil.copy(file, place / f"{index:04d}.dcm")
            yield f"{package}: {series.files[0].name}", place, _KNOWN.get(series.files[0].name, "")


def _unzipped(source: Path, target: Path) -> Path:
    target.mkdir()
    for file in source.iterdir():
        if file.name.endswith(".dcm.gz"):
            (target / file.stem).write_bytes(gzip.decompress(file.read_bytes()))
        elif file.suffix == ".dcm":
            shutil.copy(file, target)
    return target


def compare(name: str, place: Path, reason: str, out: Path) -> Row | None:
    """Return the series beside dcm2niix's; None where dcm2niix converts nothing."""
    out.mkdir(parents=True)
    command = [str(dcm2niix.bin), "-b", "n", "-z", "n", "-m", "y", "-f", "%s_%e", "-o", str(out), str(place)]
    subprocess.run(command, capture_output=True, timeout=120, check=False)
    theirs = sorted(out.glob("*.nii"))
    if not theirs:
        return None
    try:
        ours = io.read(io.scan(place).choose())
    except VoxcamError as error:
        return Row(name, (), "refused", None, reason or str(error)[:80])
    image = _alike([nib.load(path) for path in theirs], ours.voxels.shape)
    if image is None:
        shapes = ", ".join("x".join(map(str, nib.load(path).shape)) for path in theirs)
        return Row(name, ours.voxels.shape, f"theirs {shapes}", None, reason)
    mine = nib.as_closest_canonical(nib.Nifti1Image(np.asarray(ours.voxels, np.float64), ours.affine))
    other = nib.as_closest_canonical(image)
    voxels = "differ"
    if mine.shape == other.shape:
        apart = np.abs(mine.get_fdata() - np.asarray(other.dataobj, np.float64)).max()
        voxels = (
            "equal" if apart <= 1e-4 * max(1.0, np.abs(mine.get_fdata()).max()) else f"differ by {apart:g}"
        )
    return Row(name, ours.voxels.shape, voxels, _corner_distance(mine, other), reason)


def _alike(images: list[nib.Nifti1Image], shape: tuple[int, ...]) -> nib.Nifti1Image | None:
    """Return their image of our shape, whatever its axes; of files that are moments, all together."""
    found = [image for image in images if sorted(image.shape[:3]) == sorted(shape[:3])]
    if len(shape) == 4 and len(found) == shape[3] and all(len(image.shape) == 3 for image in found):
        return nib.Nifti1Image(np.stack([np.asarray(i.dataobj) for i in found], axis=-1), found[0].affine)
    return found[0] if found else None


def _corner_distance(mine: nib.Nifti1Image, other: nib.Nifti1Image) -> float:
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in mine.shape[:3]])).reshape(3, -1)
    apart = (mine.affine - other.affine)[:3, :3] @ corners + (mine.affine - other.affine)[:3, 3:]
    return float(np.abs(apart).max())


def rows() -> list[Row]:
    """Return all cases that dcm2niix converts."""
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        (base / "in").mkdir()
        compared = (
            compare(name, place, reason, base / "out" / str(number))
            for number, (name, place, reason) in enumerate(cases(base / "in"))
        )
        return [row for row in compared if row is not None]


def table(found: list[Row]) -> str:
    """Return the rows as a table in markdown."""
    lines = ["| series | voxels | values | affine, mm | |", "|---|---|---|---|---|"]
    for row in found:
        shape = " x ".join(map(str, row.shape))
        affine = "" if row.affine_mm is None else f"{row.affine_mm:.1e}"
        agrees = row.voxels == "equal" and row.affine_mm is not None and row.affine_mm <= EVEN_MM
        lines.append(
            f"| {row.name} | {shape} | {row.voxels} | {affine} | {'' if agrees else row.reason or '?'} |"
        )
    agree = sum(r.voxels == "equal" and r.affine_mm is not None and r.affine_mm <= EVEN_MM for r in found)
    return "\n".join(
        [*lines, "", f"{agree} of {len(found)} series agree in every voxel and within {EVEN_MM:g} mm."]
    )


def main() -> None:
    """Print the table, and write it to the README if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readme", action="store_true", help="write the table into benchmarks/README.md")
    made = table(rows())
    print(made)
    if parser.parse_args().readme:
        text = README.read_text()
        before, rest = text.split(MARKS[0])
        README.write_text(f"{before}{MARKS[0]}\n{made}\n{MARKS[1]}{rest.split(MARKS[1])[1]}")


if __name__ == "__main__":
    main()
