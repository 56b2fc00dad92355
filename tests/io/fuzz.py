"""Damaged DICOM files through scan and read: each ends as a volume, a finding that stops, or one line.

python tests/io/fuzz.py 20000 [SEED]      (make fuzz)

Bytes flipped, cut and doubled, lengths that lie, elements whose values are absurd, deflated data sets damaged
before they are deflated; and files cut short. `BUG ...` counts what must not be; the file is kept then.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import tempfile
import time
import traceback
import warnings
import zlib
from collections import Counter
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.tag import Tag

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

from mutants import mutants

from tests.io.fuzz_seeds import CANARY, companions, seeds
from voxcam import io
from voxcam.core.lazy import Lazy
from voxcam.errors import VoxcamError

CUT = "MR_small_RLE.dcm MR_small_jp2klossless.dcm MR_small_implicit.dcm image_dfl.dcm enhanced native".split()
_DEFLATED = "1.2.840.10008.1.2.1.99"
_SLOW_S, _STUCK_S = 10.0, 120.0
_MOST = 64 << 20  # bytes a volume may take here
_GROWTH = 400 << 20  # of this process, over a whole run
# What absurd values are put to.
_TARGETS = (
    "Rows Columns NumberOfFrames SamplesPerPixel BitsAllocated BitsStored HighBit PixelRepresentation "
    "PhotometricInterpretation PlanarConfiguration PixelSpacing ImagePositionPatient ImageOrientationPatient "
    "SliceThickness SpacingBetweenSlices RescaleSlope RescaleIntercept DoseGridScaling GridFrameOffsetVector "
    "WindowCenter WindowWidth InstanceNumber ImageType Modality SOPClassUID TransferSyntaxUID FrameTime "
    "SpecificCharacterSet PixelPaddingValue FrameIncrementPointer SegmentationType MaximumFractionalValue "
    "DimensionIndexValues ReferencedSegmentNumber ContourData SegmentNumber NumberOfContourPoints"
).split()
_TEXTS = (
    "", "0", "-1", "1", "1e400", "-1e300", "1e300", "1e-300", "nan", "inf", "1_0", "99999999999999999999",
    "0\\0\\0", "1\\0\\0\\0\\1\\0", "1e300\\1e300\\1e300", "1\\1\\1\\1\\1\\1", "\\\\\\",
    "0.0000001\\0.0000001",
    "MOSAIC", "RGB", "PALETTE COLOR", "YBR_FULL_422", "1.2.840.10008.1.2.4.90", _DEFLATED, "Zebulon\nZebulon",
    "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.481.3", "1.2.840.10008.5.1.4.1.1.30",
)  # fmt: skip


def run(count, seed=0, formats=("dicom",)):
    """Return how `count` damaged files ended; ``BUG ...`` counts what must not be, a file kept for each."""
    if formats != ("dicom",):
        raise ValueError("the other formats are damaged by volume_files/fuzz.py")
    ends, kept = Counter(), list(seeds())
    with _confined() as folder:
        places = {name: _place(folder / str(number), name) for number, name in enumerate(kept)}
        before = _resident()
        for number in range(count):
            name = kept[number % len(kept)]
            file = places[name] / "1"
            file.write_bytes(_damaged(name, np.random.default_rng([seed, number])))
            end = _ended(file, ("refuse", "refuse", "refuse", "mark", "interpolate")[number // len(kept) % 5])
            ends[end] += 1
            if end.startswith("BUG"):
                _keep(file, f"{end} {name} {seed}-{number}")
        grown = _resident() - before
    ends.update({"BUG memory": 1} if grown > _GROWTH else {})
    ends["MiB grown"] = max(grown >> 20, 0)
    return ends


def _place(folder, name):
    """Make the folder a damaged file will lie in, with whatever belongs beside it."""
    folder.mkdir()
    for number, companion in enumerate(companions().get(name, ())):
        (folder / f"beside{number}").write_bytes(companion)
    return folder


def run_cuts(count, last, seed=0):
    """Return how files ended that were cut at `count` random places, and at each of their `last` bytes."""
    ends, rng = Counter(), np.random.default_rng(seed)
    with _confined() as folder:
        for name in CUT:
            whole = seeds()[name]
            (folder / "whole").write_bytes(whole)
            (series,) = io.scan(folder / "whole").series
            voxels = np.asarray(io.read(series).voxels)
            places = {
                *rng.integers(1, len(whole), count).tolist(),
                *range(max(len(whole) - last, 1), len(whole)),
            }
            for kept in sorted(places):
                (folder / "cut").write_bytes(whole[:kept])
                end = _cut_end(folder / "cut", voxels)
                ends[f"{end} ({name}, {kept} of {len(whole)})" if end.startswith("BUG") else end] += 1
    return ends


def _damaged(name, rng):
    """Return a damaged copy of a seed, in one of three ways."""
    whole = seeds()[name]
    way = rng.random()
    if way < 0.35 and (absurd := _absurd(whole, rng)) is not None:
        return absurd
    if name == "image_dfl.dcm" and way < 0.85:
        start = whole.index(_DEFLATED.encode()) + len(_DEFLATED)
        start = next(at for at in range(start, start + 200) if _inflates(whole[at:]))
        (inner,) = mutants(zlib.decompressobj(-15).decompress(whole[start:]), rng, 1)
        packer = zlib.compressobj(wbits=-15)
        return whole[:start] + packer.compress(inner) + packer.flush()
    pixels = max(whole.find(b"\xe0\x7f\x10\x00"), whole.find(b"\x7f\xe0\x00\x10"))
    (mutant,) = mutants(whole, rng, 1, head=pixels + 64 if pixels > 0 else len(whole))
    return mutant


def _inflates(packed):
    try:
        return zlib.decompressobj(-15).decompress(packed)[:1] == b"\x08"
    except zlib.error:
        return False


def _absurd(whole, rng):
    """Return the file with one to three elements that say something absurd; None if it cannot be written."""
    dataset = dcmread(BytesIO(whole), force=True)
    try:
        everywhere = list(dataset.iterall())
        for _ in range(int(rng.integers(1, 4))):
            keyword = _TARGETS[int(rng.integers(len(_TARGETS)))]
            there = [element for element in everywhere if element.keyword == keyword]
            if there:
                element = there[int(rng.integers(len(there)))]
            else:
                element = everywhere[int(rng.integers(len(everywhere)))]
            _lie(element, rng)
        stream = BytesIO()
        dataset.save_as(stream)
    except Exception:
        return None
    return stream.getvalue()


def _lie(element, rng):
    if element.VR in ("US", "SS", "UL", "SL"):
        element.value = int(rng.choice([0, 1, 2, 7, 8, 15, 16, 17, 31, 32, 64, 255, 32767, 65535]))
        element.VR = "US"
    elif element.VR in ("FD", "FL"):
        element.value = [float(rng.choice([0, -1, 1e300, np.nan, np.inf, 1e-300]))] * int(rng.integers(1, 4))
    elif element.VR == "AT":
        element.value = Tag(int(rng.integers(2**32)))
    elif element.VR not in ("SQ", "OB", "OW", "UN"):
        element.VR = "LT"  # one text, written as it is
        element._value = _TEXTS[int(rng.integers(len(_TEXTS)))]


def _ended(file, gaps):
    faulthandler.dump_traceback_later(_STUCK_S, exit=True)
    begun = time.monotonic()
    end = _end(file.parent, gaps)
    faulthandler.cancel_dump_traceback_later()
    return "BUG slow" if time.monotonic() - begun > _SLOW_S else end


def _end(place, gaps):
    try:
        study = io.scan(place)
        beside = len(list(place.iterdir())) - 1
        if study.found != study.loaded + study.skipped + study.refused or study.found != beside + 1:
            return "BUG counts"
        if improper := [line for line in _said(study) if _improper(line)]:
            return f"BUG said {improper[0]!r}"
        return _read(study, beside, gaps)
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)
        ours = [line for line in where if "voxcam" in line.filename] or where
        return f"BUG {type(error).__name__} in {Path(ours[-1].filename).name}:{ours[-1].lineno}"


def _read(study, beside, gaps):
    end = "volume" if study.loaded > beside else "left out"
    for series in study.series:
        try:
            _look(io.read(series, gaps=gaps))
        except VoxcamError as error:
            end = f"BUG said {error!s}" if _improper(str(error)) else "refused when read"
        else:
            # Of four slices the second is the damaged one.
            if gaps == "refuse" and beside == 3 and len(series.files) == 3:
                end = "BUG three slices of four taken for all"
    return end


def _said(study):
    """Return every line that a person may be shown or a log may keep."""
    own = [str(finding) for finding in study.findings]
    of_series = [str(finding) for series in study.series for finding in series.findings]
    return [*own, *of_series, *map(str, study.series), *map(repr, study.series), repr(study.findings)]


def _look(volume):
    """Look at all voxels; at the first and the last slice of what is read as asked."""
    if not isinstance(volume.voxels, Lazy):
        np.asarray(volume.voxels)
    else:
        for k in (0, -1):
            np.asarray(volume.voxels[:, :, k])
    if not np.isfinite(volume.geometry.affine).all():
        raise FloatingPointError("the volume lies nowhere")
    if any(_improper(str(finding)) for finding in volume.source.get("findings", ())):
        raise FloatingPointError("improper finding")


def _improper(line):
    return "\n" in line or CANARY in line or len(line) > 2000


def _cut_end(file, voxels):
    study = io.scan(file)
    if not study.loaded:
        return "left out"
    try:
        found = [np.asarray(io.read(series).voxels) for series in study.series]
    except VoxcamError:
        return "refused when read"
    whole = len(found) == 1 and found[0].dtype == voxels.dtype and np.array_equal(found[0], voxels)
    return "whole, all pixels there" if whole else "BUG cut and read"


@contextmanager
def _confined():
    """Give a folder; within, nothing is remembered and little memory allowed."""
    own = {"VOXCAM_CACHE": "off", "VOXCAM_MOST_BYTES": str(_MOST)}
    before = {name: os.environ.get(name) for name in own}
    os.environ.update(own)
    try:
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield Path(folder)
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _resident():
    lines = Path("/proc/self/status")
    if not lines.exists():
        return 0
    return next(int(line.split()[1]) << 10 for line in lines.read_text().splitlines() if "VmRSS" in line)


def _keep(file, name):
    kept = Path(tempfile.gettempdir()) / "voxcam-fuzz"
    kept.mkdir(exist_ok=True)
    plain = "".join(c if c.isalnum() or c in "-." else "_" for c in name)[:120]
    (kept / plain).write_bytes(file.read_bytes())


def main(arguments):
    """Run as many as asked, and print how they ended."""
    faulthandler.enable()
    asked = int(arguments[0]) if arguments else 2000
    seed = int(arguments[1]) if len(arguments) > 1 else int(time.time())
    begun = time.monotonic()
    found = run(asked, seed)
    cuts = run_cuts(200, 1024, seed) if asked >= 20_000 else run_cuts(40, 64, seed)
    spent = time.monotonic() - begun
    ends = f"{dict(found)}; cut short: {dict(cuts)}"
    print(f"{asked} damaged DICOM files (seed {seed}): {ends}; {spent:.0f} s")  # noqa: T201
    return any(end.startswith("BUG") for end in [*found, *cuts])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
