"""A model's parts with its own code run: only the sections that cannot be read as data, by MONAI's parser."""

from __future__ import annotations

import sys
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from voxcam.errors import ClassifierError, UntrustedCodeError
from voxcam.model.assembly import Parts
from voxcam.model.bundle import read_bundle
from voxcam.model.fingerprint import fingerprinted
from voxcam.model.networks import build_network
from voxcam.model.opaque import Opaque
from voxcam.model.preprocessing import Preprocessing, build_preprocessing
from voxcam.model.statement import read_statement
from voxcam.model.statement.beside import read_beside
from voxcam.model.trusted.preprocessing import Evaluated
from voxcam.model.weights import digest, load_weights

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from voxcam.model.bundle import Bundle

# Names of sections, as bundles have them.
_NETWORK = ("network_def", "network", "net", "model")
_PREPROCESSING = ("preprocessing", "transform", "transforms")
_INFERER = ("inferer",)
_POSTPROCESSING = ("postprocessing",)


def evaluated_parts(place: Path) -> Parts:
    """Return the parts of a trusted model: a bundle's folder, or a TorchScript file.

    Raises
    ------
    ClassifierError
        If its code fails, or does not make what it should.
    """
    return _of_bundle(place) if place.is_dir() else _of_script(place)


def _of_script(place: Path) -> Parts:
    beside = read_beside(place)
    steps = beside.sections.get("preprocessing")
    return Parts(
        network=scripted(place),
        statement=read_statement({}, None, beside.stated),
        preprocessing=lambda rank, along: build_preprocessing(steps, rank, along),
        inferer=beside.sections.get("inferer"),
        digests=fingerprinted({"weights": digest(place), "statement": beside.digest}),
        notes=("its TorchScript ran, as trusted",),
        sections={"preprocessing": steps, "inferer": beside.sections.get("inferer")},
    )


def scripted(place: Path) -> Opaque:
    """Return a TorchScript file as a network; its code runs, also while it is loaded."""
    try:
        script = torch.jit.load(place, map_location="cpu")  # type: ignore[no-untyped-call]
        return Opaque(script.eval(), "TorchScript")
    except Exception as error:
        raise ClassifierError(f"{place.name} is no TorchScript that loads: {_line(error)}") from None


def _of_bundle(place: Path) -> Parts:
    bundle, beside = read_bundle(place), read_beside(place)
    ran: list[str] = []
    with _importable(place):
        read = _Sections(bundle, place, ran)
        network, notes = _network(bundle, read)
        preprocessing = read.get("preprocessing", _PREPROCESSING)
        inferer = read.get("inferer", _INFERER)
        postprocessing = read.get("postprocessing", _POSTPROCESSING)
    return Parts(
        network=network,
        statement=read_statement(bundle.metadata, _as_section(postprocessing), beside.stated),
        preprocessing=_preprocessing(preprocessing),
        inferer=_as_section(inferer),
        digests=fingerprinted(bundle.digests() | {"statement": beside.digest}),
        card=bundle.metadata,
        unused=bundle.unused,
        notes=(*notes, f"its code ran, as trusted: {', '.join(ran)}") if ran else tuple(notes),
        sections=read.data,
    )


class _Sections:
    """The sections of a bundle, each as data where that can be, else evaluated."""

    def __init__(self, bundle: Bundle, place: Path, ran: list[str]) -> None:
        self._bundle, self._place, self._ran, self._parser = bundle, place, ran, None
        self.data: dict[str, Any] = {}

    def get(self, name: str, keys: tuple[str, ...]) -> Any:
        """Return a section as data, or what evaluating it gives; None if there is none."""
        try:
            section = getattr(self._bundle, name)
            self.data["network_def" if name == "network" else name] = section
            return section
        except UntrustedCodeError:
            key = next(key for key in keys if key in self._bundle.config)
            return self.evaluated(key)

    def evaluated(self, key: str) -> Any:
        """Return what MONAI's parser makes of a section: its code runs."""
        self._ran.append(key)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of readers that MONAI looks for and does not find
                return self._parsed().get_parsed_content(key)
        except Exception as error:
            raise ClassifierError(f"the code of {key} failed: {_line(error)}") from None

    def _parsed(self) -> Any:
        if self._parser is None:
            from monai.bundle import ConfigParser

            parser = ConfigParser()
            parser.read_config(self._place / "configs" / self._bundle.config_file.name)
            parser.read_meta(self._place / "configs" / "metadata.json")
            parser["bundle_root"] = str(self._place)
            self._parser = parser
        return self._parser


def _network(bundle: Bundle, read: _Sections) -> tuple[nn.Module, tuple[str, ...]]:
    if bundle.weights.suffix == ".ts":
        return scripted(bundle.weights), ("its TorchScript ran, as trusted",)
    section = read.get("network", _NETWORK)
    try:
        network = section if isinstance(section, nn.Module) else build_network(section)
    except UntrustedCodeError:  # a class that is not of MONAI
        del read.data["network_def"]
        key = next(key for key in _NETWORK if key in bundle.config)
        network = read.evaluated(key)
    if not isinstance(network, nn.Module):
        raise ClassifierError(f"the network of the bundle is a {type(network).__name__}, expected a module")
    network = network.eval().to("cpu")
    return network, load_weights(network, bundle.weights, bundle.weights_sha256)


def _preprocessing(section: Any) -> Callable[[int, int | None], Preprocessing]:
    if section is not None and not isinstance(section, dict):
        return lambda rank, along: Evaluated.of(section, rank, along)
    return lambda rank, along: build_preprocessing(section, rank, along)


def _as_section(value: Any) -> Any:
    """Return an evaluated inferer or postprocessing as the section that would make it."""
    if value is None or isinstance(value, dict):
        return value
    kind = type(value).__name__
    if hasattr(value, "transforms"):
        return {"_target_": kind, "transforms": [_as_section(step) for step in value.transforms]}
    known = ("roi_size", "overlap", "spatial_dim", "cval", "softmax", "sigmoid")
    inner = getattr(value, "converter", value)
    return {"_target_": kind} | {key: getattr(inner, key) for key in known if hasattr(inner, key)}


@contextmanager
def _importable(place: Path) -> Iterator[None]:
    """Let the bundle import its own scripts, and nobody else after it.

    What it imported is forgotten again: every bundle calls its package ``scripts``, and the next one must
    not be given this one's. No bytecode is left beside them: it would change the digest that was trusted.
    """
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    sys.path.insert(0, str(place))
    try:
        yield
    finally:
        sys.path.remove(str(place))
        sys.dont_write_bytecode = before
        for name, module in [*sys.modules.items()]:
            file = getattr(module, "__file__", None)
            if file and Path(file).is_relative_to(place):
                del sys.modules[name]


def _line(error: BaseException) -> str:
    while error.__cause__ is not None:  # MONAI wraps what the code raised
        error = error.__cause__
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]
