"""The networks of MONAI that cannot serve as a classifier, and why; checked against MONAI by a test."""

from __future__ import annotations

_BY_REASON = {
    "puts out a label for every voxel (segmentation), not classes of the whole": (
        "AHNet AHnet Ahnet AttentionUnet BasicUNet BasicUnet Basicunet basicunet BasicUNetPlusPlus "
        "BasicUnetPlusPlus BasicunetPlusPlus basicunetplusplus CellSamWrapper DAF3D DiNTS DynUNet DynUnet "
        "Dynunet FlexUNet FlexibleUNet HighResNet HoVerNet HoVernet HoverNet Hovernet HyenaNDUNETR MedNeXt "
        "MedNext MedNeXtB MedNeXtL MedNeXtLarge MedNeXtM MedNeXtMedium MedNeXtS MedNeXtSmall MedNextB "
        "MedNextBase MedNextL MedNextLarge MedNextM MedNextMedium MedNextS MedNextSmall Quicknat SegResNet "
        "SegResNetDS SegResNetDS2 SegResNetVAE SwinUNETR UNETR UNet Unet VISTA3D VNet vista3d132"
    ),
    "makes or restores images": (
        "AutoEncoder AutoencoderKL ControlNet DiffusionModelUNet Generator Restormer SPADEAutoencoderKL "
        "SPADEDiffusionModelUNet SPADENet VQVAE VarAutoEncoder ViTAutoEnc"
    ),
    "aligns two images (registration)": "GlobalNet LocalNet RegUNet VoxelMorph VoxelMorphUNet",
    "puts out features of several stages, not classes": (
        "EfficientNetBNFeatures EfficientNetEncoder ResNetEncoder ResNetFeatures"
    ),
    "needs the time step of a diffusion beside the image": "DiffusionModelEncoder",
    "reads bags of images, not one image": "MILModel",
    "reads lists of images of different sizes, not a batch": "NaViT",
    "hides three quarters of the image at random to restore them (pre-training)": "MaskedAutoEncoderViT",
    "needs the tokens of a report beside the image": "MultiModal Transchex",
    "reads tokens, not images": "DecoderOnlyTransformer",
    "has no spatial grid a class map could lie on": "FullyConnectedNet VarFullyConnectedNet",
    "judges patches (a map for each scale), not the whole": (
        "MultiScalePatchDiscriminator PatchDiscriminator"
    ),
    "wraps another network, which a configuration without code cannot hand over": "NetAdapter",
    "is a part of a network": (
        "BertAttention BertMixedLayer BertOutput BertPreTrainedModel HighResBlock PatchMerging "
        "PatchMergingV2 Pooler ResNetBlock ResNetBottleneck TopologyConstruction TopologyInstance "
        "TopologySearch"
    ),
    "is a function, not a network": (
        "drop_connect get_efficientnet_image_size get_medicalnet_pretrained_resnet_args "
        "get_pretrained_resnet_medicalnet"
    ),
}

REFUSED: dict[str, str] = {name: reason for reason, names in _BY_REASON.items() for name in names.split()}
