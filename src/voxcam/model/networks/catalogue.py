"""Every network of MONAI that can serve as a classifier, and how it is called; what cannot, and why."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class CatalogueEntry:
    """How a network of ``monai.networks.nets`` is called.

    Parameters
    ----------
    positional
        Its arguments in MONAI's order.
    keywords
        Further ones, which MONAI takes by name only.
    rank, channels, outputs, size
        Which argument says how many spatial axes the input has, how many channels, how many classes there
        are, and the input's size, where the network is bound to one. "in_shape" is (channels, *size).
        No `outputs`: there is one.
    default_rank, default_channels
        What MONAI takes where the section says nothing; None where it must say.
    demanded
        Arguments that must have this value, with what the network would be without.
    choices
        Arguments that name something to be looked up, and the names that are safe.
    ranks
        Spatial axes it is offered for.
    smallest
        Voxels along each axis below which MONAI's default layout cannot run; 0 where `size` fixes them.
    note
        What a reader of its maps should know.
    """

    positional: tuple[str, ...]
    keywords: tuple[str, ...] = ()
    rank: str = "spatial_dims"
    channels: str = "in_channels"
    outputs: str = "num_classes"
    size: str = ""
    default_rank: int | None = None
    default_channels: int | None = None
    demanded: Mapping[str, tuple[Any, str]] = field(default_factory=dict)
    choices: Mapping[str, frozenset[str]] = field(default_factory=dict)
    ranks: tuple[int, ...] = (2, 3)
    smallest: int = 1
    note: str = ""


# Arguments that only say where MONAI would download weights from: the bundle brings its own.
DROPPED = frozenset({"pretrained", "progress", "adv_prop", "weights"})

_HEADED = {"feed_forward": (True, "would put out features, not classes")}
_TANH = "by default its logits pass through tanh (`post_activation`): they lie within -1..1"
_WHOLE = "the last layer sees every unit at its place"

_DENSENET = CatalogueEntry(
    positional=tuple(
        "spatial_dims in_channels out_channels init_features growth_rate block_config bn_size act norm "
        "dropout_prob".split()
    ),
    outputs="out_channels",
    smallest=29,
)
_NAMED_DENSENET = replace(
    _DENSENET,
    positional=tuple(
        "spatial_dims in_channels out_channels init_features growth_rate block_config pretrained "
        "progress".split()
    ),
    keywords=("bn_size", "act", "norm", "dropout_prob"),
)
_RESNET = CatalogueEntry(
    positional=tuple(
        "block layers block_inplanes spatial_dims n_input_channels conv1_t_size conv1_t_stride no_max_pool "
        "shortcut_type widen_factor num_classes feed_forward bias_downsample act norm".split()
    ),
    channels="n_input_channels",
    default_rank=3,
    default_channels=3,
    demanded=_HEADED,
    note='`shortcut_type` "A" lets no gradient through its shortcuts: maps of earlier layers miss that way',
)
_NAMED_RESNET = replace(_RESNET, positional=("pretrained", "progress"), keywords=_RESNET.positional[3:])
_SENET = CatalogueEntry(
    positional=tuple(
        "spatial_dims in_channels block layers groups reduction dropout_prob dropout_dim inplanes "
        "downsample_kernel_size input_3x3 num_classes".split()
    ),
    smallest=3,
)
_SENET_KEYWORDS = ("spatial_dims", "in_channels", "dropout_dim", "num_classes")
_SENET154 = replace(
    _SENET,
    positional=("layers", "groups", "reduction", "pretrained", "progress"),
    keywords=(*_SENET_KEYWORDS, "dropout_prob", "inplanes", "downsample_kernel_size", "input_3x3"),
)
_SERESNET = replace(
    _SENET,
    positional=tuple(
        "layers groups reduction dropout_prob inplanes downsample_kernel_size input_3x3 pretrained "
        "progress".split()
    ),
    keywords=_SENET_KEYWORDS,
)
_DEEP_SERESNET = replace(
    _SERESNET,
    positional=tuple(name for name in _SERESNET.positional if name != "dropout_prob"),
    keywords=(*_SENET_KEYWORDS, "dropout_prob"),
)
_EFFICIENTNET = CatalogueEntry(
    positional=tuple(
        "blocks_args_str spatial_dims in_channels num_classes width_coefficient depth_coefficient "
        "dropout_rate image_size norm drop_connect_rate depth_divisor".split()
    ),
    default_rank=2,
    default_channels=3,
    smallest=32,
    note="pads for the input size it was made for (224 for b0), whatever the input",
)
_REGRESSOR = CatalogueEntry(
    positional=tuple(
        "in_shape out_shape channels strides kernel_size num_res_units act norm dropout bias".split()
    ),
    rank="in_shape",
    channels="in_shape",
    outputs="out_shape",
    size="in_shape",
    smallest=0,
    note=_WHOLE,
)
_CLASSIFIER = replace(
    _REGRESSOR,
    positional=tuple(
        "in_shape classes channels strides kernel_size num_res_units act norm dropout bias last_act".split()
    ),
    outputs="classes",
)
_CRITIC_ARGUMENTS = tuple(name for name in _REGRESSOR.positional if name != "out_shape")
TORCHVISION_MODELS = frozenset(
    "resnet18 resnet34 resnet50 resnet101 resnet152 resnext50_32x4d resnext101_32x8d resnext101_64x4d "
    "wide_resnet50_2 wide_resnet101_2 inception_v3 densenet121 densenet161 densenet169 densenet201 "
    "efficientnet_b0 efficientnet_b1 efficientnet_b2 efficientnet_b3 efficientnet_b4 efficientnet_b5 "
    "efficientnet_b6 efficientnet_b7 convnext_tiny convnext_small convnext_base convnext_large vit_b_16 "
    "vit_b_32 vit_l_16 vit_l_32 swin_t swin_s swin_b".split()
)

CATALOGUE: dict[str, CatalogueEntry] = {
    "Classifier": _CLASSIFIER,
    "Critic": replace(
        _REGRESSOR,
        positional=_CRITIC_ARGUMENTS,
        outputs="",
        note="one output, the mean over all channels and units: its CAM is the activation itself",
    ),
    "DenseNet": _DENSENET,
    "DenseNet121": _NAMED_DENSENET,
    "DenseNet169": _NAMED_DENSENET,
    "DenseNet201": _NAMED_DENSENET,
    "DenseNet264": _NAMED_DENSENET,
    "Discriminator": replace(
        _REGRESSOR,
        positional=(*_CRITIC_ARGUMENTS, "last_act"),
        outputs="",
        note=f"one output, by default already a probability (`last_act` sigmoid); {_WHOLE}",
    ),
    "EfficientNet": _EFFICIENTNET,
    "EfficientNetBN": replace(
        _EFFICIENTNET,
        positional=tuple(
            "model_name pretrained progress spatial_dims in_channels num_classes norm adv_prop".split()
        ),
    ),
    "Regressor": _REGRESSOR,
    "ResNet": _RESNET,
    "SENet": _SENET,
    "SENet154": _SENET154,
    "SEResNet50": _SERESNET,
    "SEResNet101": _DEEP_SERESNET,
    "SEResNet152": _DEEP_SERESNET,
    "SEResNext50": _SERESNET,
    "SEResNext101": _SERESNET,
    "TorchVisionFCModel": CatalogueEntry(
        positional=tuple(
            "model_name num_classes dim in_channels use_conv pool bias pretrained fc_name node_name "
            "weights".split()
        ),
        rank="dim",
        channels="",
        default_rank=2,
        default_channels=3,
        demanded={
            "node_name": ("", "would be traced by torchvision's feature extractor"),
            "use_conv": (False, "would put out a map for each class instead of one number"),
        },
        choices={"model_name": TORCHVISION_MODELS},
        ranks=(2,),
        smallest=193,
        note="needs torchvision; red, green, blue; with `pool=None` smaller inputs run",
    ),
    "ViT": CatalogueEntry(
        positional=tuple(
            "in_channels img_size patch_size hidden_size mlp_dim num_layers num_heads proj_type "
            "pos_embed_type classification num_classes dropout_rate spatial_dims post_activation qkv_bias "
            "save_attn".split()
        ),
        size="img_size",
        default_rank=3,
        demanded={"classification": (True, "would put out tokens, not classes")},
        smallest=0,
        note=_TANH,
    ),
    "resnet10": _NAMED_RESNET,
    "resnet18": _NAMED_RESNET,
    "resnet34": _NAMED_RESNET,
    "resnet50": _NAMED_RESNET,
    "resnet101": _NAMED_RESNET,
    "resnet152": _NAMED_RESNET,
    "resnet200": _NAMED_RESNET,
}

# MONAI's other spellings of the same class.
ALIASES: dict[str, str] = {
    alias: name
    for name, aliases in {
        "DenseNet": "Densenet",
        "DenseNet121": "Densenet121 densenet121",
        "DenseNet169": "Densenet169 densenet169",
        "DenseNet201": "Densenet201 densenet201",
        "DenseNet264": "Densenet264 densenet264",
        "SENet": "SEnet Senet",
        "SENet154": "SEnet154 Senet154 senet154",
        "SEResNet50": "SEresnet50 Seresnet50 seresnet50",
        "SEResNet101": "SEresnet101 Seresnet101 seresnet101",
        "SEResNet152": "SEresnet152 Seresnet152 seresnet152",
        "SEResNext50": "SEResNeXt50 SEresnext50 Seresnext50 seresnext50",
        "SEResNext101": "SEResNeXt101 SEresnext101 Seresnext101 seresnext101",
    }.items()
    for alias in aliases.split()
}

NETWORKS = frozenset(CATALOGUE) | frozenset(ALIASES)


def entry_of(name: str) -> CatalogueEntry:
    """Return the entry of a network under any of MONAI's spellings; KeyError if there is none."""
    return CATALOGUE[ALIASES.get(name, name)]
