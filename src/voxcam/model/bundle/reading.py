"""A MONAI bundle read as data: nothing that came with it runs.

MONAI's own loader imports whatever ``_target_`` names and evaluates every ``$`` expression
(GHSA-873f-pvrv-4x83 added a warning only). Here references are followed and expressions worked out
within a small grammar, names are looked up in lists of ours, and anything else is refused with its
file, line and place.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from voxcam.errors import ClassifierError, UntrustedCodeError
from voxcam.model.bundle import contents
from voxcam.model.bundle.archive import ArchiveFiles, is_archive
from voxcam.model.bundle.digests import digests_of
from voxcam.model.bundle.documents import DOCUMENT_BYTES, Document, in_short, read_document
from voxcam.model.bundle.files import BundleFiles, FolderFiles
from voxcam.model.bundle.references import Sources
from voxcam.model.bundle.resolving import Resolver
from voxcam.model.bundle.weights_file import find_weights

if TYPE_CHECKING:
    from voxcam.model.bundle.needs import Need

CONFIGURATIONS = ("inference.json", "inference.yaml", "inference.yml")
METADATA = "metadata.json"
_NAME_LETTERS = 120


@dataclass(frozen=True, eq=False)
class Bundle:
    """What a bundle's files say.

    Parameters
    ----------
    files
        Where they lie; holds the private copy of the weights of an archive.
    metadata_file, config_file
        ``configs/metadata.json``, and ``configs/inference.json`` or ``.yaml``, read once.
    weights
        The file of the weights: ``model.safetensors``, ``model.pt``, ...; see `weights_file`.
    """

    files: BundleFiles
    metadata_file: Document
    config_file: Document
    weights: Path
    _copied_from: dict[str, Document] = field(default_factory=dict, init=False, repr=False)

    @property
    def metadata(self) -> dict[str, Any]:
        """``configs/metadata.json``."""
        return self.metadata_file.content

    @property
    def config(self) -> dict[str, Any]:
        """``configs/inference.json``, references unresolved."""
        return self.config_file.content

    @property
    def name(self) -> str:
        """The name it gives itself, in short."""
        return in_short(str(self.metadata.get("name") or "unnamed"), _NAME_LETTERS)

    @property
    def version(self) -> str:
        """The version it gives itself, or ""."""
        return in_short(str(self.metadata.get("version", "")), _NAME_LETTERS)

    @property
    def stated(self) -> dict[str, Any]:
        """What it states for VoxCAM beyond MONAI's schema: ``metadata.json``, key "voxcam"."""
        stated = self.metadata.get("voxcam", {})
        return stated if isinstance(stated, dict) else {}

    @property
    def network(self) -> Any:
        """Its network, resolved; None if there is none. Raises as `section`."""
        return self._of(contents.NETWORK)

    @property
    def preprocessing(self) -> Any:
        """Its preprocessing, resolved; a plain list of transforms becomes a Compose. Raises as `section`."""
        return contents.composed(self._of(contents.PREPROCESSING))

    @property
    def inferer(self) -> Any:
        """Its inferer, resolved; None if there is none. Raises as `section`."""
        return self._of(contents.INFERER)

    @property
    def postprocessing(self) -> Any:
        """Its postprocessing, resolved; a plain list of transforms becomes a Compose. Raises as `section`."""
        return contents.composed(self._of(contents.POSTPROCESSING))

    def section(self, key: str) -> Any:
        """Return a section of the configuration as plain data; None if there is none.

        References are followed, macros copied and expressions worked out. Dicts are `Section`: they
        know where they are written.

        Raises
        ------
        UntrustedCodeError
            If it holds something that only running it could resolve.
        ClassifierError
            If a reference leads nowhere or in a circle.
        """

        def refuse(need: Need) -> NoReturn:
            raise UntrustedCodeError(
                f"bundle {self.name!r} would run code: {need}; VoxCAM reads bundles without running them: "
                f"write the value out in {need.file}"
            )

        return Resolver(self._sources, refuse).resolved(key) if key in self.config else None

    @property
    def would_run(self) -> tuple[Need, ...]:
        """All that loading it could only learn by running its code; empty if it loads without trust."""
        return contents.needs(self.config_file, self._sources, self.weights.name)

    @property
    def also_holds(self) -> tuple[str, ...]:
        """Code that lies in it and that MONAI would run, in words with counts: scripts, imports, ..."""
        return contents.code(self.files, self.config, self.unused)

    @property
    def unused(self) -> tuple[str, ...]:
        """Sections of the configuration that are neither read nor run, nor referred to by one that is."""
        return contents.unused(self.config, self._sources)

    def digests(self) -> dict[str, str]:
        """Return the SHA-256 of the weights and of the configuration files, and "fingerprint" over them.

        The configuration is hashed as it was read, the weights as they are now. Files of ``configs``
        that the sections copy from (``%other.json``) count too.
        """
        met: dict[str, Document] = {}

        def meet(name: str) -> Document | None:
            document = self._other(name)
            if document is not None and document.name not in (self.config_file.name, METADATA):
                met[f"config {name}"] = document
            return document

        sources = Sources(self.config_file, self.metadata_file, meet)
        contents.needs(self.config_file, sources, self.weights.name)
        documents = {"config": self.config_file, "metadata": self.metadata_file}
        return digests_of(self.weights, documents | dict(sorted(met.items())))

    def code_digest(self) -> str:
        """Return one SHA-256 over the names and contents of all its files: what a person trusts."""
        return self.files.code_digest()

    @cached_property
    def weights_sha256(self) -> str:
        """SHA-256 of the weights when first asked for: ask before loading them."""
        return digests_of(self.weights, {})["weights"]

    def unchanged(self) -> bool:
        """Whether the files still hold what was read: ask when the weights are loaded."""
        read = [self.metadata_file, self.config_file, *self._copied_from.values()]
        try:
            return self.weights_sha256 == digests_of(self.weights, {})["weights"] and all(
                self.files.read(f"configs/{document.name}", DOCUMENT_BYTES) == document.data
                for document in read
            )
        except ClassifierError:  # not there any more
            return False

    @property
    def _sources(self) -> Sources:
        return Sources(self.config_file, self.metadata_file, self._other)

    def _other(self, name: str) -> Document | None:
        """Return another file of ``configs``, read once."""
        for document in (self.config_file, self.metadata_file):
            if name == document.name:
                return document
        if name not in self._copied_from:
            found = _document(self.files, name) if self.files.lies_within(f"configs/{name}") else None
            if found is None:
                return None
            self._copied_from[name] = found
        return self._copied_from[name]

    def _of(self, names: tuple[str, ...]) -> Any:
        key = contents.first_of(names, self.config)
        return None if key is None else self.section(key)


