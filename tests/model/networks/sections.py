"""A small section for every network of the catalogue, and for what of it has no small one."""

from __future__ import annotations

from typing import Any

from voxcam.model.networks.catalogue import CATALOGUE

DENSE = {"init_features": 8, "growth_rate": 4, "block_config": [2, 1, 1, 2], "bn_size": 2}
SHALLOW = {"layers": [1, 1, 1, 1]}
STRIDED = {"channels": [4, 6], "strides": [2, 2], "num_res_units": 1}
SMALL: dict[str, dict[str, Any]] = {
    "Classifier": STRIDED,
    "Critic": STRIDED,
    "DenseNet": DENSE,
    "DenseNet121": DENSE,
    "DenseNet169": DENSE | {"growth_rate": 8, "block_config": [2, 2], "norm": ["group", {"num_groups": 2}]},
    "DenseNet201": DENSE | {"act": "PRELU"},
    "DenseNet264": DENSE | {"block_config": [1, 2], "act": ["elu", {"alpha": 0.5}], "norm": "instance"},
    "Discriminator": STRIDED | {"act": "relu", "num_res_units": 0},
    "EfficientNet": {
        "blocks_args_str": ["r1_k3_s11_e1_i32_o16_se0.25", "r2_k3_s22_e2_i16_o24_se0.25"],
        "width_coefficient": 0.5,
        "image_size": 32,
    },
    "EfficientNetBN": {"model_name": "efficientnet-b0", "pretrained": False},
    "Regressor": STRIDED | {"kernel_size": 5, "norm": "batch"},
    "ResNet": {"block": "basic", "layers": [1, 1, 1, 1], "block_inplanes": [4, 8, 16, 32]},
    "SENet": SHALLOW | {"block": "se_resnet_bottleneck", "groups": 1, "reduction": 16, "inplanes": 64},
    "SENet154": SHALLOW,
    "SEResNet50": SHALLOW,
    "SEResNet101": SHALLOW,
    "SEResNet152": SHALLOW,
    "SEResNext50": SHALLOW,
    "SEResNext101": SHALLOW,
    "ViT": {
        "img_size": 32,
        "patch_size": 16,
        "hidden_size": 24,
        "mlp_dim": 32,
        "num_layers": 2,
        "num_heads": 4,
        "classification": True,
    },
    "resnet10": {"widen_factor": 0.125},
    "resnet18": {"widen_factor": 0.125, "shortcut_type": "A"},
    "resnet34": {"widen_factor": 0.125, "conv1_t_size": 3, "conv1_t_stride": 2},
    "resnet50": {"widen_factor": 0.0625, "no_max_pool": True},
    "resnet101": {"widen_factor": 0.0625},
    "resnet152": {"widen_factor": 0.0625},
    "resnet200": {"widen_factor": 0.0625},
}
SIZE = 32
CASES = [(name, rank) for name in SMALL for rank in (2, 3)]


def small_section(name: str, rank: int, channels: int = 1, classes: int = 3) -> dict[str, Any]:
    """Return a section of `name` that is quick to build and run on `SIZE` voxels an axis."""
    return section(name, rank, channels, classes) | SMALL[name]


def section(name: str, rank: int, channels: int = 1, classes: int = 3) -> dict[str, Any]:
    """Return what every section of `name` must say."""
    entry = CATALOGUE[name]
    said: dict[str, Any] = {"_target_": f"monai.networks.nets.{name}"}
    if entry.rank == "in_shape":
        said["in_shape"] = [channels, *[SIZE] * rank]
    else:
        said |= {entry.rank: rank, entry.channels: channels}
    if entry.outputs:
        said[entry.outputs] = [classes] if entry.outputs == "out_shape" else classes
    return said


def outputs_of(name: str, classes: int = 3) -> int:
    """Return how many outputs the network has."""
    return classes if CATALOGUE[name].outputs else 1
