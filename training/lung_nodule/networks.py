"""The networks that were tried for `lung_nodule_3d`, as a bundle's `network_def` names them."""

from __future__ import annotations

from typing import Any

NETWORKS: dict[str, dict[str, Any]] = {
    "densenet-6": {
        "_target_": "DenseNet", "spatial_dims": 3, "in_channels": 1, "out_channels": 2,
        "init_features": 32, "growth_rate": 16, "block_config": [6], "bn_size": 4,
    },
    "densenet-4": {
        "_target_": "DenseNet", "spatial_dims": 3, "in_channels": 1, "out_channels": 2,
        "init_features": 24, "growth_rate": 16, "block_config": [4], "bn_size": 4,
    },
    "densenet-4-4": {
        "_target_": "DenseNet", "spatial_dims": 3, "in_channels": 1, "out_channels": 2,
        "init_features": 24, "growth_rate": 16, "block_config": [4, 4], "bn_size": 4,
    },
    "classifier": {
        "_target_": "Classifier", "in_shape": [1, 40, 40, 40], "classes": 2,
        "channels": [16, 32, 64, 64], "strides": [2, 2, 1, 2], "num_res_units": 1,
    },
    "resnet10-quarter": {
        "_target_": "ResNet", "block": "basic", "layers": [1, 1, 1, 1], "block_inplanes": [64, 128, 256, 512],
        "spatial_dims": 3, "n_input_channels": 1, "num_classes": 2, "widen_factor": 0.25,
        "conv1_t_size": 3, "conv1_t_stride": 2, "no_max_pool": True,
    },
}  # fmt: skip
SHIPPED = "densenet-4"
