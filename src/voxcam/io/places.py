"""A place: a folder, an archive or one file, and what in it can be read."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, get_args

from voxcam.errors import ReadError
from voxcam.io.abreast import looked_at
from voxcam.io.dicom import as_text
from voxcam.io.dicom import headers as dicom_headers
from voxcam.io.dicom import reader as dicom_reader
from voxcam.io.dicom import series as dicom_series
from voxcam.io.left_out import LeftOut, reasons
from voxcam.io.place.archive import is_archive, unpack
from voxcam.io.place.cache import HeaderCache
from voxcam.io.place.folders import Met, walk
from voxcam.io.quiet import quiet
from voxcam.io.study import Finding, Gaps, Series, Study
from voxcam.io.volume_files import metaimage, mgh, nifti, nrrd

if TYPE_CHECKING:
    from collections.abc import Callable

    from voxcam.core.volume import Volume
    from voxcam.io.study import Progress


@dataclass(frozen=True)
class Reader:
    """How files of one format are told, their headers read, grouped to series, and a series read."""

    recognises: Callable[[Path, bytes], bool]
    header: Callable[[Path], Any]
    series: Callable[[list[Any], list[LeftOut]], list[Series]]
    findings: Callable[[list[Any], list[Series]], list[Finding]]
    read: Callable[[Series, Progress | None, Gaps], Volume]


def _of_whole_volumes(module: Any) -> Reader:
    """Return the reader of a format whose files hold a volume each: no gaps, nothing odd between files."""
    return Reader(
        module.recognises,
        module.read_header,
        module.series_of,
        lambda headers, series: [],
        lambda series, progress, gaps: module.read(series, progress),
    )


# In the order they are asked; the order series are listed in.
READERS: dict[str, Reader] = {
    "dicom": Reader(
        dicom_headers.recognises,
        dicom_headers.read_header,
        dicom_series.series_of,
        dicom_series.place_findings,
        dicom_reader.read,
    ),
    "nifti": _of_whole_volumes(nifti),
    "nrrd": _of_whole_volumes(nrrd),
    "metaimage": _of_whole_volumes(metaimage),
    "mgh": _of_whole_volumes(mgh),
}
# Enough for DICOM's magic at 128 and NIfTI-1's at 344.
_HEAD_BYTES = 352


@dataclass(frozen=True)
class Archive:
    """A file whose members are looked at in its place."""

    path: Path


Looked = LeftOut | Archive | tuple[str, tuple[Any, ...]]


def scan(place: str | os.PathLike[str], progress: Progress | None = None) -> Study:
    """Return the series of a folder and all below it, or of one file; only headers are read.

    Files are told by what they hold, not by their name. Pipes, sockets and devices are not opened, and a
    folder met twice by links is entered once. Zip archives are unpacked, within caps, to a private folder
    that lasts as long as the series do. Every file, or member of an archive, is accounted for in the
    study's counts. What headers said is remembered for the next scan (VOXCAM_CACHE=off: it is not).

    Parameters
    ----------
    place
        Folder, file or zip archive; of a DICOMDIR the medium it is the index of.
    progress
        Called with (done, total) files; (0, met so far) while folders are still walked. May raise
        `voxcam.errors.Cancelled` to stop.

    Raises
    ------
    ReadError
        The place does not exist.
    """
    root = _medium(Path(place))
    met, left_out = walk(root, progress)
    remembered = HeaderCache.of(root, as_text.VERSION)
    with quiet():
        looked = looked_at(met, partial(_look, remembered=remembered), progress)
        unpacked, lent = _unpacked(looked, progress)
        looked += unpacked
        kept: dict[str, list[Any]] = {name: [] for name in READERS}
        for found in looked:
            if isinstance(found, LeftOut):
                left_out.append(found)
            elif isinstance(found, tuple):
                kept[found[0]] += found[1]
        series, findings = _series(kept, left_out)
    remembered.save()
    refused = sum(item.refused for item in left_out)
    loaded = sum(isinstance(found, tuple) for found in looked)
    if not loaded and not left_out:
        findings.append(Finding("empty", "the place holds no files", 0))
    return Study(
        series=tuple(replace(one, keeps=lent) for one in series) if lent else tuple(series),
        findings=(*reasons(left_out), *findings),
        found=loaded + len(left_out),
        loaded=loaded,
        skipped=len(left_out) - refused,
        refused=refused,
        left_out=tuple((item.file, item.reason) for item in left_out if item.file and item.refused),
    )


def _medium(place: Path) -> Path:
    """Return the folder of a DICOMDIR, the index of a medium: its files are met by walking."""
    return place.parent if place.name.upper() == "DICOMDIR" and place.is_file() else place


def read(
    series: Series,
    progress: Progress | None = None,
    modality: str | None = None,
    gaps: Gaps = "refuse",
) -> Volume:
    """Return a series as a volume in RAS+ mm, of modality values (HU, ...) that are never windowed.

    Parameters
    ----------
    series
        One of `Study.series`.
    progress
        Called with (done, total) slices; may raise `voxcam.errors.Cancelled` to stop.
    modality
        DICOM's two letters (CT, MR, ...) to go by where the file states none, as NIfTI never does: nothing
        is guessed from the values then. A NIfTI file stated to be CT is in HU. None: go by the file alone.
    gaps
        What becomes of missing slices and uneven steps of DICOM: ``refuse`` the series; ``mark`` their
        places, which stay empty (`Volume.empty`); ``interpolate`` between the neighbours.

    Raises
    ------
    ReadError
        The series cannot be read whole, or is of another modality than stated; `GridError` if its slices
        form no regular grid.
    """
    if not isinstance(series, Series):
        raise TypeError(
            f"expected a Series such as voxcam.scan(place).choose(), found {type(series).__name__}"
        )
    if gaps not in get_args(Gaps):
        raise ReadError(f"expected gaps to be {', '.join(get_args(Gaps))}, found another word")
    stated = series if modality is None else _stated(series, modality)
    return READERS[series.format].read(stated, progress, gaps)


def _stated(series: Series, modality: str) -> Series:
    """Return the series as of the modality stated; the file's own word goes before it."""
    code = modality.strip().upper()
    if series.modality:
        if code == series.modality:
            return series
        raise ReadError(
            f"the series was stated to be of another modality, the file says {series.modality}; "
            "leave the modality out"
        )
    if not re.fullmatch("[A-Z]{2}", code):
        raise ReadError("expected a modality of two letters such as CT, MR or PT, found another word")
    return replace(series, modality=code)


