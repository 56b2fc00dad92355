"""What is compared with what: methods, the peers that have them right, and their closed forms."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.engines import peers
from benchmarks.engines.closed_forms import FORMS, maps_of, refined, rolled_out
from benchmarks.engines.contenders import CAPTUM, MONAI, PYTORCH_GRAD_CAM, TORCH_CAM
from benchmarks.engines.peers import BOX, by_captum, by_monai, by_pytorch_grad_cam, by_torch_cam

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

    from benchmarks.engines.networks import Case

CLOSED = "closed form"
ONE_DRAW = {"samples": 1, "noise": 0.0}
QUIET = "(no noise)"
REFINED = ("stem_relu", "trunk_relu")


@dataclass(frozen=True)
class Pair:
    """A method and another's maps (B, K, *grid) of the same: after a ReLU or not, in the ranks it can do."""

    method: str
    beside: str
    theirs: Callable[[Case], Tensor]
    relu: bool = False
    ranks: tuple[int, ...] = (2, 3)
    options: Mapping[str, object] = field(default_factory=dict)
    remark: str = ""

    @property
    def name(self) -> str:
        """The method, and how it was asked."""
        return f"{self.method} {self.remark}".strip()


PAIRS = (
    Pair("cam", MONAI, peers.by_monai_cam),
    Pair("cam", TORCH_CAM, partial(by_torch_cam, "CAM")),
    Pair("grad-cam", MONAI, partial(by_monai, "GradCAM"), relu=True),
    Pair("grad-cam", PYTORCH_GRAD_CAM, partial(by_pytorch_grad_cam, "GradCAM")),
    Pair("grad-cam", TORCH_CAM, partial(by_torch_cam, "GradCAM"), relu=True),
    Pair("grad-cam", CAPTUM, partial(by_captum, peers.captum_grad_cam)),
    Pair("grad-cam++", PYTORCH_GRAD_CAM, partial(by_pytorch_grad_cam, "GradCAMPlusPlus")),
    Pair("xgrad-cam", PYTORCH_GRAD_CAM, partial(by_pytorch_grad_cam, "XGradCAM")),
    Pair("xgrad-cam", TORCH_CAM, partial(by_torch_cam, "XGradCAM"), relu=True),
    Pair("hires-cam", PYTORCH_GRAD_CAM, partial(by_pytorch_grad_cam, "HiResCAM")),
    Pair("hires-cam", CAPTUM, partial(by_captum, peers.captum_gradient_x_activation)),
    Pair("element-wise-cam", PYTORCH_GRAD_CAM, partial(by_pytorch_grad_cam, "GradCAMElementWise")),
    Pair("layer-cam", PYTORCH_GRAD_CAM, partial(by_pytorch_grad_cam, "LayerCAM")),
    Pair("layer-cam", TORCH_CAM, partial(by_torch_cam, "LayerCAM"), relu=True),
    Pair("finer-cam", TORCH_CAM, partial(by_torch_cam, "FinerCAM"), relu=True),
    Pair("shapley-cam", PYTORCH_GRAD_CAM, partial(by_pytorch_grad_cam, "ShapleyCAM")),
    Pair("kpca-cam", PYTORCH_GRAD_CAM, peers.by_pytorch_kpca_cam),
    Pair("ablation-cam", PYTORCH_GRAD_CAM, peers.by_pytorch_ablation_cam, ranks=(2,)),
    Pair("score-cam", TORCH_CAM, partial(by_torch_cam, "ScoreCAM"), relu=True),
    Pair(
        "ss-cam", TORCH_CAM, partial(by_torch_cam, "SSCAM", num_samples=1, std=1e-12), relu=True,
        options={"samples": 1, "std": 0.0}, remark=QUIET,
    ),
    Pair(
        "is-cam", TORCH_CAM, partial(by_torch_cam, "ISCAM", num_samples=1), relu=True,
        options={"steps": 1}, remark="(one step)",
    ),
    Pair("smooth-grad-cam++", CLOSED, partial(maps_of, "grad-cam++"), options=ONE_DRAW, remark=QUIET),
    Pair("refine-cam", CLOSED, partial(refined, layers=REFINED)),
    Pair("guided-grad-cam", CAPTUM, partial(by_captum, peers.captum_guided_grad_cam)),
    Pair(
        "integrated-gradients", CAPTUM, partial(by_captum, peers.captum_integrated_gradients),
        options={"steps": 32},
    ),
    Pair("smooth-grad", CAPTUM, partial(by_captum, peers.captum_gradient), options=ONE_DRAW, remark=QUIET),
    Pair("smooth-grad", MONAI, peers.monai_gradient, options=ONE_DRAW, remark=QUIET),
    Pair(
        "occlusion", CAPTUM, partial(by_captum, peers.captum_occlusion),
        options={"size": BOX, "stride": BOX, "fill": 0.0},
    ),
    Pair("occlusion", MONAI, peers.monai_occlusion, options={"size": BOX, "stride": BOX, "fill": 0.0}),
    Pair("legrad", TORCH_CAM, peers.torch_cam_legrad, ranks=(2,)),
    Pair("attention-rollout", CLOSED, rolled_out, ranks=(2,)),
    *(Pair(method, CLOSED, partial(maps_of, method)) for method in FORMS),
)  # fmt: skip
