"""Rules that say where the units of a layer look: per axis (stride, offset) in input voxels.

The default of VoxCAM, `voxcam.cam.placement`, is one of them; those that lost stay here.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from voxcam import cam
from voxcam.cam.placement import usual_centres

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Centres = list[tuple[float, float]]

LANDMARKS = 48
_STEPS = (
    nn.Conv2d | nn.Conv3d | nn.MaxPool2d | nn.MaxPool3d | nn.AvgPool2d | nn.AvgPool3d
    | nn.ConstantPad2d | nn.ConstantPad3d | nn.ZeroPad2d
)  # fmt: skip
_SIDE_BRANCHES = ("downsample", "project")


def theoretical(network: nn.Module, images: Tensor, layer: str) -> Centres:
    """The middle of the receptive field, from kernels, strides and paddings along the main path."""
    found: list[nn.Module] = []

    def note(module: nn.Module, _args: object, output: Tensor) -> None:
        if max(output.shape[2:]) > 1:  # else it belongs to a squeeze-and-excitation
            found.append(module)

    path: list[nn.Module] = []
    with ExitStack() as hooks:
        for name, module in network.named_modules():
            if isinstance(module, _STEPS) and not any(word in name for word in _SIDE_BRANCHES):
                hooks.callback(module.register_forward_hook(note).remove)
        hooks.enter_context(watched(network, layer, lambda _: path.extend(found)))
        with torch.no_grad():
            network(images[:1])
    centres = []
    for axis in range(images.ndim - 2):
        jump, offset = 1.0, 0.0
        for module in path:
            kernel, stride, before = _step(module, axis, images.ndim - 2)
            offset += jump * ((kernel - 1) / 2 - before)
            jump *= stride
        centres.append((jump, offset))
    return centres


def gradient_energy(network: nn.Module, images: Tensor, layer: str, seed: int) -> Centres:
    """A line through the centres of squared input gradients of some units away from the border."""
    random = np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(seed)
    units, places = [], []
    outputs: list[Tensor] = []
    for image in images:
        seen = image[None].clone().requires_grad_()
        with watched(network, layer, outputs.append):
            network(seen)
        output = outputs.pop()[0]
        for _ in range(6):
            unit = [int(random.integers(n // 4, n - n // 4)) for n in output.shape[1:]]
            weights = torch.randn(len(output), generator=generator)
            value = (weights * output[(slice(None), *unit)]).sum()
            energy = torch.autograd.grad(value, seen, retain_graph=True)[0][0].square().sum(0)
            units.append(unit)
            places.append(half_centres(energy[None], share=0)[0])
    u, p = np.array(units, float), np.array(places)
    grid = output.shape[1:]
    centres = []
    for axis, (stride, _) in enumerate(usual_centres(images.shape[2:], grid)):
        if len(np.unique(u[:, axis])) > 1:
            stride = max(np.polyfit(u[:, axis], p[:, axis], 1)[0], 1e-3)
        centres.append((float(stride), float(np.mean(p[:, axis] - stride * u[:, axis]))))
    return centres


@dataclass(frozen=True)
class Answers:
    """Places of landmarks in voxels (n, axes), and of the answers in units: by evidence and by energy."""

    places: np.ndarray
    evidence: np.ndarray
    energy: np.ndarray


def answers(network: nn.Module, images: Tensor, layer: str, seed: int) -> Answers:
    """Plant blobs, bright and dark by turns, and see where the layer changes."""
    random = np.random.default_rng(seed)
    space = images.shape[2:]
    places, evidence, energy = [], [], []
    for start in range(0, LANDMARKS, 8):
        image = images[start // 8 % len(images)][None]
        at = np.stack([random.uniform(size / 8, size * 7 / 8 - 1, 8) for size in space], axis=1)
        blobs = [
            _blob(space, place, max(2.0, min(space) / (32, 20)[n % 4 // 2])) for n, place in enumerate(at)
        ]
        signs = torch.tensor([1.0, -1.0] * 4).reshape(-1, *(1,) * (image.ndim - 1))
        planted = image + signs * 3 * image.std() * torch.stack(blobs)[:, None]
        seen = cam.capture(network, torch.cat([image, planted]), layer)
        change = seen.activations[layer][1:] - seen.activations[layer][:1]
        raised = (seen.logits[1:] - seen.logits[:1]).argmax(1)
        weights = seen.gradients[layer].flatten(3).mean(3)
        weights = (weights[1:][torch.arange(8), raised] + weights[0, raised]) / 2
        by_class = (weights.reshape(*weights.shape, *(1,) * len(space)) * change).sum(1)
        places.append(at)
        evidence.append(half_centres(by_class))
        energy.append(half_centres(change.square().sum(1)))
    return Answers(*(np.concatenate(found) for found in (places, evidence, energy)))


def shifted(places: np.ndarray, units: np.ndarray, strides: list[float]) -> Centres:
    """Keep the strides, and take the median offset."""
    good = np.isfinite(units).all(1)
    away = places[good] - units[good] * strides
    return [(stride, float(offset)) for stride, offset in zip(strides, np.median(away, 0), strict=True)]


def line(places: np.ndarray, units: np.ndarray, strides: list[float]) -> Centres:
    """Fit stride and offset by Theil and Sen: medians of slopes and of what is left."""
    good = np.isfinite(units).all(1)
    places, units = places[good], units[good]
    first, second = np.triu_indices(len(places), 1)
    fitted = []
    for axis, stride in enumerate(strides):
        steps = units[second, axis] - units[first, axis]
        far = np.abs(steps) > 0.5
        slopes = (places[second, axis] - places[first, axis])[far] / steps[far]
        slope = float(np.median(slopes)) if len(slopes) else stride
        fitted.append(slope if slope > 0 else stride)
    return shifted(places, units, fitted)


def half_centres(maps: Tensor, share: float = 0.5) -> np.ndarray:
    """Return (n, axes): the centre of the positive values above a share of each map's maximum, by index."""
    maps = maps.double().clamp(min=0)
    over = (maps - share * maps.flatten(1).amax(1).reshape(-1, *(1,) * (maps.ndim - 1))).clamp(min=0)
    axes = torch.meshgrid(*(torch.arange(size) for size in maps.shape[1:]), indexing="ij")
    over, places = over.flatten(1), torch.stack([axis.flatten() for axis in axes], 1).double()
    return (over @ places / over.sum(1, keepdim=True)).numpy()


@contextmanager
def watched(network: nn.Module, layer: str, use: Callable[[Tensor], object]) -> Iterator[None]:
    """Hand what `layer` puts out to `use`; ``"relu@2"`` is the second call of a layer."""
    name, _, call = layer.partition("@")
    calls = count(1)

    def hook(_module: nn.Module, _args: object, output: Tensor) -> None:
        if next(calls) == int(call or 1):
            use(output)

    handle = network.get_submodule(name).register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def _blob(space: torch.Size, place: np.ndarray, deviation: float) -> Tensor:
    axes = torch.meshgrid(*[torch.arange(float(size)) for size in space], indexing="ij")
    return torch.exp(-sum((a - p) ** 2 for a, p in zip(axes, place, strict=True)) / 2 / deviation**2).float()


def _step(module: nn.Module, axis: int, rank: int) -> tuple[float, float, float]:
    """Return kernel, stride and padding before, along an axis."""
    if hasattr(module, "kernel_size"):
        kernel, stride, padding = (
            value if isinstance(value, int) else value[axis]
            for value in (module.kernel_size, module.stride, module.padding)
        )
        return kernel, stride, padding
    return 1, 1, module.padding[2 * (rank - 1 - axis)]
