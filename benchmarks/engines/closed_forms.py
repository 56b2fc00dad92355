"""The equations once more, in numpy and float64, one sample and one class at a time, loops and all.

Independent of the engine: activations and gradients come from plain autograd on a copy of the network.
`A` and `g` are (C, N): channels, places of the grid in one row. Every function returns a map (N,).
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn.functional import interpolate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor, nn

    from benchmarks.engines.networks import Case

MODES = {2: "bilinear", 3: "trilinear"}


@dataclass(frozen=True, eq=False)
class Sample:
    """One sample of a case, in float64, with the gradients of every class at the layer."""

    network: nn.Module
    x: Tensor
    activations: Tensor
    gradients: Tensor
    logits: np.ndarray

    @property
    def grid(self) -> tuple[int, ...]:
        return tuple(self.activations.shape[2:])

    @property
    def A(self) -> np.ndarray:  # noqa: N802
        """(C, N)."""
        return self.activations[0].flatten(1).numpy()

    def g(self, k: int) -> np.ndarray:
        """(C, N): the gradient of class k."""
        return self.gradients[k].flatten(1).numpy()


def samples_of(case: Case) -> list[Sample]:
    """Run a double of the network on each sample, with a hook and one backward pass a class."""
    network = copy.deepcopy(case.network).double()
    return [_sample(network, case.layer, x[None].double()) for x in case.x]


def _sample(network: nn.Module, layer: str, x: Tensor) -> Sample:
    heard: list[Tensor] = []
    handle = network.get_submodule(layer).register_forward_hook(lambda _m, _i, output: heard.append(output))
    logits = network(x)
    handle.remove()
    gradients = [torch.autograd.grad(logit, heard[0], retain_graph=True)[0][0] for logit in logits[0]]
    return Sample(network, x, heard[0].detach(), torch.stack(gradients), logits[0].detach().numpy())


def maps_of(method: str, case: Case) -> Tensor:
    """Return (B, K, *grid) by a closed form."""
    rows = []
    for sample in samples_of(case):
        flat = [FORMS[method](sample, k) for k in range(len(sample.logits))]
        rows.append(torch.from_numpy(np.stack(flat)).reshape(-1, *sample.grid))
    return torch.stack(rows)


def _weigh(weights: np.ndarray, A: np.ndarray) -> np.ndarray:  # noqa: N803
    return (weights[:, None] * A).sum(0)


def cam(sample: Sample, k: int) -> np.ndarray:
    return grad_cam(sample, k) * sample.A.shape[1]


def grad_cam(sample: Sample, k: int) -> np.ndarray:
    return _weigh(sample.g(k).mean(1), sample.A)


def grad_cam_plus_plus(sample: Sample, k: int) -> np.ndarray:
    """Equation 19 of the paper, without any epsilon."""
    A, g = sample.A, sample.g(k)  # noqa: N806
    below = 2 * g**2 + g**3 * A.sum(1, keepdims=True)
    alpha = np.divide(g**2, below, out=np.zeros_like(g), where=below != 0)
    return _weigh((alpha * np.maximum(g, 0)).sum(1), A)


def xgrad_cam(sample: Sample, k: int) -> np.ndarray:
    A = sample.A  # noqa: N806
    above, below = (sample.g(k) * A).sum(1), A.sum(1)
    return _weigh(np.divide(above, below, out=np.zeros_like(above), where=below != 0), A)


def hires_cam(sample: Sample, k: int) -> np.ndarray:
    return (sample.g(k) * sample.A).sum(0)


def element_wise_cam(sample: Sample, k: int) -> np.ndarray:
    return np.maximum(sample.g(k) * sample.A, 0).sum(0)


def layer_cam(sample: Sample, k: int) -> np.ndarray:
    return (np.maximum(sample.g(k), 0) * sample.A).sum(0)


def eigen_cam(sample: Sample, _k: int) -> np.ndarray:
    return _principal(sample.A)


def eigengrad_cam(sample: Sample, k: int) -> np.ndarray:
    return _principal(sample.g(k) * sample.A)


def _principal(rows: np.ndarray) -> np.ndarray:
    _, _, right = np.linalg.svd(rows.T, full_matrices=False)
    return like(rows.T @ right[0], rows.sum(0))


def like(component: np.ndarray, plain: np.ndarray) -> np.ndarray:
    """Turn a component, whose sign means nothing, so that it agrees with `plain`."""
    return component * np.sign(component @ plain)


def kpca_cam(sample: Sample, _k: int) -> np.ndarray:
    A = sample.A  # noqa: N806
    x = A.T - A.T.mean(0)
    kernel = np.tanh(x @ x.T / x.shape[1] + 1)
    centring = np.eye(len(x)) - 1 / len(x)
    values, vectors = np.linalg.eigh(centring @ kernel @ centring)
    return like(vectors[:, -1] * np.sqrt(values[-1]), A.sum(0))


def finer_cam(sample: Sample, k: int) -> np.ndarray:
    """Three likes, strength 0.6."""
    nearest = sorted((abs(y - sample.logits[k]), d) for d, y in enumerate(sample.logits) if d != k)[:3]
    g = sample.g(k) - 0.6 * np.mean([sample.g(d) for _, d in nearest], axis=0)
    return _weigh(g.mean(1), sample.A)


def shapley_cam(sample: Sample, k: int) -> np.ndarray:
    """The Hessian by torch's own double-backward trick, on the head as a function."""
    a = sample.activations
    _, product = torch.autograd.functional.hvp(lambda v: sample.network.after(v)[0, k], a, a)
    return _weigh((sample.g(k) - product[0].flatten(1).numpy() / 2).mean(1), sample.A)


