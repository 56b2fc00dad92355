"""The classifiers the room offers, and what their files say of them; without torch, and weights unread."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from voxcam.errors import ReadError, VoxcamError
from voxcam.samples import MODELS, model_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from voxcam.model.statement import Statement

# Files that may be models, by how their names end, and what they are called.
KINDS: dict[str, str] = {
    ".zip": "zipped bundle",
    ".ts": "TorchScript",
    ".safetensors": "weights",
    ".pt": "weights",
    ".pth": "weights",
    ".ckpt": "weights",
}
RECENT, DEMO = "Chosen before", "Demonstration"
_MOST_LETTERS = 2_000


@dataclass(frozen=True)
class Offer:
    """A model to choose: its title, where it lies, its group, and whether it is still there."""

    title: str
    place: Path
    group: str
    there: bool = True


@dataclass(frozen=True)
class Description:
    """What a model's files say of it.

    Parameters
    ----------
    place
        Where it lies.
    kind
        "MONAI bundle", or one of `KINDS`.
    statement
        What it states; None if it cannot be read.
    card
        Of the bundle's ``metadata.json`` what is no statement, in words: authors, licence, ...
    digests
        SHA-256 by name, where a run has told them.
    runs_code
        How many places of it only running its own code could read.
    wrong
        Why it cannot be read, in a line; "" if it can.
    """

    place: Path
    kind: str = ""
    statement: Statement | None = None
    card: Mapping[str, str] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    runs_code: int = 0
    wrong: str = ""

    @property
    def line(self) -> str:
        """One line for the panel: "2 classes, CT, version 1.2.3"."""
        words = "" if self.statement is None else _words(self.statement)
        shown = "" if self.kind == "MONAI bundle" else self.kind
        return ", ".join(filter(None, [shown, words]))


def describe(model: Path) -> Description:
    """Return what a model's files say; what is wrong with them is part of it.

    Weights are not read, nor is an archive unpacked: that is for the run. The first call imports what reads
    bundles and takes 0.2 s, and files may lie far away: ask from a thread (`voxcam.plugin.work.describer`).
    """
    try:
        if model.is_dir():
            return _of_folder(model)
        if model.suffix.lower() == ".zip":
            return _of_archive(model)
        return _of_file(model)
    except VoxcamError as error:
        return Description(model, wrong=str(error))
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        return Description(model, wrong=f"the model cannot be read ({reason})")


def offers(recent: Iterable[Path], demos: Mapping[str, Path] | None = None) -> tuple[Offer, ...]:
    """Return the models to choose from, those chosen before first; looks whether they are there."""
    demos = demo_bundles() if demos is None else demos
    known = set(demos.values())
    chosen = [Offer(path.name, path, RECENT, path.exists()) for path in recent if path not in known]
    return (*chosen, *(Offer(title, path, DEMO) for title, path in demos.items()))


def may_be_model(path: Path) -> bool:
    """Whether a path that was dropped may be a model's: a folder, or a file by its name."""
    return path.suffix.lower() in KINDS or path.is_dir()


def demo_bundles() -> dict[str, Path]:
    """Return title and folder of the demo classifiers this installation has."""
    found = {}
    for name, title in MODELS.items():
        try:
            found[title] = model_path(name)
        except ReadError:
            continue
    return found


# --- reading a folder, an archive, a file


def _of_folder(folder: Path) -> Description:
    from voxcam.errors import UntrustedCodeError
    from voxcam.model.bundle import read_bundle

    bundle = read_bundle(folder)
    code = len(bundle.would_run)
    try:
        after = bundle.postprocessing
    except UntrustedCodeError:
        after = None
    return Description(
        folder,
        "MONAI bundle",
        _statement(folder, bundle.metadata, after),
        _card(bundle.metadata),
        runs_code=code,
    )


def _of_archive(archive: Path) -> Description:
    """Describe a zipped bundle by its metadata alone: the rest would unpack its weights."""
    from voxcam.errors import ClassifierError
    from voxcam.model.bundle.archive import METADATA, ArchiveFiles
    from voxcam.model.bundle.documents import DOCUMENT_BYTES, read_document

    data = ArchiveFiles(archive).read(METADATA, DOCUMENT_BYTES)
    if data is None:
        raise ClassifierError(f"this is no MONAI bundle: it has no {METADATA}")
    metadata = read_document("metadata.json", data).content
    return Description(archive, KINDS[".zip"], _statement(archive, metadata), _card(metadata))


def _of_file(file: Path) -> Description:
    from voxcam.errors import ClassifierError

    if not file.exists():
        raise ClassifierError("expected a model, found nothing there")
    kind = KINDS.get(file.suffix.lower(), "weights")
    return Description(file, kind, _statement(file, {}))


def _statement(model: Path, metadata: Mapping[str, Any], after: Any = None) -> Statement:
    from voxcam.model.statement import read_statement
    from voxcam.model.statement.beside import read_beside

    return read_statement(metadata, after, read_beside(model).stated)


# --- words

# What `metadata.json` may say beyond a statement, by the words of the dialog.
_CARD: dict[str, tuple[str, ...]] = {
    "Authors": ("authors",),
    "Licence": ("license", "licence", "copyright"),
    "Learned from": ("data_source",),
    "References": ("references",),
}


def _card(metadata: Mapping[str, Any]) -> dict[str, str]:
    found = {}
    for title, keys in _CARD.items():
        said = next((metadata[key] for key in keys if metadata.get(key)), None)
        if said is not None:
            found[title] = _text(said)
    return found


def _text(said: Any) -> str:
    entries = said if isinstance(said, list) else [said]
    return "; ".join(" ".join(str(entry).split()) for entry in entries)[:_MOST_LETTERS]


def _words(statement: Statement) -> str:
    count = len(statement.classes)
    words = [f"{count} class{'es' * (count != 1)}" if count else "", statement.modality]
    words += [f"version {statement.version}" if statement.version else ""]
    return ", ".join(filter(None, words))
