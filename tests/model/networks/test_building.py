"""Networks are built from a list of ours, weights loaded as numbers alone."""

from __future__ import annotations

import pytest
import torch
from bundles import DENSENET_2D, DENSENET_3D

from voxcam.errors import ClassifierError
from voxcam.model.networks import build_network, input_channels, spatial_rank
from voxcam.model.networks.building import NETWORKS


def test_arguments_that_do_not_fit_are_one_clear_line() -> None:
    with pytest.raises(ClassifierError, match="DenseNet cannot be built"):
        build_network(DENSENET_3D | {"no_such_argument": 1})
    with pytest.raises(ClassifierError, match="_target_"):
        build_network("DenseNet")


def test_rank_and_channels_are_told_by_the_first_convolution() -> None:
    assert spatial_rank(build_network(DENSENET_2D)) == 2
    assert spatial_rank(build_network(DENSENET_3D)) == 3
    assert input_channels(build_network(DENSENET_3D | {"in_channels": 4})) == 4
    with pytest.raises(ClassifierError, match="no 2D or 3D convolution"):
        spatial_rank(torch.nn.Linear(2, 2))


def test_every_network_on_the_list_exists_in_monai_and_is_a_classifier() -> None:
    from monai.networks import nets

    arguments = {
        "Classifier": {"in_shape": (1, 32, 32), "classes": 2, "channels": (4, 8), "strides": (2, 2)},
        "EfficientNetBN": {
            "model_name": "efficientnet-b0",
            "spatial_dims": 2,
            "in_channels": 1,
            "num_classes": 2,
        },
        "ResNet": {
            "block": "basic",
            "layers": [1, 1, 1, 1],
            "block_inplanes": [4, 8, 16, 32],
            "spatial_dims": 2,
            "n_input_channels": 1,
            "num_classes": 2,
        },
    }
    for name in NETWORKS:
        assert hasattr(nets, name), name
    for name, given in arguments.items():
        network = build_network({"_target_": name} | given)
        assert not network.training
        with torch.no_grad():
            output = network(torch.zeros(1, 1, 32, 32))
        logits = output[0] if isinstance(output, tuple) else output
        assert logits.shape == (1, 2), name
