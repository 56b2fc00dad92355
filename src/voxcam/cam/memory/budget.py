"""Memory: whether an error means that it ran out, how much a map will need, and how much is free."""

from __future__ import annotations

import errno
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from voxcam.errors import Cancelled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

_MEMINFO = Path("/proc/meminfo")
_OUT_OF_MEMORY = re.compile(
    r"DefaultCPUAllocator: (can't allocate|not enough) memory"
    r"|Cannot allocate memory"  # what the system says for ENOMEM
    r"|(CUDA|HIP|XPU|C10|MPS backend) out of memory"
    r"|(CUDA|HIP|CUDA driver) error: out of memory"
    r"|Invalid buffer size: "  # MPS, for one tensor larger than it can hold
    r"|[A-Z]+_(STATUS_)?(INTERNAL_ERROR_(HOST|DEVICE)_)?ALLOC(ATION)?_FAILED"  # CUBLAS, CUDNN, CUFFT, ...
    r"|^std::bad_alloc$",
    re.IGNORECASE,
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error`, or what it was raised from, means that an allocator had no more to give.

    By type (`torch.OutOfMemoryError`, `MemoryError`, ENOMEM) or by the allocators' own words, which
    torch and the libraries below it raise as a plain `RuntimeError`. What may have another cause is
    none: an illegal memory access, a shape too large to count, cuDNN without an algorithm.
    """
    if not isinstance(error, Exception) or isinstance(error, Cancelled):
        return False
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    if isinstance(error, RuntimeError) and _OUT_OF_MEMORY.search(str(error)):
        return True
    return error.__cause__ is not None and is_out_of_memory(error.__cause__)


@dataclass(frozen=True)
class Prediction:
    """What `voxcam.cam.class_maps` will need at a time, in bytes.

    Attributes
    ----------
    parameters
        The network's parameters and buffers, which are there already.
    activations
        The largest set of tensors alive at once in the forward pass, the inputs included.
    head
        What is left of it: the inputs, what the layers put out, and what autograd keeps from there on.
    gradients
        What is added while classes are differentiated, a chunk at a time, and one method's maps.
    """

    parameters: int
    activations: int
    head: int
    gradients: int

    @property
    def total(self) -> int:
        """The peak: parameters, and the larger of the forward pass and the gradients after it."""
        return self.parameters + max(self.activations, self.head + self.gradients)


def predict_bytes(
    network: nn.Module,
    inputs: Tensor,
    layers: str | Sequence[str],
    classes: Sequence[int] | Sequence[Sequence[int]] | Tensor | None = None,
    chunk: int | None = None,
) -> Prediction:
    """Predict what the gradient methods of `class_maps` will need, without running the network.

    One pass goes through stand-ins without memory (torch's fake tensors). Where a network cannot run on
    them, because it reads values or knows only real memory, one sample goes through for real.

    Counted are the tensors that torch's operations put out; not what they use inside (cuDNN's workspaces,
    copies in another memory format), nor what methods do that ask the network again (score-cam, occlusion).
    `total` was 0.97 to 1.00 of what torch took from the CPU's allocator for MONAI's ResNet and DenseNet, 2D
    and 3D, 0.8 for EfficientNet, and 0.45 where layers have 4 channels, which oneDNN pads to 16. Memory that
    lies in fragments comes on top: up to 1.3 times, in what the system counted.

    Parameters
    ----------
    network, layers, classes, chunk
        As in `class_maps`; no layers for a forward pass alone.
    inputs
        (B, C, *space); only shape and dtype matter, unless the network needs real values.

    Raises
    ------
    ExplainError
        A layer is unknown, or what is put out is not logits.
    """
    # Here, for these need `is_out_of_memory`.
    from voxcam.cam.memory.alive import one_pass
    from voxcam.cam.tracing.gradients import CHUNK_BYTES

    found = one_pass(network, inputs, (layers,) if isinstance(layers, str) else layers)
    asked = found.classes if classes is None else torch.as_tensor(classes).shape[-1]
    together = chunk or max(1, CHUNK_BYTES // max(1, found.outputs))
    together = 1 if found.linear_head else min(asked, together)
    weights = [*network.parameters(), *network.buffers()]
    storages = {weight.untyped_storage()._cdata: weight.untyped_storage().nbytes() for weight in weights}
    gradients = together * found.gradient + asked * found.maps
    return Prediction(sum(storages.values()), found.peak, found.held, gradients)


def free_bytes(device: torch.device | str) -> int | None:
    """Return how many bytes can still be had on `device`; None where nothing tells.

    On CUDA what torch holds in its cache counts as free. On the CPU it is what the system could give
    without swapping, whatever limit a container sets.
    """
    device = torch.device(device)
    if device.type == "cuda":
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + cached
    if device.type == "mps":
        return max(0, torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    return _free_bytes_of_the_system() if device.type == "cpu" else None


def _free_bytes_of_the_system() -> int | None:
    try:
        for line in _MEMINFO.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:  # not Linux
        pass
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows, macOS
        return None
