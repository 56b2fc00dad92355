"""Where pytorch-grad-cam's maps are wrong: what is measured there, and the same of VoxCAM."""

from __future__ import annotations

import gc
import time
import weakref
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pytorch_grad_cam
import torch
from pytorch_grad_cam.utils.image import scale_cam_image
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from pytorch_grad_cam.utils.svd_on_activations import get_2d_projection
from torch import Tensor

from benchmarks.engines import closed_forms, contenders
from benchmarks.engines.networks import Case, Recipe, densenet121, small_case
from benchmarks.engines.outcomes import Outcome, ours, outcome_of, share_of_range
from benchmarks.engines.peers import by_pytorch_ablation_cam, by_pytorch_grad_cam
from voxcam import cam

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import nn


def of_volumes(method: str, ours_of: str) -> Outcome:
    case = small_case(3, batch=1, steepness=1.0)
    theirs = outcome_of(partial(by_pytorch_grad_cam, method, case))
    case = small_case(3, batch=1, steepness=1.0)  # a new network: the failed call may have changed the old
    if ours_of not in cam.METHODS:
        return theirs, None
    return theirs, share_of_range(ours(case, ours_of), closed_forms.maps_of(ours_of, case))


def resizing_of_volumes() -> Outcome:
    """A map of 6 x 8 x 10 units, brought to 12 x 16 x 20 voxels."""
    case = small_case(3, batch=1)
    raw = ours(case, "grad-cam")[0, :1].relu()
    size = case.x.shape[2:]
    right = torch.nn.functional.interpolate(raw[None], size, mode="trilinear", align_corners=False)[0]
    theirs = torch.from_numpy(scale_cam_image(raw.numpy(), size[::-1]))
    low, high = raw.aminmax()
    mine = (cam.upsample(raw, size) - low) / (high - low)
    return share_of_range(theirs[None], ((right - low) / (high - low))[None]), share_of_range(
        mine[None], ((right - low) / (high - low))[None]
    )


def graph_kept() -> Outcome:
    """MB that autograd saved and that are still held when the call is over and the explainer is kept."""
    case = Recipe("", densenet121, (224, 224), "class_layers.relu").case()
    explainer = pytorch_grad_cam.GradCAM(case.network, [case.module])
    theirs = kept_megabytes(lambda: explainer(case.x, [ClassifierOutputTarget(0)]))
    explainer.activations_and_grads.release()
    return theirs, kept_megabytes(lambda: ours(case, "grad-cam", [0]))


class Held:
    """A saved tensor, in a box whose end can be seen."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


def kept_megabytes(run: Callable[[], object]) -> float:
    boxes: list[weakref.ref[Held]] = []

    def pack(tensor: Tensor) -> Held:
        box = Held(tensor)
        boxes.append(weakref.ref(box))
        return box

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda box: box.tensor):
        kept = run()
    gc.collect()
    alive = [box.tensor.untyped_storage() for reference in boxes if (box := reference()) is not None]
    del kept
    return sum({storage.data_ptr(): storage.nbytes() for storage in alive}.values()) / 1e6


def overwritten_activations() -> Outcome:
    """The least activation on record at DenseNet's `features`, where an in-place ReLU follows."""
    case = Recipe("", densenet121, (64, 64), "features").case()
    with pytorch_grad_cam.GradCAM(case.network, [case.module]) as explainer:
        explainer(case.x, [ClassifierOutputTarget(0)])
        theirs = float(explainer.activations_and_grads.activations[0].min())
    contenders.forget(case.network)
    return theirs, float(cam.capture(case.network, case.x, case.layer, [0]).activations[case.layer].min())


def half_precision() -> Outcome:
    case = small_case(2, batch=1, steepness=1.0)
    with torch.autocast("cpu", torch.bfloat16):
        theirs = outcome_of(partial(by_pytorch_grad_cam, "GradCAM", case))
        mine = ours(case, "grad-cam")
    return theirs, share_of_range(mine, closed_forms.maps_of("grad-cam", case))


def whole_svd() -> Outcome:
    """Seconds for 64 feature maps of 40 x 40 units."""
    maps = np.random.default_rng(0).random((1, 64, 40, 40), dtype=np.float32)
    with timer() as theirs:
        get_2d_projection(maps)
    with timer() as mine:
        cam.METHODS["eigen-cam"](torch.from_numpy(maps), torch.zeros(1, 1, 64, 40, 40))
    return theirs[0], mine[0]


@contextmanager
def timer() -> Iterator[list[float]]:
    taken: list[float] = []
    start = time.process_time()
    yield taken
    taken.append(time.process_time() - start)


def arbitrary_sign() -> Outcome:
    """The share of samples whose Eigen-CAM has the opposite sign of the sum of their (positive) maps."""
    case = small_case(2, batch=20)
    plain = torch.stack([sample.activations[0].sum(0) for sample in closed_forms.samples_of(case)])
    plain = plain - plain.mean((1, 2), keepdim=True)
    theirs = by_pytorch_grad_cam("EigenCAM", case)[:, 0]
    return against(theirs, plain), against(ours(case, "eigen-cam", [0])[:, 0], plain)


def against(maps: Tensor, plain: Tensor) -> float:
    return float(((maps * plain).sum((1, 2)) < 0).float().mean())


def too_few_targets() -> Outcome:
    """Three samples and one target: samples of which the map is all zero."""
    case = small_case(2, batch=3)
    with pytorch_grad_cam.GradCAM(case.network, [case.module]) as explainer:
        maps = explainer(case.x, [ClassifierOutputTarget(0)])
    contenders.forget(case.network)
    mine = outcome_of(lambda: ours(case, "grad-cam", [[0]]))
    return f"{int((maps.max((1, 2)) == 0).sum())} of 3", mine


