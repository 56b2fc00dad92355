"""The networks a bundle may name."""

from __future__ import annotations

import inspect
from typing import Any

from torch import nn

from voxcam.errors import ClassifierError
from voxcam.model.bundle import target_of

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


def _line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 200 else text[:197] + "..."