def _look(met: Met, remembered: HeaderCache | None) -> Looked:
    """Return the reader's name and the headers, why the file is left out, or that it is an archive."""
    found = _found(met, remembered)
    return replace(found, file=met.path) if isinstance(found, LeftOut) else found


def _found(met: Met, remembered: HeaderCache | None) -> Looked:
    if remembered is not None and (text := remembered.get(met.path, met.status)) is not None:
        known = as_text.from_text(met.path, text)
        return known if isinstance(known, LeftOut) else ("dicom", known)
    try:
        head = _head(met.path)
    except OSError:
        return LeftOut("the file cannot be opened or read", refused=True)
    if not head:
        return LeftOut("empty file", refused=True)
    if is_archive(head):
        return Archive(met.path)
    for name, reader in READERS.items():
        if reader.recognises(met.path, head):
            return _recognised(met, name, reader, remembered)
    return LeftOut("not an image file")


def _head(path: Path) -> bytes:
    # A pipe that took the file's place since the walk must not be waited for.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
    try:
        return os.read(descriptor, _HEAD_BYTES)
    finally:
        os.close(descriptor)


def _recognised(met: Met, name: str, reader: Reader, remembered: HeaderCache | None) -> Looked:
    found = reader.header(met.path)
    if name == "dicom" and remembered is not None and remembered.keeps:
        text = as_text.as_text(found)
        if text is not None:
            remembered.put(met.path, met.status, text)
    if isinstance(found, LeftOut):
        return found
    return name, found if isinstance(found, tuple) else (found,)


def _unpacked(looked: list[Looked], progress: Progress | None) -> tuple[list[Looked], Any]:
    """Return what lies in the archives among `looked`, and the folder they are unpacked to; None if none is.

    The folder is removed when nobody holds it any more. An archive that is refused as a whole is left out.
    """
    look = partial(_look, remembered=None)
    archives = [found for found in looked if isinstance(found, Archive)]
    if not archives:
        return [], None
    lent = TemporaryDirectory(prefix="voxcam-")
    inside: list[Looked] = []
    for number, archive in enumerate(archives):
        folder = Path(lent.name) / str(number)
        folder.mkdir()
        try:
            files, left_out = unpack(archive.path, folder, progress)
        except ReadError as error:
            inside.append(LeftOut(str(error), refused=True))
            continue
        inside += left_out
        inside += looked_at([Met(path, path.stat()) for path in files], look, progress)
    return inside, lent


def _series(kept: dict[str, list[Any]], left_out: list[LeftOut]) -> tuple[list[Series], list[Finding]]:
    series: list[Series] = []
    findings: list[Finding] = []
    for name, reader in READERS.items():
        ours = reader.series(kept[name], left_out)
        series += ours
        findings += reader.findings(kept[name], ours)
    return [s for s in series if not s.localizer] + [s for s in series if s.localizer], findings