def epsilon() -> Outcome:
    """At a DenseNet's third block, where gradients are of the size of 1e-4."""
    case = Recipe("", densenet121, (96, 96), "features.denseblock3").case()
    right = closed_forms.maps_of("grad-cam++", case)[:, :5]
    theirs = by_pytorch_grad_cam("GradCAMPlusPlus", case)
    return share_of_range(theirs, right), share_of_range(ours(case, "grad-cam++", range(5)), right)


def ablation_turned_over() -> Outcome:
    """The least correlation with the map of equation (2) before it is divided by the logit."""
    case = small_case(2)
    right = closed_forms.maps_of("ablation-cam", case)
    theirs = by_pytorch_grad_cam("AblationCAM", case)
    return least_correlation(theirs, right), least_correlation(ours(case, "ablation-cam"), right)


def least_correlation(maps: Tensor, right: Tensor) -> float:
    pairs = zip(maps.double().flatten(0, 1).flatten(1), right.flatten(0, 1).flatten(1), strict=True)
    return min(float(torch.corrcoef(torch.stack(pair))[0, 1]) for pair in pairs)


def ablation_value() -> Outcome:
    """Where the least activation is not 0, it sets a channel to the least value less 1e7, not to 0."""
    case = replace(small_case(2, batch=1), layer="bend")
    right = ablated_by_hand(case)
    theirs, mine = by_pytorch_ablation_cam(case), ours(case, "ablation-cam")
    return float(theirs.abs().max() / right.abs().max()), float(mine.abs().max() / right.abs().max())


def ablated_by_hand(case: Case) -> Tensor:
    """Ablation-CAM at `bend`, after which only pooling and a linear layer come."""
    network = case.network
    with torch.no_grad():
        a = network.bend(
            network.head(network.trunk_relu(network.trunk(network.stem_relu(network.stem(case.x)))))
        )
        logits = network(case.x)[0]
        falls = []
        for channel in range(a.shape[1]):
            without = a.clone()
            without[:, channel] = 0
            falls.append(logits - network.fc(network.pool(without).flatten(1))[0] * network.steepness)
    return torch.einsum("ck,chw->khw", torch.stack(falls), a[0])[None]


def network_left_changed() -> Outcome:
    """Modules that are no longer those of before, after its Ablation-CAM has failed on a volume."""
    case = small_case(3, batch=1)
    before = list(case.network.modules())
    outcome_of(partial(by_pytorch_grad_cam, "AblationCAM", case))
    theirs = changed(before, case)
    case = small_case(3, batch=1)
    before = list(case.network.modules())
    outcome_of(lambda: ours(case, "ablation-cam", [99]))
    return theirs, changed(before, case)


def changed(before: list[nn.Module], case: Case) -> int:
    return sum(now is not then for now, then in zip(case.network.modules(), before, strict=True))


def swallowed_error() -> Outcome:
    """A user's IndexError inside the with block: how many of one get out."""
    case = small_case(2, batch=1)
    theirs = outcome_of(partial(raise_inside, case))
    mine = outcome_of(lambda: ours(case, "grad-cam", [99]))
    return f"{theirs}, silently", mine


def raise_inside(case: Case) -> None:
    with pytorch_grad_cam.GradCAM(case.network, [case.module]) as explainer:
        explainer(case.x, [ClassifierOutputTarget(99)])


def frozen() -> Outcome:
    case = small_case(2, batch=1)
    right = ours(case, "grad-cam")
    case.network.requires_grad_(False)
    theirs = outcome_of(partial(by_pytorch_grad_cam, "GradCAM", case))
    return theirs, share_of_range(ours(case, "grad-cam"), right)


def score_cam_masks() -> Outcome:
    """It upsamples corner to corner where its own resize of the map, and the layer, are half-pixel."""
    case = small_case(2, steepness=1.0)
    right = closed_forms.maps_of("score-cam", case)
    mine = share_of_range(ours(case, "score-cam"), right) if "score-cam" in cam.METHODS else None
    return share_of_range(by_pytorch_grad_cam("ScoreCAM", case), right), mine


WRONG = (
    ("D11", "Score-CAM of a volume: error", partial(of_volumes, "ScoreCAM", "score-cam")),
    ("D11", "Ablation-CAM of a volume: error", partial(of_volumes, "AblationCAM", "ablation-cam")),
    (
        "D12",
        "a volume's map resized by a corner-aligned spline: error, share of the range",
        resizing_of_volumes,
    ),
    ("D13", "MB of graph alive between calls, DenseNet121 2D", graph_kept),
    ("D14", "least activation on record at DenseNet121's features", overwritten_activations),
    ("D15", "bfloat16 autocast: error", half_precision),
    ("D16", "Eigen-CAM by a full SVD: seconds for 1,600 places of 64 channels", whole_svd),
    ("D16", "Eigen-CAM's sign is arbitrary: share of 20 samples turned over", arbitrary_sign),
    ("D17", "three samples, one target: maps all zero", too_few_targets),
    ("D22", "frozen parameters: error", frozen),
    (
        "",
        "Grad-CAM++ adds 1e-6 to denominators of the size of g^2: error at DenseNet121's third block",
        epsilon,
    ),
    (
        "",
        "Ablation-CAM divides by the logit: least correlation with the fall of the logit",
        ablation_turned_over,
    ),
    ("", "Ablation-CAM at a SiLU sets channels to -1e7, not 0: size of the map, right = 1", ablation_value),
    ("", "Score-CAM's masks upsampled corner to corner: error", score_cam_masks),
    ("", "Ablation-CAM that fails leaves its layer in the network: modules exchanged", network_left_changed),
    ("", "a class that does not exist: outcome of the with block", swallowed_error),
)
