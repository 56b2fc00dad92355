"""Class activation maps of any `torch.nn.Module`, 2D and 3D, every class and method from one pass.

Needs torch alone. `class_maps` is the door; `capture` and `METHODS` are its two halves.
"""

from __future__ import annotations

from voxcam.cam.capture import Capture, capture
from voxcam.cam.layers import Layer, candidate_layers, default_layer
from voxcam.cam.maps import Maps, class_maps
from voxcam.cam.methods import METHODS, Method
from voxcam.cam.upsampling import upsample

__all__ = [
    "METHODS",
    "Capture",
    "Layer",
    "Maps",
    "Method",
    "candidate_layers",
    "capture",
    "class_maps",
    "default_layer",
    "upsample",
]
