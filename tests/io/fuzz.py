"""Damaged DICOM files through scan and read: each ends as a volume, a finding, or one line.

python -m tests.io.fuzz 20000      (make fuzz)
"""

from __future__ import annotations

import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

import numpy as np
from pydicom.data import get_testdata_file

sys.path.insert(0, str(Path(__file__).parents[1]))

from mutants import mutants

from voxcam import io
from voxcam.errors import VoxcamError

# One of each: native, implicit, big-endian, deflated, every compression, frames, colour, objects on images.
SEEDS = (
    "CT_small.dcm MR_small_implicit.dcm MR_small_bigendian.dcm image_dfl.dcm MR_small_RLE.dcm "
    "JPEGLSNearLossless_16.dcm SC_rgb_jpeg_gdcm.dcm SC_rgb_small_odd_jpeg.dcm JPEG2000.dcm "
    "emri_small_jpeg_ls_lossless.dcm emri_small_RLE.dcm SC_rgb_rle_2frame.dcm examples_palette.dcm "
    "liver.dcm rtdose.dcm rtstruct.dcm MR_small_expb.dcm mlut_18.dcm vlut_04.dcm"
).split()
CANARY = b"Zebulon"
_LARGEST = 300_000
_SLOW_S = 10.0


def seeds() -> list[bytes]:
    """Return the seeds that are here and small, with a name in them that must never be said."""
    found = [Path(path).read_bytes() for name in SEEDS if (path := get_testdata_file(name))]
    return [_named(seed) for seed in found if len(seed) <= _LARGEST]


def run(count: int, seed: int) -> Counter[str]:
    """Return how `count` damaged files ended; ``BUG ...`` counts what must not be."""
    rng, all_seeds, ends = np.random.default_rng(seed), seeds(), Counter()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "damaged"
        for number in range(count):
            (mutant,) = mutants(all_seeds[number % len(all_seeds)], rng, 1)
            file.write_bytes(mutant)
            begun = time.monotonic()
            ends[_end(file, "mark" if number % 5 == 0 else "refuse")] += 1
            if time.monotonic() - begun > _SLOW_S:
                ends["BUG slow"] += 1
    return ends


def _end(file: Path, gaps: str) -> str:
    try:
        study = io.scan(file)
        said = [str(finding) for finding in (*study.findings, *(f for s in study.series for f in s.findings))]
        if any(_improper(line) for line in said):
            return "BUG said"
        if study.found != study.loaded + study.skipped + study.refused:
            return "BUG counts"
        for series in study.series:
            np.asarray(io.read(series, gaps=gaps).voxels)
    except VoxcamError as error:
        return "BUG said" if _improper(str(error)) else "refused when read"
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        return f"BUG {type(error).__name__} in {Path(where.filename).name}:{where.lineno}"
    return "volume" if study.series else "left out"


def _improper(line: str) -> bool:
    return "\n" in line or CANARY.decode() in line


def _named(seed: bytes) -> bytes:
    """Return the file with the canary in place of the beginning of the patient's name, if it has one."""
    at = seed.find(b"\x10\x00\x10\x00")
    length = int.from_bytes(seed[at + 6 : at + 8], "little") if seed[at + 4 : at + 6] == b"PN" else 0
    if at < 0 or length < len(CANARY):
        return seed
    return seed[: at + 8] + CANARY + seed[at + 8 + len(CANARY) :]


if __name__ == "__main__":
    asked = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    begun = time.monotonic()
    found = run(asked, seed=int(time.time()))
    print(f"{asked} damaged DICOM files in {time.monotonic() - begun:.0f} s: {dict(found)}")  # noqa: T201
    sys.exit(any(end.startswith("BUG") for end in found))
