"""Small MONAI bundles, written for tests."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file

if TYPE_CHECKING:
    from pathlib import Path

DENSENET_3D = {
    "_target_": "DenseNet",
    "spatial_dims": 3,
    "in_channels": 1,
    "out_channels": 2,
    "init_features": 8,
    "growth_rate": 4,
    "block_config": [2],
    "bn_size": 2,
}
DENSENET_2D = DENSENET_3D | {"spatial_dims": 2, "out_channels": 3}
SCALING = {
    "_target_": "ScaleIntensityRanged",
    "keys": "image",
    "a_min": -1000,
    "a_max": 1000,
    "b_min": 0,
    "b_max": 1,
}
PREPROCESSING = {
    "_target_": "Compose",
    "transforms": [
        {"_target_": "LoadImaged", "keys": "image"},
        {"_target_": "EnsureChannelFirstd", "keys": "image"},
        {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS"},
        {"_target_": "Spacingd", "keys": "image", "pixdim": [2.0, 2.0, 2.0], "mode": "bilinear"},
        SCALING,
    ],
}
SOFTMAX = {
    "_target_": "Compose",
    "transforms": [{"_target_": "Activationsd", "keys": "pred", "softmax": True}],
}


def write_bundle(folder: Path, network: dict[str, Any] | None = None, **changes: Any) -> Path:
    """Write a bundle with seeded random weights; `changes` replace sections of inference.json.

    `metadata`, `stated` (the "voxcam" section) and `classes` change the metadata.
    """
    network = network or DENSENET_3D
    classes = changes.pop("classes", [f"class {n}" for n in range(network["out_channels"])])
    stated = changes.pop("stated", {"input_unit": "HU"})
    metadata: dict[str, Any] = {
        "name": folder.name,
        "version": "1.2.3",
        "description": "A network for tests.",
        "intended_use": "Tests.",
        "network_data_format": {
            "inputs": {"image": {"modality": "CT", "num_channels": 1}},
            "outputs": {"pred": {"channel_def": {str(n): name for n, name in enumerate(classes)}}},
        },
        "voxcam": stated,
    } | changes.pop("metadata", {})
    config: dict[str, Any] = {
        "network_def": network,
        "preprocessing": PREPROCESSING,
        "inferer": {"_target_": "SlidingWindowInferer", "roi_size": [16, 16, 16], "overlap": 0.5},
        "postprocessing": SOFTMAX,
    } | changes
    for place in ("configs", "models"):
        (folder / place).mkdir(parents=True)
    (folder / "configs" / "metadata.json").write_text(json.dumps(metadata))
    (folder / "configs" / "inference.json").write_text(json.dumps(config))
    save_file(random_weights(network), folder / "models" / "model.safetensors")
    return folder


def random_weights(network: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Return seeded weights of a network section, running statistics included."""
    from voxcam.model.networks import build_network

    with torch.random.fork_rng():
        torch.manual_seed(0)
        built = build_network(network)
        for module in built.modules():
            if hasattr(module, "running_mean"):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
    return {name: tensor.contiguous() for name, tensor in built.state_dict().items()}
