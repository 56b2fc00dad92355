"""How each library is asked for Grad-CAM of some classes, the way its own documentation asks."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

import captum.attr
import monai.visualize
import pytorch_grad_cam
import torch
import torchcam.methods
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

from voxcam import cam

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor, nn

    from benchmarks.engines.networks import Case

GRADIENT_METHODS = ("cam", "grad-cam", "grad-cam++", "xgrad-cam", "hires-cam", "layer-cam")


def plain(case: Case, _classes: Sequence[int] = ()) -> Tensor:
    """Classify, and explain nothing: the unit in which the others are measured."""
    with torch.no_grad():
        return case.network(case.x)


def voxcam(case: Case, classes: Sequence[int]) -> Tensor:
    return cam.class_maps(case.network, case.x, case.layer, "grad-cam", classes)["grad-cam"]


def voxcam_six(case: Case, classes: Sequence[int]) -> cam.Maps:
    return cam.class_maps(case.network, case.x, case.layer, GRADIENT_METHODS, classes)


def torch_cam(case: Case, classes: Sequence[int]) -> list[Tensor]:
    """One forward pass, one backward pass a class down to the layer: its documented way to be fast."""
    with torchcam.methods.GradCAM(case.network, case.layer) as explainer:
        logits = case.network(case.x)
        return [explainer(k, logits, normalized=False, retain_graph=True)[0] for k in classes]


def captum_(case: Case, classes: Sequence[int]) -> list[Tensor]:
    explainer = captum.attr.LayerGradCam(case.network, case.module)
    return [explainer.attribute(case.x, target=k).detach() for k in classes]


def monai_(case: Case, classes: Sequence[int]) -> list[Tensor]:
    """The raw map: the call itself would resize and invert it too."""
    explainer = monai.visualize.GradCAM(case.network, case.layer)
    return [explainer.compute_map(case.x, class_idx=k).detach() for k in classes]


def pytorch_grad_cam_(case: Case, classes: Sequence[int]) -> list[object]:
    """Maps come resized to the image, it knows no others."""
    with pytorch_grad_cam.GradCAM(case.network, [case.module]) as explainer:
        return [explainer(case.x, [ClassifierOutputTarget(k)] * len(case.x)) for k in classes]


PLAIN, OURS, SIX = "one plain forward", "VoxCAM", "VoxCAM, six methods"
TORCH_CAM, CAPTUM, MONAI, PYTORCH_GRAD_CAM = "torch-cam", "captum", "MONAI", "pytorch-grad-cam"

CONTENDERS: dict[str, Callable[[Case, Sequence[int]], object]] = {
    PLAIN: plain,
    OURS: voxcam,
    SIX: voxcam_six,
    TORCH_CAM: torch_cam,
    CAPTUM: captum_,
    MONAI: monai_,
    PYTORCH_GRAD_CAM: pytorch_grad_cam_,
}
ONE_PASS = (PLAIN, OURS, SIX, TORCH_CAM)
"""Those that need one forward pass for all classes; the others need one a class."""

DISTRIBUTIONS = {
    OURS: "voxcam",
    TORCH_CAM: "torchcam",
    CAPTUM: "captum",
    MONAI: "monai",
    PYTORCH_GRAD_CAM: "grad-cam",
}


def forget(network: nn.Module) -> None:
    """Take off what peers leave on a network: it would slow, and add to, whoever comes next."""
    for module in network.modules():
        module._forward_hooks.clear()
        module._forward_pre_hooks.clear()
        module._backward_hooks.clear()
        module._backward_pre_hooks.clear()
    network.zero_grad(set_to_none=True)
    network.eval()


def hooks_on(network: nn.Module) -> int:
    """Return how many hooks hang on a network and its submodules."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return sum(len(getattr(module, kind)) for module in network.modules() for kind in kinds)


def versions() -> str:
    """Return the versions that run, in one line."""
    found = ", ".join(f"{name} {version(package)}" for name, package in DISTRIBUTIONS.items())
    return f"{found}; torch {torch.__version__}, {torch.get_num_threads()} thread(s), CPU"
