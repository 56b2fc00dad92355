"""A place: a folder, or one file, and what in it can be read."""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxcam.errors import ReadError
from voxcam.io.abreast import abreast
from voxcam.io.dicom import headers as dicom_headers
from voxcam.io.dicom import reader as dicom_reader
from voxcam.io.dicom import series as dicom_series
from voxcam.io.left_out import LeftOut, reasons
from voxcam.io.quiet import quiet
from voxcam.io.study import Finding, Series, Study
from voxcam.io.volume_files import nifti

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from voxcam.core.volume import Volume
    from voxcam.io.study import Gaps, Progress


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
}
# Enough for DICOM's magic at 128 and NIfTI-1's at 344.
_HEAD_BYTES = 352


def scan(place: str | os.PathLike[str], progress: Progress | None = None) -> Study:
    """Return the series of a folder and all below it, or of one file; only headers are read.

    Files are told by what they hold, not by their name. Pipes, sockets and devices are not opened, and a
    folder met twice by links is entered once. Every file is accounted for in the study's counts.

    Parameters
    ----------
    place
        Folder or file.
    progress
        Called with (done, total) files; (0, met so far) while folders are still walked. May raise
        `voxcam.errors.Cancelled` to stop.

    Raises
    ------
    ReadError
        The place does not exist.
    """
    files, left_out = _walk(Path(place), progress)
    with quiet():
        looked = abreast(_look, files, progress)
        kept: dict[str, list[Any]] = {name: [] for name in READERS}
        for found in looked:
            if isinstance(found, LeftOut):
                left_out.append(found)
            else:
                kept[found[0]] += found[1]
        series, findings = _series(kept, left_out)
    refused = sum(item.refused for item in left_out)
    loaded = len(looked) - sum(isinstance(found, LeftOut) for found in looked)
    if not files and not left_out:
        findings.append(Finding("empty", "the place holds no files", 0))
    return Study(
        series=tuple(series),
        findings=(*reasons(left_out), *findings),
        found=loaded + len(left_out),
        loaded=loaded,
        skipped=len(left_out) - refused,
        refused=refused,
    )


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


def _walk(root: Path, progress: Progress | None) -> tuple[list[Path], list[LeftOut]]:
    """Return the regular files at and below `root`, sorted, and what is neither file nor open folder."""
    try:
        status = root.stat()
    except (OSError, ValueError):
        raise ReadError("expected a folder or a file to scan, found nothing there; check the path") from None
    if not stat.S_ISDIR(status.st_mode):
        return (
            ([root], []) if stat.S_ISREG(status.st_mode) else ([], [LeftOut("neither a file nor a folder")])
        )
    files: list[Path] = []
    left_out: list[LeftOut] = []
    entered = {(status.st_dev, status.st_ino)}
    folders = [root]
    while folders:
        for entry in _entries(folders.pop(), left_out):
            _place(entry, files, folders, left_out, entered)
        if progress is not None:
            progress(0, len(files))
    return sorted(files), left_out


def _entries(folder: Path, left_out: list[LeftOut]) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        left_out.append(LeftOut("a folder that may not be opened", refused=True))
        return []


def _place(
    entry: Path,
    files: list[Path],
    folders: list[Path],
    left_out: list[LeftOut],
    entered: set[tuple[int, int]],
) -> None:
    """Put an entry of a folder where it belongs."""
    try:
        status = entry.stat()
    except OSError:
        left_out.append(LeftOut("a link that leads nowhere, or a file that may not be seen", refused=True))
        return
    if stat.S_ISREG(status.st_mode):
        files.append(entry)
    elif not stat.S_ISDIR(status.st_mode):
        left_out.append(LeftOut("neither a file nor a folder"))
    elif (status.st_dev, status.st_ino) not in entered:
        entered.add((status.st_dev, status.st_ino))
        folders.append(entry)


def _look(path: Path) -> LeftOut | tuple[str, tuple[Any, ...]]:
    """Return the reader's name and the headers, or why the file is left out."""
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
    except OSError:
        return LeftOut("the file cannot be opened or read", refused=True)
    if not head:
        return LeftOut("empty file", refused=True)
    for name, reader in READERS.items():
        if reader.recognises(path, head):
            header = reader.header(path)
            if isinstance(header, LeftOut):
                return header
            return name, header if isinstance(header, tuple) else (header,)
    return LeftOut(_kind(head))


def _kind(head: bytes) -> str:
    """Return what a file is that no reader knows, as far as it helps."""
    if head.startswith(b"PK\x03\x04"):
        return "archive (zip), not opened: unpack it first"
    return "not an image file"


def _series(kept: dict[str, list[Any]], left_out: list[LeftOut]) -> tuple[list[Series], list[Finding]]:
    series: list[Series] = []
    findings: list[Finding] = []
    for name, reader in READERS.items():
        ours = reader.series(kept[name], left_out)
        series += ours
        findings += reader.findings(kept[name], ours)
    return [s for s in series if not s.localizer] + [s for s in series if s.localizer], findings
