"""A safe bundle of any model that loads: safetensors and JSON, proven to answer the same."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import torch

from voxcam.core.landing import whole_folder
from voxcam.errors import ClassifierError
from voxcam.model.assembly import assembled
from voxcam.model.loading import parts_of, require_known
from voxcam.model.networks import build_network, network_section
from voxcam.model.opaque import Opaque
from voxcam.model.statement.beside import as_document

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from voxcam.model.assembly import Parts
    from voxcam.model.classifier import Classifier

# float32 sums in another order differ by about this, of logits of any usual size.
TOLERANCE = 1e-5


def convert_model(
    place: Path,
    out: Path,
    *,
    network: str | None = None,
    trust_code: bool | str = False,
    accept_weights: str | None = None,
) -> tuple[str, ...]:
    """Write a model as a bundle that loads without running anything; return what was done, in words.

    Parameters
    ----------
    place, trust_code
        As for `voxcam.load_classifier`; whatever loads can be converted, if its network is one of MONAI's.
    out
        New folder.
    network
        Of a file of weights, or of TorchScript, whose weights then go into this network.
    accept_weights
        As for `voxcam.load_classifier`. The bundle's own file of weights is then known under the name too.

    Raises
    ------
    ClassifierError
        If the network cannot be named as one of MONAI's, its preprocessing is code, or the bundle would
        not answer as the model does.
    """
    parts = parts_of(place, trust_code, None if trust_code else network)
    require_known(parts, accept_weights)
    named = _named(parts, network)
    before = assembled(named, "cpu")
    with whole_folder(out) as folder:
        _write(folder, named, before)
        written = parts_of(folder)
        after = assembled(written, "cpu")
        change = _difference(assembled(parts, "cpu"), after)
        if change > TOLERANCE:
            raise ClassifierError(f"the bundle answers otherwise than the model, by {change:.2g} in a logit")
        require_known(written, written.digests["weights"])
    return (
        f"{before.name}: its answer to noise differs by {change:.1g} from the model's",
        f"not stated: {', '.join(after.statement.missing) or 'nothing is left out'}",
    )


def _named(parts: Parts, call: str | None) -> Parts:
    """Return parts whose network is one of MONAI's by name, with the same weights."""
    sections = dict(parts.sections)
    if call is not None and "network_def" not in sections:
        sections["network_def"] = network_section(call)
    if "network_def" not in sections:
        raise ClassifierError(
            "the network was made by code, and only code could make it again: name it as one of MONAI's "
            "(--network 'DenseNet121(spatial_dims=3, in_channels=1, out_channels=2)')"
        )
    if "preprocessing" not in sections:
        raise ClassifierError("the preprocessing was made by code: write it as data to convert the model")
    network = build_network(sections["network_def"])
    try:
        network.load_state_dict(_state(parts.network))
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise ClassifierError(f"the model's weights do not fit {call or 'its network'}: {reason}") from None
    return replace(parts, network=network.eval(), sections=sections)


def _state(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    inner = network.__dict__["called"] if isinstance(network, Opaque) else network
    return {name: tensor.detach().contiguous().clone() for name, tensor in inner.state_dict().items()}


def _write(folder: Path, parts: Parts, classifier: Classifier) -> None:
    from safetensors.torch import save_file

    for name in ("configs", "models"):
        (folder / name).mkdir()
    save_file(_state(parts.network), folder / "models" / "model.safetensors")
    config = {key: value for key, value in parts.sections.items() if value is not None}
    _write_json(folder / "configs" / "inference.json", config)
    _write_json(folder / "configs" / "metadata.json", _metadata(parts.card, classifier))


def _metadata(card: Mapping[str, Any], classifier: Classifier) -> dict[str, Any]:
    """Return the model's own metadata, its statement as it is now, and what MONAI's schema asks for."""
    statement = classifier.statement
    _, channels, *space = classifier.example_shape
    stated = {key: value for key, value in as_document(statement).items() if value is not None}
    formats = {
        "inputs": {
            "image": {"num_channels": channels, "spatial_shape": space, "modality": statement.modality}
        },
        "outputs": {
            "pred": {
                "num_channels": len(statement.classes),
                "channel_def": {str(n): name for n, name in enumerate(statement.classes)},
            }
        },
    }
    return {
        "version": statement.version or "0.0.0",
        "monai_version": version("monai"),
        "pytorch_version": version("torch"),
        "numpy_version": version("numpy"),
        "name": statement.name,
        "description": statement.description,
        "intended_use": statement.intended_use,
        "network_data_format": formats,
        **{key: value for key, value in card.items() if key != "voxcam"},
        "voxcam": stated,
    }


def _write_json(place: Path, document: Any) -> None:
    place.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _difference(one: Classifier, other: Classifier) -> float:
    noise = torch.rand(one.example_shape, generator=torch.Generator().manual_seed(0))
    return float((one.logits(noise) - other.logits(noise)).abs().max())
