"""Our reading of DICOM beside SimpleITK's (GDCM) and a plain pydicom loop: seconds, memory, headers.

    python -m benchmarks.reading [--readme] [--rounds 5] [--slices 300] [--headers 2000]

The CT is made here: smooth anatomy, noise of 15 HU, some 60 elements a header, in four codings. Contenders
take turns; figures are medians of wall seconds. Compressed slices are decoded on all cores by us, on one by
most others: a machine that is busy with something else slows ours most, so let it be idle.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections import defaultdict
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import pydicom
import SimpleITK

from benchmarks.engines.tables import Cell, Findings, Table, Target, targets_table
from benchmarks.made_ct import CODINGS, JLL, RAW, make_ct, make_headers
from voxcam import io
from voxcam.io.decoding.crew import crew

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

README = Path(__file__).parent / "README.md"
MARKS = ("<!-- reading: begin -->", "<!-- reading: end -->")
WANTED = (
    "SeriesInstanceUID StudyInstanceUID SOPInstanceUID FrameOfReferenceUID Modality Rows Columns "
    "PixelSpacing ImageOrientationPatient ImagePositionPatient RescaleSlope RescaleIntercept"
).split()


def main() -> None:
    """Make the CT, measure, print, and write the README if asked."""
    chosen = arguments()
    warnings.simplefilter("ignore")
    os.environ["VOXCAM_CACHE"] = "off"
    if chosen.peak:
        print(json.dumps(growth(*chosen.peak)))
        return
    with tempfile.TemporaryDirectory(prefix="reading-") as folder:
        found = [
            reading(Path(folder), chosen.slices, chosen.rounds),
            scanning(Path(folder), chosen.headers, chosen.rounds),
        ]
    tables = [table for part in found for table in part.tables] + [targets_table(found)]
    for table in tables:
        print(table.text())
    if chosen.readme:
        before, rest = README.read_text().split(MARKS[0])
        body = "\n\n".join(
            [
                f"{versions()}.",
                *(f"**{t.title}.** {t.note}".rstrip() + f"\n\n{t.markdown()}" for t in tables),
            ]
        )
        README.write_text(f"{before}{MARKS[0]}\n{body}\n{MARKS[1]}{rest.split(MARKS[1])[1]}")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--slices", type=int, default=300)
    options.add_argument("--headers", type=int, default=2000)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--readme", action="store_true", help="write the tables into benchmarks/README.md")
    options.add_argument("--peak", nargs=3, help=argparse.SUPPRESS)
    return options.parse_args()


def versions() -> str:
    """Return what was measured, and on how many cores."""
    itk, codecs = SimpleITK.Version_VersionString(), imagecodecs.__version__
    return f"SimpleITK {itk}, pydicom {pydicom.__version__}, imagecodecs {codecs}; {os.cpu_count()} cores"


def voxcam(place: Path) -> NDArray[Any]:
    return io.read(io.scan(place).choose()).voxels.transpose(2, 1, 0)


def voxcam_cold(place: Path) -> NDArray[Any]:
    """The same with decoding children that are not running yet."""
    crew().close()
    return voxcam(place)


def simpleitk(place: Path) -> NDArray[Any]:
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(place)))
    return SimpleITK.GetArrayFromImage(reader.Execute())


def pydicom_loop(place: Path) -> NDArray[Any]:
    """As tutorials write it: float64."""
    slices = [pydicom.dcmread(path) for path in place.iterdir()]
    slices.sort(key=lambda one: one.ImagePositionPatient[2])
    return np.stack([one.pixel_array * one.RescaleSlope + one.RescaleIntercept for one in slices])


READERS: dict[str, Callable[[Path], NDArray[Any]]] = {
    "VoxCAM": voxcam,
    "VoxCAM, children not running": voxcam_cold,
    "SimpleITK": simpleitk,
    "pydicom loop": pydicom_loop,
}


def reading(folder: Path, slices: int, rounds: int) -> Findings:
    """Measure reading one CT in four codings: seconds, peak memory, and whether all voxels are equal."""
    made = {name: make_ct(folder / name, syntax, slices) for name, syntax in CODINGS.items()}
    few = {name: make_ct(folder / f"few {name}", syntax, 8) for name, syntax in CODINGS.items()}
    rows: list[list[Cell]] = []
    targets = []
    for coding, place in made.items():
        readers = {who: read for who, read in READERS.items() if coding != JLL or who != "pydicom loop"}
        equal = all_equal(place, readers)
        turns = taking_turns({who: partial(read, place) for who, read in readers.items()}, rounds)
        seconds = {who: median(times) for who, times in turns.items()}
        size = 2 * slices * 512 * 512
        grown = {
            who: peak(who, place, few[coding]) for who in readers if who != "VoxCAM, children not running"
        }
        for who, spent in seconds.items():
            own, children = grown.get(who, (None, None))
            rows.append(
                [
                    coding,
                    who,
                    spent,
                    min(turns[who]),
                    spent / seconds["VoxCAM"],
                    None if own is None else (own + children) / size,
                    None if own is None else own / size,
                    "equal" if equal[who] else "DIFFER",
                ]
            )
            if not who.startswith("VoxCAM"):
                limit = 2.0 if coding == RAW else 1.5
                targets.append(Target(f"{coding}: {who} / VoxCAM", spent / seconds["VoxCAM"], limit, False))
        targets.append(Target(f"{coding}: peak memory / voxels", sum(grown["VoxCAM"]) / size, 1.3))
    columns = ("coding", "reader", "s", "fastest", "x VoxCAM", "peak / voxels", "process alone", "voxels")
    note = (
        f"Medians of {rounds} turns, files in the system's cache, headers not remembered: scan and read. "
        "Peak resident memory over where it stood after imports and a first small read, in a fresh process, "
        "as a share of the voxels in 16 bits; our decoding children's is counted in. pydicom decodes no "
        "JPEG lossless without a plugin; its loop holds the files, and values of 64 bits. SimpleITK decodes "
        "JPEG 2000 by the same library (OpenJPEG), on all cores too."
    )
    return Findings("reading", [Table(f"{slices} slices of 512 x 512", columns, rows, note)], targets)


def all_equal(place: Path, readers: dict[str, Callable[[Path], NDArray[Any]]]) -> dict[str, bool]:
    ours = voxcam(place).copy()
    return {who: bool(np.array_equal(ours, read(place))) for who, read in readers.items()}


def taking_turns(runs: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Return seconds of every run of each."""
    spent: dict[str, list[float]] = defaultdict(list)
    for _ in range(rounds):
        for who, run in runs.items():
            begun = time.perf_counter()
            run()
            spent[who].append(time.perf_counter() - begun)
    return spent