def ablation_cam(sample: Sample, k: int) -> np.ndarray:
    falls = []
    for channel in range(len(sample.A)):
        without = sample.activations.clone()
        without[:, channel] = 0
        with torch.no_grad():
            falls.append(sample.logits[k] - float(sample.network.after(without)[0, k]))
    return _weigh(np.array(falls), sample.A)


def score_cam(sample: Sample, k: int) -> np.ndarray:
    """Masks scaled to 0..1 on the layer's grid, then brought to the image by the half-pixel rule."""
    return is_cam(sample, k, steps=1)


def is_cam(sample: Sample, k: int, steps: int = 10) -> np.ndarray:
    """The same, with scores averaged over masks faded by i / steps."""
    scores = np.array(
        [
            np.mean([_score(sample, channel, k, (i + 1) / steps) for i in range(steps)])
            for channel in sample.activations[0]
        ]
    )
    weights = np.exp(scores - scores.max())
    return _weigh(weights / weights.sum(), sample.A)


def _score(sample: Sample, channel: Tensor, k: int, faded: float) -> float:
    spread = channel.max() - channel.min()
    mask = (channel - channel.min()) / spread if spread > 0 else torch.zeros_like(channel)
    space = sample.x.shape[2:]
    mask = interpolate(mask[None, None], space, mode=MODES[len(space)], align_corners=False)
    with torch.no_grad():
        return float(sample.network(sample.x * mask * faded)[0, k])


def refined(case: Case, layers: Sequence[str]) -> Tensor:
    """RefineCAM: the product of Grad-CAM++ maps of several layers, each a share of its largest value."""
    maps = [maps_of("grad-cam++", replace(case, layer=layer)).relu() for layer in layers]
    finest = max((m.shape[2:] for m in maps), key=lambda grid: grid.numel())
    product = torch.ones(())
    for m in maps:
        share = m / m.flatten(2).amax(-1).reshape(*m.shape[:2], *(1,) * len(finest))
        product = product * interpolate(share, finest, mode=MODES[len(finest)], align_corners=False)
    return product


def rolled_out(case: Case) -> Tensor:
    """Attention rollout of torchvision's transformer: (B, 1, *grid), the class token's row."""
    network = copy.deepcopy(case.network).double()
    with torch.no_grad():
        patches = network._process_input(case.x.double())
        tokens = torch.cat([network.class_token.expand(len(patches), -1, -1), patches], dim=1)
        tokens = tokens + network.encoder.pos_embedding
        rolled = torch.eye(tokens.shape[1]).double()
        for block in network.encoder.layers:
            normed = block.ln_1(tokens)
            attention = block.self_attention(normed, normed, normed, need_weights=True)[1]
            halved = (attention + torch.eye(tokens.shape[1])) / 2
            rolled = halved / halved.sum(-1, keepdim=True) @ rolled
            tokens = block(tokens)
    side = math.isqrt(patches.shape[1])
    return rolled[:, 0, 1:].reshape(len(patches), 1, side, side)


FORMS: dict[str, Callable[[Sample, int], np.ndarray]] = {
    "cam": cam,
    "grad-cam": grad_cam,
    "grad-cam++": grad_cam_plus_plus,
    "xgrad-cam": xgrad_cam,
    "hires-cam": hires_cam,
    "element-wise-cam": element_wise_cam,
    "layer-cam": layer_cam,
    "eigen-cam": eigen_cam,
    "eigengrad-cam": eigengrad_cam,
    "kpca-cam": kpca_cam,
    "finer-cam": finer_cam,
    "shapley-cam": shapley_cam,
    "ablation-cam": ablation_cam,
    "score-cam": score_cam,
    "is-cam": is_cam,
}
