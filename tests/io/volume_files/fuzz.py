"""Mutated whole-volume files: each must end as the voxels its own header promises, or as a refusal in words.

`python tests/io/volume_files/fuzz.py 5000 0` prints what became of them.
"""

from __future__ import annotations

import gzip
import json
import os
import resource
import struct
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import nibabel as nib
import numpy as np

from voxcam.errors import ReadError
from voxcam.io.left_out import LeftOut
from voxcam.io.quiet import quiet
from voxcam.io.volume_files import metaimage, mgh, nifti, nrrd

SHAPE = (5, 4, 3)
TYPES = {
    2: "u1",
    4: "i2",
    8: "i4",
    16: "f4",
    64: "f8",
    256: "i1",
    512: "u2",
    768: "u4",
    1024: "i8",
    1280: "u8",
}
AFFINE = np.array([[-0.8, 0.1, 0, 30], [0.1, 0.8, 0, -20], [0, 0, 2.5, 10], [0, 0, 0, 1]])
NIFTIS = ("single", "gz", "two", "pair", "extended")


class WrongError(AssertionError):
    """A file was taken for what it is not."""


def noise(dtype=np.int16, shape=SHAPE):
    return np.random.default_rng(1).integers(-900, 900, shape).astype(dtype)


def nifti_seed(kind):
    """Return (bytes of the header part, bytes of the voxels, names of the files)."""
    image = nib.Nifti2Image(noise(np.float32), AFFINE) if kind == "two" else nib.Nifti1Image(noise(), AFFINE)
    if kind == "pair":
        image = nib.Nifti1Pair(noise(), AFFINE)
    if kind == "extended":
        image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"twenty bytes of text"))
    image.set_qform(AFFINE, 1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("a.hdr" if kind == "pair" else "a.nii")
        nib.save(image, path)
        raw = path.read_bytes()
        if kind == "pair":
            return raw, path.with_suffix(".img").read_bytes()
    return raw[: -image.get_data_dtype().itemsize * 60], raw[-image.get_data_dtype().itemsize * 60 :]


def mutated(data, rng, within):
    """Return the bytes with one to eight of the first `within` changed: any value, a flip, an extreme."""
    out = bytearray(data)
    start = int(rng.integers(within))
    for place in range(start, min(start + int(rng.choice([1, 1, 1, 2, 4, 8])), within)):
        out[place] = int(rng.choice([rng.integers(256), out[place] ^ (1 << rng.integers(8)), 0, 255, 127]))
    return bytes(out)


def promised(head, voxels, version):
    """Return what a header says of the original's voxels, by the standard's own offsets, little-endian."""
    if version == 2:
        dims, code = struct.unpack_from("<8q", head, 16), struct.unpack_from("<h", head, 12)[0]
        slope, inter = struct.unpack_from("<2d", head, 176)
    else:
        dims, code = struct.unpack_from("<8h", head, 40), struct.unpack_from("<h", head, 70)[0]
        slope, inter = struct.unpack_from("<2f", head, 112)
    shape = dims[1 : dims[0] + 1]
    values = np.frombuffer(voxels, "<" + TYPES[code]).astype(np.float64)
    if values.size != np.prod(shape):
        raise WrongError("accepted with a shape that does not fit the voxels")
    return (values if slope == 0 else values * slope + inter), shape


def outcome(module, path, check):
    """Return ``refused``, ``unreadable``, ``read`` or ``moved``; raise where something else happens."""
    if not module.recognises(path, path.read_bytes()[:352]):
        return "not recognised"
    with quiet():
        header = module.read_header(path)
    if isinstance(header, LeftOut):
        assert "\n" not in header.reason
        if header.reason.startswith("damaged") and header.reason.endswith("file"):
            return "refused by the last net"
        return "refused"
    (series,) = module.series_of([header], [])
    try:
        volume = module.read(series)
    except ReadError as error:
        return "unreadable" if "\n" not in str(error) else "not one line"
    check(header, volume)
    moved = not np.allclose(volume.affine, AFFINE, atol=1e-3)
    return "read" if not moved else "moved, and said so" if header.findings else "moved"


def run(count, seed=0):
    """Read `count` mutated NIfTI files; return how many ended how. Raises on a wrong or untyped end."""
    rng = np.random.default_rng(seed)
    seeds = {kind: nifti_seed(kind) for kind in NIFTIS}
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            kind = NIFTIS[number % len(NIFTIS)]
            path = one_nifti(Path(folder), kind, *seeds[kind], rng)
            version = 2 if kind == "two" else 1
            counts[outcome(nifti, path, nifti_check(path, kind, seeds[kind][1], version))] += 1
    return dict(counts)


def one_nifti(folder, kind, head, voxels, rng):
    """Write one mutated file: four in five have a changed header, the others are cut or changed anywhere."""
    how = rng.choice(["header", "header", "header", "header", "cut", "anywhere"])
    if how == "header":
        head = mutated(head, rng, min(352, len(head)))
    path = folder / {"gz": "a.nii.gz", "pair": "a.hdr"}.get(kind, "a.nii")
    whole = head if kind == "pair" else head + voxels
    whole = gzip.compress(whole, 1, mtime=0) if kind == "gz" else whole
    if how == "cut":
        whole = whole[: int(rng.integers(len(whole)))]
    elif how == "anywhere":
        # Of a plain file nothing protects the voxels: only what comes before them is changed.
        whole = mutated(whole, rng, len(whole) if kind == "gz" else len(head))
    path.write_bytes(whole)
    if kind == "pair":
        path.with_suffix(".img").write_bytes(voxels)
    return path


def nifti_check(path, kind, voxels, version):
    def check(header, volume):
        raw = path.read_bytes()
        head = gzip.decompress(raw) if kind == "gz" else raw
        expected, shape = promised(head, voxels, version)
        found = np.asarray(volume.voxels)
        if volume.voxels.size != expected.size or int(np.prod(shape)) != found.size:
            raise WrongError("another count of voxels")
        with np.errstate(over="ignore"):
            close = np.allclose(
                found.ravel(order="F"), expected.astype(np.float32), rtol=1e-5, equal_nan=True
            )
        if not close:
            raise WrongError("other voxels than the header promises")

    return check


def run_kin(count, seed=0):
    """Read `count` mutated NRRD, MetaImage and MGH files; return how many ended how."""
    rng = np.random.default_rng(seed)
    seeds = kin_seeds()
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            name, (module, whole, at, size) = list(seeds.items())[number % len(seeds)]
            path = Path(folder) / name
            cut = rng.random() < 0.1
            path.write_bytes(whole[: int(rng.integers(len(whole)))] if cut else mutated(whole, rng, at))
            counts[outcome(module, path, kin_check(module, at, size, whole))] += 1
    return dict(counts)


def kin_seeds():
    """Return {name: (module, file, where its voxels begin, their size)}."""
    import nrrd as pynrrd
    import SimpleITK

    seeds = {}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        about = {"space": "right-anterior-superior", "space directions": AFFINE[:3, :3].T}
        about |= {"space origin": AFFINE[:3, 3]}
        for name, encoding in (("raw.nrrd", "raw"), ("packed.nrrd", "gzip")):
            pynrrd.write(str(place / name), noise(), {**about, "encoding": encoding})
        image = SimpleITK.GetImageFromArray(noise().T)
        steps, origin = np.diag([-1, -1, 1]) @ AFFINE[:3, :3], np.diag([-1, -1, 1]) @ AFFINE[:3, 3]
        spacing = np.linalg.norm(steps, axis=0)
        image.SetSpacing(spacing.tolist())
        image.SetDirection((steps / spacing).ravel().tolist())
        image.SetOrigin(origin.tolist())
        SimpleITK.WriteImage(image, str(place / "a.mha"), useCompression=False)
        SimpleITK.WriteImage(image, str(place / "packed.mha"), useCompression=True)
        nib.save(nib.MGHImage(noise(), AFFINE), place / "a.mgh")
        for file in sorted(place.iterdir()):
            whole = file.read_bytes()
            module = {".nrrd": nrrd, ".mha": metaimage, ".mgh": mgh}[file.suffix]
            seeds[file.name] = (module, whole, module.read_header(file).stored, 120)
    return {
        name: (module, whole, stored.begins + stored.skipped, size)
        for name, (module, whole, stored, size) in seeds.items()
    }


def kin_check(module, at, size, whole):
    """Check that no byte of the header was taken for a voxel, and that all voxels were taken."""

    def check(header, volume):
        stored = header.stored
        if stored.begins + stored.skipped != at:
            raise WrongError("voxels taken from elsewhere")
        # An MGH file may end in tags of any length: only its footer's numbers tell.
        if stored.size != size:
            raise WrongError("another count of bytes taken for voxels")

    return check


if __name__ == "__main__":
    os.environ["VOXCAM_MOST_BYTES"] = "64M"
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    print(json.dumps({"nifti": run(int(sys.argv[1]), int(sys.argv[2]))}))  # noqa: T201
    print(json.dumps({"kin": run_kin(int(sys.argv[1]) // 2, int(sys.argv[2]))}))  # noqa: T201
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"{time.perf_counter() - start:.1f} s, resident memory grew by {grown:.0f} MiB")  # noqa: T201
