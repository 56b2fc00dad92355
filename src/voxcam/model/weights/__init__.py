"""Weights, read as numbers alone: nothing a file asks for is imported, called or built.

`load_weights` is the door; `read_checkpoint` and `fit_weights` are its two halves. `digest`, `check_known`,
`is_trusted` and `trust` tell whether a file is one seen, or trusted, before. Importing this loads no torch.
"""

from voxcam.model.weights.checkpoints import Checkpoint, read_checkpoint, read_state
from voxcam.model.weights.digests import digest
from voxcam.model.weights.fitting import fit_weights
from voxcam.model.weights.known import check_known, is_trusted, trust
from voxcam.model.weights.loading import load_weights

__all__ = [
    "Checkpoint",
    "check_known",
    "digest",
    "fit_weights",
    "is_trusted",
    "load_weights",
    "read_checkpoint",
    "read_state",
    "trust",
]
