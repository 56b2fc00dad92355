"""From a bundle's section to an untrained network: known by name, bounded in size, nothing fetched."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

from torch import nn

from voxcam.errors import ClassifierError
from voxcam.model.networks.arguments import StatedInput, checked_arguments, stated_input
from voxcam.model.networks.bounds import TooLargeError, refuse_unless_bounded
from voxcam.model.networks.messages import in_one_line
from voxcam.model.networks.names import named_network

if TYPE_CHECKING:
    from collections.abc import Callable


def build_network(section: Any) -> nn.Module:
    """Return the untrained network of a bundle's ``network_def``, in eval mode on the CPU, in float32.

    Parameters
    ----------
    section
        ``{"_target_": "DenseNet121", "spatial_dims": 3, ...}``; see docs/networks.md for the names.

    Raises
    ------
    UntrustedCodeError
        If it names anything but a network of the catalogue.
    ClassifierError
        If the network is no classifier, its arguments do not fit, or it would be too large.
    """
    name, given = named_network(section)
    arguments = checked_arguments(name, given)
    stated = stated_input(name, arguments)
    build = _constructor(name)
    try:
        refuse_unless_bounded(lambda: build(**checked_arguments(name, given)))
        network = build(**arguments)
    except TooLargeError as error:
        raise ClassifierError(f"network {name} is larger than VoxCAM builds: {error}") from None
    except Exception as error:
        raise ClassifierError(
            f"network {name} cannot be built from network_def: {in_one_line(error)}"
        ) from error
    network.__dict__["voxcam_input"] = stated  # for `spatial_rank`, `input_channels` and `stated_size`
    return network.eval().float()


def spatial_rank(network: nn.Module) -> int:
    """Return how many spatial axes the network's input has, 2 or 3.

    As its section says; of a network that was built elsewhere, told by its first convolution.
    """
    stated = _stated_of(network)
    if stated:
        return stated.rank
    return 2 if isinstance(_first_convolution(network), nn.Conv2d) else 3


def input_channels(network: nn.Module) -> int:
    """Return how many channels the network's input has, told as by `spatial_rank`."""
    stated = _stated_of(network)
    return stated.channels if stated else _first_convolution(network).in_channels


def stated_size(network: nn.Module) -> tuple[int, ...] | None:
    """Return the voxels along each axis that the network is bound to (ViT, Classifier), else None."""
    stated = _stated_of(network)
    return stated.size if stated else None


def _constructor(name: str) -> Callable[..., nn.Module]:
    if name == "TorchVisionFCModel" and importlib.util.find_spec("torchvision") is None:
        raise ClassifierError("network TorchVisionFCModel needs torchvision: pip install torchvision")
    from monai.networks import nets

    constructor: Callable[..., nn.Module] = getattr(nets, name)
    return constructor


def _stated_of(network: nn.Module) -> StatedInput | None:
    stated = getattr(network, "voxcam_input", None)
    return stated if isinstance(stated, StatedInput) else None


def _first_convolution(network: nn.Module) -> nn.Conv2d | nn.Conv3d:
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d):
            return module
    raise ClassifierError(
        "the network has no 2D or 3D convolution: there is no place a class map could lie on"
    )
