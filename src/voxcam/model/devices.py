"""Where the network runs."""

from __future__ import annotations

import torch

from voxcam.errors import ClassifierError


def choose_device(asked: str = "auto") -> torch.device:
    """Return the device asked for: "auto", "cpu", "cuda", "cuda:1", "mps".

    "auto" is CUDA where there is one, else the CPU. Apple's MPS lacks some 3D operations and is taken
    only when asked for.

    Raises
    ------
    ClassifierError
        If this machine has no such device.
    """
    if asked == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, number = asked.partition(":")
    there = {
        "cpu": 1,
        "cuda": torch.cuda.device_count() if torch.cuda.is_available() else 0,
        "mps": int(torch.backends.mps.is_available()),
    }
    if kind not in there or (number and not number.isdigit()):
        raise ClassifierError(f"no device is called {asked!r}: expected auto, cpu, cuda, cuda:N or mps")
    if int(number or 0) >= there[kind]:
        raise ClassifierError(f"this machine has no device {asked!r}; --device auto takes what there is")
    return torch.device(asked)
