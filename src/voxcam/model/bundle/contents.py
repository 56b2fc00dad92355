"""What is in a configuration: the sections by their usual names, what needs trust, what is not used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voxcam.errors import ClassifierError
from voxcam.model.bundle.bounded import is_finite
from voxcam.model.bundle.documents import in_short
from voxcam.model.bundle.needs import Need
from voxcam.model.bundle.references import referred
from voxcam.model.bundle.resolving import Resolver
from voxcam.model.bundle.section import Section
from voxcam.model.bundle.targets import foreign_targets
from voxcam.model.bundle.weights_file import TORCHSCRIPT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from voxcam.model.bundle.documents import Document
    from voxcam.model.bundle.files import BundleFiles
    from voxcam.model.bundle.references import Sources

# The names bundles give what we read, the usual one first.
NETWORK = ("network_def", "network", "net", "model")
PREPROCESSING = ("preprocessing", "transform", "transforms", "infer_transforms", "val_transforms")
INFERER = ("inferer",)
POSTPROCESSING = ("postprocessing", "post_transforms", "postprocess")

_CODE = (".py", ".pyc", ".pyd", ".so", ".dll", ".sh", ".ipynb")


def first_of(names: tuple[str, ...], config: Mapping[str, Any]) -> str | None:
    """Return the first name that the configuration has a section for."""
    return next((name for name in names if config.get(name) is not None), None)


def composed(section: Any) -> Any:
    """Return a list of transforms as the Compose that MONAI would make of it."""
    if not isinstance(section, list):
        return section
    first = next((entry for entry in section if isinstance(entry, Section)), Section())
    return Section({"_target_": "Compose", "transforms": section}, first.where, first.at)


def needs(config: Document, sources: Sources, weights: str) -> tuple[Need, ...]:
    """Return all that only running the bundle's code could tell of the sections that are read."""
    found: list[Need] = []
    for names in (NETWORK, PREPROCESSING, INFERER, POSTPROCESSING):
        key = first_of(names, config.content)
        if key is None:
            continue
        try:
            section = Resolver(sources, found.append).resolved(key)
        except ClassifierError:
            continue  # wrong, not in need of trust: `Bundle.section` says it
        if names is not POSTPROCESSING:  # only its activation is looked at; nothing of it is built
            what = "an object of a class outside MONAI"
            found += [Need(*at, what, in_short(target)) for at, target in foreign_targets(section)]
    if weights == TORCHSCRIPT:
        found.append(Need(f"models/{weights}", 0, "", "TorchScript, a program that holds its weights", ""))
    return tuple(dict.fromkeys(found))


def unused(config: Mapping[str, Any], sources: Sources) -> tuple[str, ...]:
    """Return the keys that are neither read nor referred to by what is, nor another name of the network."""
    waiting = [key for names in _ALL if (key := first_of(names, config)) is not None]
    waiting += _moved(config, sources)
    waiting += [met for key in waiting for met in _resolved(key, sources)[1]]
    read: set[str] = set()
    while waiting:
        key = waiting.pop()
        if key not in read:
            read.add(key)
            ids = {id_ for text in _texts(config.get(key)) for id_ in referred(text)}
            waiting += [str(other) for other in config if str(other) in ids]
    return tuple(str(key) for key in config if str(key) not in read)


_ALL = (NETWORK, PREPROCESSING, INFERER, POSTPROCESSING)


def _moved(config: Mapping[str, Any], sources: Sources) -> list[str]:
    """Return the sections that are the network itself: ``"network": "$@network_def.to(@device)"``."""
    network, *others = [key for key in NETWORK if config.get(key) is not None] or [""]
    where = _where(network, sources) if network else ""
    return [key for key in others if where and _where(key, sources) == where]


def _where(key: str, sources: Sources) -> str:
    return str(getattr(_resolved(key, sources)[0], "where", ""))


def _resolved(key: str, sources: Sources) -> tuple[Any, set[str]]:
    """Return a section resolved as far as it can be, None where it is wrong, and the keys met on the way."""
    noted: list[Need] = []
    resolver = Resolver(sources, noted.append)
    try:
        return resolver.resolved(key), resolver.keys
    except ClassifierError:
        return None, resolver.keys


def _texts(value: Any) -> Iterator[str]:
    """Yield all texts in a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part)


def code(files: BundleFiles, config: Mapping[str, Any], not_read: tuple[str, ...]) -> tuple[str, ...]:
    """Return, in words with counts, the code that lies in a bundle and that nothing here runs."""
    try:
        names = files.names
    except ClassifierError as error:
        return (str(error),)
    scripts = sum(name.lower().endswith(_CODE) for name in names)
    expressions = sum(
        text.startswith("$") for key in not_read if key not in _IMPORTS for text in _texts(config.get(key))
    )
    imports = sum(1 for key in _IMPORTS for _ in _texts(config.get(key, [])))
    counted = {
        "files of code": scripts,
        "logging.conf, whose entries MONAI evaluates": sum(n.endswith("logging.conf") for n in names),
        "TorchScript programs": sum(name.endswith(".ts") for name in names),
        "imports": imports,
        "expressions in sections that are not read": expressions,
    }
    return tuple(f"{what}: {count}" for what, count in counted.items() if count)


_IMPORTS = ("imports", "import")


def check_metadata(metadata: Document) -> None:
    """Raise ClassifierError if a number of the metadata is not finite: it is kept with every result."""
    for path in metadata.lines:
        value: Any = metadata.content
        for key in path:
            value = value[key]
        if not is_finite(value):
            raise ClassifierError(f"{metadata.where(path)}: expected a number, found {value}")


def check_keys(config: Document) -> None:
    """Raise ClassifierError for keys that change other sections: what they change would be read wrongly."""
    for key in config.content:
        if str(key).startswith("+") or "::" in str(key) or "#" in str(key):
            raise ClassifierError(
                f"{config.where((key,))}: a key that reaches into another section is not read; "
                "write the value where it belongs"
            )