def peak(who: str, place: Path, few: Path) -> tuple[int, int]:
    """Return by how many bytes a fresh process grows at most when it reads, and its children."""
    command = [sys.executable, "-m", "benchmarks.reading", "--peak", who, str(place), str(few)]
    run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1])
    own, children = json.loads(run.stdout)
    return own, children


def growth(who: str, place: str, few: str) -> tuple[int, int]:
    """Return peak resident bytes over those after a small read of the same coding: ours, our children's."""
    READERS[who](Path(few))
    before = {pid: memory(pid, "VmRSS") for pid in processes()}
    for pid in before:
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak begins anew
    kept = READERS[who](Path(place))
    grown = {pid: memory(pid, "VmHWM") - before.get(pid, 0) for pid in processes()}
    del kept
    own = grown.pop(os.getpid())
    return own, sum(grown.values())


def processes() -> list[int]:
    return [os.getpid(), *crew().pids()]


def memory(pid: int, what: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(what))


def scanning(folder: Path, headers: int, rounds: int) -> Findings:
    """Measure what a folder of many headers takes: anew, remembered, and beside the peers."""
    place = folder / "headers"
    make_headers(place, headers)
    time.sleep(2.5)  # a file this new is not remembered
    runs: dict[str, Callable[[], object]] = {
        "VoxCAM, nothing remembered": partial(scan, place, "off"),
        "VoxCAM, first scan that remembers": lambda: scan(place, tempfile.mkdtemp(dir=folder)),
        "VoxCAM, remembered": partial(scan, place, str(folder / "cache")),
        "pydicom loop, 12 attributes": partial(headers_by_pydicom, place),
        "SimpleITK, series UIDs only": partial(series_by_simpleitk, place),
    }
    scan(place, str(folder / "cache"))
    seconds = {who: median(times) for who, times in taking_turns(runs, rounds).items()}
    ours = seconds["VoxCAM, nothing remembered"]
    rows: list[list[Cell]] = [[who, spent, spent / ours] for who, spent in seconds.items()]
    count = len(list(place.rglob("*"))) - len(list(place.iterdir()))
    note = "Medians; grouping, geometry and findings are in ours. SimpleITK asks each folder for its series."
    targets = [
        Target("scan: pydicom loop / VoxCAM", seconds["pydicom loop, 12 attributes"] / ours, 3.0, False),
        Target("scan, remembered: s", seconds["VoxCAM, remembered"], 0.3),
    ]
    return Findings("scanning", [Table(f"{count} headers", ("scan", "s", "x VoxCAM"), rows, note)], targets)


def scan(place: Path, cache: str) -> object:
    os.environ["VOXCAM_CACHE"] = cache
    try:
        return io.scan(place)
    finally:
        os.environ["VOXCAM_CACHE"] = "off"


def headers_by_pydicom(place: Path) -> list[list[object]]:
    found = []
    for path in place.rglob("*"):
        if path.is_file():
            dataset = pydicom.dcmread(path, stop_before_pixels=True)
            found.append([getattr(dataset, name) for name in WANTED])
    return found


def series_by_simpleitk(place: Path) -> list[str]:
    return [
        uid for folder in place.iterdir() for uid in SimpleITK.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
    ]


if __name__ == "__main__":
    main()