def read_bundle(place: str | Path) -> Bundle:
    """Read a bundle: a folder, or a zip archive of one.

    Parameters
    ----------
    place
        Holds ``configs/metadata.json``, ``configs/inference.json`` (or ``.yaml``) and
        ``models/model.safetensors`` (or ``model.pt``), as in MONAI's bundle specification; an archive
        holds them at its top or in one folder.

    Raises
    ------
    ClassifierError
        If a file is missing or is not what it should be.
    """
    files = _files(Path(place))
    metadata = _document(files, METADATA)
    if metadata is None:
        raise ClassifierError(f"this is no MONAI bundle: it has no configs/{METADATA}")
    contents.check_metadata(metadata)
    return Bundle(files, metadata, _configuration(files), find_weights(files))


def _files(place: Path) -> BundleFiles:
    try:
        if place.is_dir():
            return FolderFiles(place)
        if place.is_file() and is_archive(place):
            return ArchiveFiles(place)
        found = "a file" if place.exists() else "nothing"
    except OSError as error:
        raise ClassifierError(f"the bundle cannot be opened: {error.strerror}") from None
    raise ClassifierError(f"expected the folder of a MONAI bundle or a zip archive of one, found {found}")


def _configuration(files: BundleFiles) -> Document:
    """Return the configuration; several forms of it must say the same."""
    found = [document for name in CONFIGURATIONS if (document := _document(files, name))]
    if not found:
        has_train = any(files.has(f"configs/train.{ending}") for ending in ("json", "yaml", "yml"))
        but = "only one for training; " if has_train else ""
        raise ClassifierError(
            f"this is no MONAI bundle to classify with: it has {but}no configs/inference.json or .yaml"
        )
    for other in found[1:]:
        if other.content != found[0].content:
            raise ClassifierError(f"configs/{found[0].name} and configs/{other.name} disagree: remove one")
    contents.check_keys(found[0])
    return found[0]


def _document(files: BundleFiles, name: str) -> Document | None:
    data = files.read(f"configs/{name}", DOCUMENT_BYTES)
    return None if data is None else read_document(name, data)
