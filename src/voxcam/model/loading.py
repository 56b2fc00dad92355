"""From a model's files to a `Classifier`, without running anything that came with them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from voxcam.errors import ClassifierError, UntrustedCodeError
from voxcam.model.assembly import Parts, assembled
from voxcam.model.bundle import read_bundle
from voxcam.model.fingerprint import fingerprinted
from voxcam.model.networks import build_network, network_section
from voxcam.model.preprocessing import build_preprocessing
from voxcam.model.statement import Statement, read_statement
from voxcam.model.statement.beside import read_beside
from voxcam.model.weights import check_known, is_trusted, load_weights

if TYPE_CHECKING:
    from collections.abc import Callable

    from voxcam.model.classifier import Classifier


def load_classifier(
    place: str | Path,
    device: str = "auto",
    trust_code: bool | str = False,
    *,
    network: str | None = None,
    accept_weights: str | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Classifier:
    """Load a model without running anything that came with it, unless its code is trusted by digest.

    Parameters
    ----------
    place
        The folder or zip of a MONAI bundle; or a file of weights, with `network`; or a TorchScript file.
        What it does not state may be stated beside it, in ``PLACE.voxcam.json`` (docs/statements.md).
    device
        "auto", "cpu", "cuda", "cuda:1" or "mps".
    trust_code
        "sha256:..." of what may run; `voxcam model PLACE` shows it, and what that would be. True is
        refused: whoever trusts says what. What was trusted once is remembered by its digest.
    network
        The network of a file of weights: "DenseNet121(spatial_dims=3, in_channels=1, out_channels=2)".
    accept_weights
        "sha256:..." of weights that are not those seen before under this name, and may be.
    cancelled
        Asked while a child process works; True ends it.

    Raises
    ------
    UntrustedCodeError
        If it cannot be read without running code; the message names the line.
    ClassifierError
        If a file is missing or damaged, the parts do not fit each other, or the weights changed.
    Cancelled
        If `cancelled` returned True.
    """
    parts = parts_of(Path(place), trust_code, network, cancelled)
    require_known(parts, accept_weights)
    if parts.statement.name == Statement.name:
        parts = replace(parts, statement=replace(parts.statement, name=Path(place).name))
    return assembled(parts, device)


def require_known(parts: Parts, accept: str | None = None) -> None:
    """Raise ChangedWeightsError if the weights are not those seen before under the model's name and version.

    A model without a name is not known by one.
    """
    statement = parts.statement
    if statement.name != Statement.name:
        check_known(f"{statement.name} {statement.version}".strip(), parts.digests["weights"], accept)


def parts_of(
    place: Path,
    trust_code: bool | str = False,
    network: str | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Parts:
    """Return the parts of a model; arguments and errors are those of `load_classifier`."""
    from voxcam.model.trusted import can_be_trusted, code_digest, trusted_parts

    if trust_code:
        return trusted_parts(place, trust_code, cancelled)
    try:
        return _read_parts(place, network, cancelled)
    except UntrustedCodeError as error:
        if not can_be_trusted(place):
            raise
        digest = f"sha256:{code_digest(place)}"
        if is_trusted(digest):
            return trusted_parts(place, digest, cancelled)
        raise UntrustedCodeError(
            f"{error}; if you know and trust what came with it: --trust-code {digest}"
        ) from None


def _read_parts(place: Path, network: str | None, cancelled: Callable[[], bool] | None) -> Parts:
    if place.is_file() and place.suffix.lower() != ".zip":
        return _of_weights(place, network, cancelled)
    if network is not None:
        raise ClassifierError("a network is named for a file of weights (--network): a bundle names its own")
    return _of_bundle(place, cancelled)


def _of_bundle(place: Path, cancelled: Callable[[], bool] | None) -> Parts:
    bundle, beside = read_bundle(place), read_beside(place)
    section, steps, inferer = bundle.network, bundle.preprocessing, bundle.inferer
    network, digests = build_network(section), bundle.digests()
    notes = load_weights(network, bundle.weights, digests["weights"], cancelled)
    if not bundle.unchanged():
        raise ClassifierError(f"the files of {bundle.name!r} changed while they were read: load it again")
    return Parts(
        network=network,
        statement=read_statement(bundle.metadata, bundle.postprocessing, beside.stated),
        preprocessing=lambda rank, along: build_preprocessing(steps, rank, along),
        inferer=inferer,
        digests=fingerprinted(digests | {"statement": beside.digest}),
        card=bundle.metadata,
        unused=bundle.unused,
        notes=notes,
        sections={"network_def": section, "preprocessing": steps, "inferer": inferer},
    )


def _of_weights(weights: Path, call: str | None, cancelled: Callable[[], bool] | None) -> Parts:
    from voxcam.model.weights import digest, read_checkpoint

    beside = read_beside(weights)
    if call is None and "network_def" not in beside.sections:
        read_checkpoint(weights)  # what it is goes first: TorchScript, a damaged file
        raise ClassifierError(
            f"{weights.name} holds weights alone: name their network (--network 'DenseNet121(spatial_dims=3, "
            "in_channels=1, out_channels=2)'), or state network_def beside them"
        )
    section = network_section(call) if call is not None else beside.sections["network_def"]
    steps, inferer = beside.sections.get("preprocessing"), beside.sections.get("inferer")
    network, found = build_network(section), digest(weights)
    notes = load_weights(network, weights, found, cancelled)
    config = hashlib.sha256(json.dumps(section, sort_keys=True).encode()).hexdigest()
    return Parts(
        network=network,
        statement=read_statement({}, None, beside.stated),
        preprocessing=lambda rank, along: build_preprocessing(steps, rank, along),
        inferer=inferer,
        digests=fingerprinted({"weights": found, "config": config, "statement": beside.digest}),
        notes=notes,
        sections={"network_def": section, "preprocessing": steps, "inferer": inferer},
    )
