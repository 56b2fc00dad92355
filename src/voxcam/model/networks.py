"""The networks a bundle may name, and loading weights into one."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from voxcam.errors import ClassifierError
from voxcam.model.bundle import target_of

if TYPE_CHECKING:
    from pathlib import Path

# Of monai.networks.nets: classifiers whose constructor takes plain values only.
NETWORKS = frozenset(
    [
        "Classifier",
        "DenseNet",
        "DenseNet121",
        "DenseNet169",
        "DenseNet201",
        "DenseNet264",
        "EfficientNetBN",
        "ResNet",
        "SEResNet50",
        "SEResNet101",
        "SEResNet152",
        "SEResNext50",
        "SEResNext101",
        "SENet154",
        "ViT",
        "resnet10",
        "resnet18",
        "resnet34",
        "resnet50",
        "resnet101",
        "resnet152",
        "resnet200",
    ]
)


def build_network(section: Any) -> nn.Module:
    """Return the untrained network of a bundle's ``network_def``, in eval mode on the CPU.

    Raises
    ------
    UntrustedCodeError
        If it names anything but a network on the list.
    ClassifierError
        If its arguments do not fit.
    """
    name, arguments = target_of(section, NETWORKS, "network")
    from monai.networks import nets

    build = getattr(nets, name)
    if "pretrained" in inspect.signature(build).parameters:
        arguments["pretrained"] = False  # the bundle brings its weights; nothing is fetched
    try:
        network: nn.Module = build(**arguments)
    except Exception as error:
        raise ClassifierError(f"network {name} cannot be built from network_def: {_line(error)}") from error
    return network.eval()


def load_weights(network: nn.Module, path: Path) -> None:
    """Load a state dict from safetensors, or from ``.pt`` with ``weights_only=True`` and no fallback.

    Raises
    ------
    ClassifierError
        If the file is damaged, would run code, does not fit the network, or holds NaN or infinity.
    """
    state = _state(path)
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise ClassifierError(f"{path.name} does not fit the network: {_line(error)}") from None
    odd = [name for name, tensor in state.items() if not bool(torch.isfinite(tensor.float()).all())]
    if odd:
        raise ClassifierError(f"{path.name} holds numbers that are not finite, in {odd[0]!r}: it is damaged")


def spatial_rank(network: nn.Module) -> int:
    """Return how many spatial axes the network's input has, told by its first convolution: 2 or 3."""
    return 2 if isinstance(_first_convolution(network), nn.Conv2d) else 3


def input_channels(network: nn.Module) -> int:
    """Return how many channels the network's input has, told by its first convolution."""
    return _first_convolution(network).in_channels


def _first_convolution(network: nn.Module) -> nn.Conv2d | nn.Conv3d:
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d):
            return module
    raise ClassifierError(
        "the network has no 2D or 3D convolution: there is no place a class map could lie on"
    )


def _state(path: Path) -> dict[str, torch.Tensor]:
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ClassifierError(
            f"{path.name} cannot be read as weights alone ({type(error).__name__}): it is damaged or holds "
            "more than weights; save the state dict as model.safetensors"
        ) from None
    # Trainers often save {"state_dict": ...} or {"model": ...}.
    for key in ("state_dict", "model", "network"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise ClassifierError(f"{path.name} holds no state dict")
    return state


def _line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 200 else text[:197] + "..."
