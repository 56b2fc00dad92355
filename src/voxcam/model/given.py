"""A classifier of a network that a library user holds in memory."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from voxcam.errors import ClassifierError
from voxcam.model.assembly import Parts, assembled
from voxcam.model.fingerprint import fingerprinted
from voxcam.model.opaque import Opaque
from voxcam.model.preprocessing import build_preprocessing
from voxcam.model.statement import read_statement

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from voxcam.model.classifier import Classifier


def classifier_of(
    network: nn.Module | Callable[[Tensor], Tensor],
    *,
    preprocessing: Any = None,
    inferer: Any = None,
    device: str = "auto",
    **stated: Any,
) -> Classifier:
    """Return a classifier of a network in memory, or of any function from inputs to logits.

    Parameters
    ----------
    network
        A module, which is set to evaluation mode; or a function that takes (n, channels, *space) and returns
        (n, classes): it can be scored and asked by occlusion, but no layer of it can be looked at.
    preprocessing, inferer
        Sections as in a bundle's inference.json: ``{"_target_": "Compose", "transforms": [...]}``.
    device
        "auto", "cpu", "cuda", "cuda:1" or "mps". A function runs where it wants.
    **stated
        What else is to be known of it, by the keys of `voxcam.model.statement.STATED`:
        ``name="mine", classes=["benign", "malignant"], activation="softmax", input_modality="CT"``.
        A function needs input_channels and input_shape.

    Raises
    ------
    ClassifierError
        If the network does not keep the contract of a classifier, or a statement is not of its kind.

    Examples
    --------
    >>> classifier = classifier_of(network, classes=["benign", "malignant"], activation="softmax")
    """
    if not callable(network):
        raise ClassifierError(f"expected a network or a function, found a {type(network).__name__}")
    held = network.eval() if isinstance(network, nn.Module) else Opaque(network, "a function")
    parts = Parts(
        network=held,
        statement=read_statement({}, None, stated),
        preprocessing=lambda rank, along: build_preprocessing(preprocessing, rank, along),
        inferer=inferer,
        digests=fingerprinted({"weights": _digest(held)}),
        notes=("it was given in memory: what made its network is not known here",),
        is_ours=False,
    )
    return assembled(parts, "cpu" if isinstance(held, Opaque) else device)


def _digest(network: nn.Module) -> str:
    """Return the SHA-256 of all weights and buffers, names included; "" of a function."""
    state: Mapping[str, Tensor] = network.state_dict()
    if not state:
        return ""
    digest = hashlib.sha256()
    for name, tensor in state.items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
