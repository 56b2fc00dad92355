"""The networks that may be built, from a bundle's section or from a line of text."""

from voxcam.model.networks.building import build_network, input_channels, spatial_rank, stated_size
from voxcam.model.networks.call import network_section

__all__ = ["build_network", "input_channels", "network_section", "spatial_rank", "stated_size"]
