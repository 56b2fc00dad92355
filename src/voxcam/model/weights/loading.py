"""Weights out of a file, into a network: safetensors, or ``.pt`` with ``weights_only=True`` and no fallback."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from voxcam.errors import ClassifierError

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn


def load_weights(network: nn.Module, path: Path) -> None:
    """Load a state dict from safetensors, or from ``.pt`` with ``weights_only=True`` and no fallback.

    Raises
    ------
    ClassifierError
        If the file is damaged, would run code, does not fit the network, or holds NaN or infinity.
    """
    state = _state(path)
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise ClassifierError(f"{path.name} does not fit the network: {_line(error)}") from None
    odd = [name for name, tensor in state.items() if not bool(torch.isfinite(tensor.float()).all())]
    if odd:
        raise ClassifierError(f"{path.name} holds numbers that are not finite, in {odd[0]!r}: it is damaged")


def _state(path: Path) -> dict[str, torch.Tensor]:
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ClassifierError(
            f"{path.name} cannot be read as weights alone ({type(error).__name__}): it is damaged or holds "
            "more than weights; save the state dict as model.safetensors"
        ) from None
    # Trainers often save {"state_dict": ...} or {"model": ...}.
    for key in ("state_dict", "model", "network"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise ClassifierError(f"{path.name} holds no state dict")
    return state


def _line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 200 else text[:197] + "..."
