"""Which file of a bundle holds its weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxcam.errors import ClassifierError

if TYPE_CHECKING:
    from pathlib import Path

    from voxcam.model.bundle.files import BundleFiles

# Best first. All but the first and the last are what torch.save wrote, and are read as weights alone.
WEIGHTS = ("model.safetensors", "model.pt", "model.pth", "model.ckpt", "model.ts")
# TorchScript is a program: loading it takes trust.
TORCHSCRIPT = "model.ts"
# Met in bundles, and not read.
_OTHERS = {
    "model.onnx": "ONNX, a network of another form",
    "model.pt2": "an exported program",
    "model.trt": "TensorRT, made for one graphics card",
    "model.pkl": "a pickle, which is a program",
}


def find_weights(files: BundleFiles) -> Path:
    """Return the file of the weights.

    Raises
    ------
    ClassifierError
        There is none that can be read.
    """
    for name in WEIGHTS:
        if files.has(f"models/{name}"):
            return files.path(f"models/{name}")
    expected = "expected models/model.safetensors or models/model.pt"
    for name, what in _OTHERS.items():
        if files.has(f"models/{name}"):
            raise ClassifierError(f"models/{name} of the bundle is {what}, which is not read: {expected}")
    raise ClassifierError(f"the bundle has no weights: {expected}")
