"""Class activation maps of any `torch.nn.Module`, 2D and 3D, every class and method from one pass.

Needs torch alone. `class_maps` is the door. `rank_layers` says where a map is worth making, `plan` and
`predict_bytes` what it will cost, `measure_placement` where in the input its units look.
"""

from __future__ import annotations

from voxcam.cam.asking.planning import Plan, plan
from voxcam.cam.capture import Capture, capture
from voxcam.cam.engine import class_maps
from voxcam.cam.layers import Layer, Ranking, candidate_layers, default_layer, rank_layers
from voxcam.cam.maps import Maps, flag_of
from voxcam.cam.memory.budget import is_out_of_memory, predict_bytes
from voxcam.cam.memory.ladder import Ladder
from voxcam.cam.methods import (
    FUSION,
    METHODS,
    PASSES,
    is_on_layer_grid,
    known_methods,
    known_options,
    looks_inside,
    options_of,
    passes_of,
    unit_of,
)
from voxcam.cam.placement import LANDMARKS, Placement, measure_placement, unit_centres, usual_centres
from voxcam.cam.tracing.heads import SAME_MAP
from voxcam.cam.upsampling import Upsampled, upsample

__all__ = [
    "FUSION",
    "LANDMARKS",
    "METHODS",
    "PASSES",
    "SAME_MAP",
    "Capture",
    "Ladder",
    "Layer",
    "Maps",
    "Placement",
    "Plan",
    "Ranking",
    "Upsampled",
    "candidate_layers",
    "capture",
    "class_maps",
    "default_layer",
    "flag_of",
    "is_on_layer_grid",
    "is_out_of_memory",
    "known_methods",
    "known_options",
    "looks_inside",
    "measure_placement",
    "options_of",
    "passes_of",
    "plan",
    "predict_bytes",
    "rank_layers",
    "unit_centres",
    "unit_of",
    "upsample",
    "usual_centres",
]
