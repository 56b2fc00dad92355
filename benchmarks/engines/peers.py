"""Raw maps (B, K, *grid) by the peers: before any resizing and scaling, wherever they can be had so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import captum.attr
import monai.visualize
import numpy as np
import pytorch_grad_cam
import torch
import torchcam.methods
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor

from benchmarks.engines.closed_forms import MODES, samples_of
from benchmarks.engines.contenders import forget

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.engines.networks import Case

CLASSES = range(5)
BOX = 4
"""Voxels of an axis that are hidden together: it divides every axis."""


def by_monai(method: str, case: Case) -> Tensor:
    """MONAI's maps, one sample and one class at a time: its batches are wrong. After its ReLU."""
    explainer = getattr(monai.visualize, method)(case.network, case.layer)
    maps = [
        torch.cat([explainer.compute_map(x[None], class_idx=k).detach() for k in CLASSES], dim=1)
        for x in case.x
    ]
    forget(case.network)
    return torch.cat(maps)


def by_monai_cam(case: Case) -> Tensor:
    """MONAI's CAM, less the bias of the linear layer, which it adds at every place."""
    explainer = monai.visualize.CAM(case.network, case.layer, "fc")
    maps = [explainer.compute_map(case.x, class_idx=[k] * len(case.x)).detach() for k in CLASSES]
    forget(case.network)
    bias = case.network.fc.bias.detach()
    return torch.cat(maps, dim=1) - bias.reshape(1, -1, *(1,) * (case.x.ndim - 2))


def by_pytorch_grad_cam(method: str, case: Case) -> Tensor:
    """pytorch-grad-cam's maps as they are before it cuts, scales and resizes them."""
    with getattr(pytorch_grad_cam, method)(case.network, [case.module]) as explainer:
        maps = [raw_map(explainer, case.x, k) for k in CLASSES]
    forget(case.network)
    return torch.stack(maps, dim=1)


def by_pytorch_ablation_cam(case: Case) -> Tensor:
    """Its Ablation-CAM in logit units: it divides weights by the logit."""
    with torch.no_grad():
        logits = case.network(case.x)
    return by_pytorch_grad_cam("AblationCAM", case) * logits[:, :, None, None]


def by_pytorch_kpca_cam(case: Case) -> Tensor:
    """Its KPCA-CAM, turned so that it agrees with the sum of the feature maps."""
    maps = by_pytorch_grad_cam("KPCA_CAM", case).flatten(2)
    plain = torch.stack([sample.activations[0].sum(0).flatten() for sample in samples_of(case)])
    signs = (maps * plain[:, None]).sum(-1, keepdim=True).sign()
    return (maps * signs).reshape(*maps.shape[:2], *samples_of(case)[0].grid)


def raw_map(explainer: pytorch_grad_cam.base_cam.BaseCAM, x: Tensor, k: int) -> Tensor:
    """Call pytorch-grad-cam and overhear what its `get_cam_image` returns: (B, *grid)."""
    heard: list[np.ndarray] = []
    original = type(explainer).get_cam_image

    def overheard(*arguments: object) -> np.ndarray:
        heard.append(original(explainer, *arguments))
        return heard[-1]

    explainer.get_cam_image = overheard
    explainer(x, [ClassifierOutputTarget(k)] * len(x))
    return torch.from_numpy(np.array(heard[-1]))


def by_torch_cam(method: str, case: Case, **options: object) -> Tensor:
    """torch-cam's maps, after its ReLU."""
    keep = {"retain_graph": True} if method in OF_GRADIENTS else {}
    with getattr(torchcam.methods, method)(case.network, case.layer, **options) as explainer:
        logits = case.network(case.x)
        maps = [explainer(k, logits, normalized=False, **keep)[0].detach().clone() for k in CLASSES]
    return torch.stack(maps, dim=1)


def torch_cam_legrad(case: Case) -> Tensor:
    """LeGrad over all blocks of torchvision's transformer."""
    blocks = [f"encoder.layers.{name}" for name, _ in case.network.encoder.layers.named_children()]
    with torchcam.methods.LeGrad(case.network, blocks) as explainer:
        logits = case.network(case.x)
        maps = [explainer(k, logits, normalized=False, retain_graph=True)[0] for k in CLASSES]
    return torch.stack(maps, dim=1)


OF_GRADIENTS = {"GradCAM", "GradCAMpp", "XGradCAM", "LayerCAM", "FinerCAM"}


def by_captum(attribute: Callable[[Case, int], Tensor], case: Case) -> Tensor:
    """captum's maps, signed: `attribute` gives (B, C, *grid) of one class, and its channels are added up."""
    return torch.stack([attribute(case, k).detach().sum(1) for k in CLASSES], dim=1)


def captum_grad_cam(case: Case, k: int) -> Tensor:
    return captum.attr.LayerGradCam(case.network, case.module).attribute(case.x, target=k)


def captum_gradient_x_activation(case: Case, k: int) -> Tensor:
    return captum.attr.LayerGradientXActivation(case.network, case.module).attribute(case.x, target=k)


def captum_guided_grad_cam(case: Case, k: int) -> Tensor:
    explainer = captum.attr.GuidedGradCam(case.network, case.module)
    return explainer.attribute(case.x, target=k, interpolate_mode=MODES[case.x.ndim - 2])


def captum_integrated_gradients(case: Case, k: int) -> Tensor:
    explainer = captum.attr.IntegratedGradients(case.network)
    return explainer.attribute(case.x, target=k, n_steps=32, method="riemann_middle")


def captum_gradient(case: Case, k: int) -> Tensor:
    return captum.attr.Saliency(case.network).attribute(case.x, target=k, abs=False)


def captum_occlusion(case: Case, k: int) -> Tensor:
    """Boxes side by side, each filled with 0; one value a box is kept."""
    box = (1, *(BOX,) * (case.x.ndim - 2))
    explainer = captum.attr.Occlusion(case.network)
    return one_a_box(
        explainer.attribute(case.x, sliding_window_shapes=box, strides=box, target=k, baselines=0)
    )


def monai_occlusion(case: Case) -> Tensor:
    """What the logits lose: MONAI gives the logits with the box hidden."""
    explainer = monai.visualize.OcclusionSensitivity(
        case.network, mask_size=BOX, mode=0.0, overlap=0.0, activate=False, verbose=False
    )
    hidden = torch.cat([torch.as_tensor(explainer(x[None])[0]) for x in case.x])
    with torch.no_grad():
        logits = case.network(case.x)
    return logits.reshape(*logits.shape, *(1,) * (case.x.ndim - 2)) - one_a_box(hidden)


def monai_gradient(case: Case) -> Tensor:
    """The gradient at the input, one sample and one class at a time."""
    explainer = monai.visualize.VanillaGrad(case.network)
    rows = [torch.cat([explainer(x[None].clone(), index=k) for k in CLASSES], dim=1) for x in case.x]
    forget(case.network)
    return torch.cat(rows)


def one_a_box(maps: Tensor) -> Tensor:
    return maps[(slice(None), slice(None), *(slice(BOX // 2, None, BOX),) * (maps.ndim - 2))]
