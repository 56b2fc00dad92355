"""Grad-CAM of 14 classes on MONAI's DenseNet121: ours and others, in units of one plain forward pass.

    python benchmarks/cam_speed.py [--repeats 7] [--threads 1] [--device cpu] [--layer NAME]

All contenders run in turn, several rounds over, so that a busy machine slows them alike; figures are
medians over the rounds. Read the ratios, not the seconds. Libraries that are not installed are named.
"saved MB" is what autograd saves for one backward pass, a measure of memory that any machine can take.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import time
from collections.abc import Callable

import torch
from monai.networks.nets import DenseNet121
from monai.visualize import GradCAM
from torch import Tensor, nn

from voxcam import cam

CLASSES = 14
INPUTS = {"2D 320 x 320": (1, 1, 320, 320), "3D 32 x 64 x 64": (1, 1, 32, 64, 64)}
Run = Callable[[], object]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--repeats", type=int, default=7)
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--device", default="cpu")
    options.add_argument("--layer", default="class_layers.relu")
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    for title, shape in INPUTS.items():
        torch.manual_seed(0)
        network = DenseNet121(spatial_dims=len(shape) - 2, in_channels=1, out_channels=CLASSES)
        network = network.to(chosen.device).eval()
        compare(title, network, torch.randn(shape, device=chosen.device), chosen)


def compare(title: str, network: nn.Module, x: Tensor, chosen: argparse.Namespace) -> None:
    """Print a table of the contenders on one network and input."""
    runs = contenders(network, x, chosen.layer)
    print(f"\n{title}, {CLASSES} classes, at {chosen.layer}, {chosen.device}, {chosen.threads} thread(s)")
    for name in ("pytorch_grad_cam", "torchcam"):
        if importlib.util.find_spec(name) is None:
            print(f"  {name} is not installed")
    figures = in_turn(runs, chosen.repeats, chosen.device)
    plain = figures["one plain forward pass"]
    print(f"  {'':44}{'CPU s':>8}{'x plain':>9}{'wall s':>9}{'x plain':>9}{'saved MB':>10}")
    for name, (cpu, wall) in figures.items():
        # A name that ends in "x 14" keeps its graph 14 times, but not at the same time.
        saved = saved_bytes(runs[name]) / 1e6 / (CLASSES if name.endswith(f"x {CLASSES}") else 1)
        ratios = f"{cpu:8.3f}{cpu / plain[0]:9.2f}{wall:9.3f}{wall / plain[1]:9.2f}"
        print(f"  {name:44}{ratios}{saved:10.2f}")


def contenders(network: nn.Module, x: Tensor, layer: str) -> dict[str, Run]:
    """Name what is compared: each gives the maps of every class."""

    def plain() -> Tensor:
        with torch.no_grad():
            return network(x)

    runs: dict[str, Run] = {
        "one plain forward pass": plain,
        "voxcam grad-cam": lambda: cam.class_maps(network, x, layer),
        "voxcam grad-cam, upsampled": lambda: cam.upsample(
            cam.class_maps(network, x, layer)["grad-cam"], x.shape[2:]
        ),
        "voxcam five methods": lambda: cam.class_maps(
            network, x, layer, [name for name in cam.METHODS if name != "cam"]
        ),
        f"MONAI GradCAM x {CLASSES}": lambda: monai(network, x, layer),
    }
    if importlib.util.find_spec("pytorch_grad_cam"):
        runs[f"pytorch-grad-cam x {CLASSES}"] = lambda: pytorch_grad_cam(network, x, layer)
    if importlib.util.find_spec("torchcam"):
        runs[f"torch-cam, one pass, {CLASSES} backward"] = lambda: torch_cam(network, x, layer)
    return runs


def monai(network: nn.Module, x: Tensor, layer: str) -> list[Tensor]:
    explainer = GradCAM(network, layer)
    maps = [explainer(x, class_idx=k) for k in range(CLASSES)]
    forget(network)
    return maps


def pytorch_grad_cam(network: nn.Module, x: Tensor, layer: str) -> list[object]:
    from pytorch_grad_cam import GradCAM as TheirGradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    with TheirGradCAM(network, [network.get_submodule(layer)]) as explainer:
        return [explainer(x, [ClassifierOutputTarget(k)]) for k in range(CLASSES)]


def torch_cam(network: nn.Module, x: Tensor, layer: str) -> list[list[Tensor]]:
    from torchcam.methods import GradCAM as TheirGradCAM

    with TheirGradCAM(network, layer) as explainer:
        logits = network(x)
        return [explainer(k, logits, normalized=False, retain_graph=True) for k in range(CLASSES)]


def forget(network: nn.Module) -> None:
    """Take off the hooks and gradients that MONAI leaves, or they would slow whoever comes next."""
    for module in network.modules():
        module._forward_hooks.clear()
        module._backward_hooks.clear()
        module._backward_pre_hooks.clear()
    network.zero_grad(set_to_none=True)


def in_turn(runs: dict[str, Run], repeats: int, device: str) -> dict[str, tuple[float, float]]:
    """Return the median process CPU and wall seconds of each."""
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for _ in range(repeats + 1):
        for name, run in runs.items():
            cpu, wall = time.process_time(), time.perf_counter()
            run()
            if device.startswith("cuda"):
                torch.cuda.synchronize()
            seconds[name].append((time.process_time() - cpu, time.perf_counter() - wall))
    return {
        name: (statistics.median(c for c, _ in rows[1:]), statistics.median(w for _, w in rows[1:]))
        for name, rows in seconds.items()
    }


def saved_bytes(run: Run) -> int:
    """Return what autograd saves while `run` runs, the parameters not counted."""
    sizes: list[int] = []

    def note(tensor: Tensor) -> Tensor:
        if not isinstance(tensor, nn.Parameter):
            sizes.append(tensor.nbytes)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        run()
    return sum(sizes)


if __name__ == "__main__":
    main()
