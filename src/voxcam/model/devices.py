"""Where the network runs, and on how many threads."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from voxcam.errors import ClassifierError

if TYPE_CHECKING:
    from collections.abc import Callable

# Of control groups (containers): quota and period of processor time in microseconds, or "max".
_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")


def choose_device(asked: str = "auto", works: Callable[[torch.device], bool] | None = None) -> torch.device:
    """Return the device asked for: "auto", "cpu", "cuda", "cuda:1", "mps".

    Parameters
    ----------
    works
        Whether the network runs on a device. "auto" is the first of CUDA, Apple's MPS and the CPU that is
        there and where it does: MPS lacks some 3D operations.

    Raises
    ------
    ClassifierError
        If this machine has no such device.
    """
    there = _there()
    if asked == "auto":
        found = [torch.device(kind) for kind in ("cuda", "mps") if there[kind]]
        return next((device for device in found if works is None or works(device)), torch.device("cpu"))
    kind, _, number = asked.partition(":")
    if kind not in there or (number and not number.isdigit()):
        raise ClassifierError(f"no device is called {asked!r}: expected auto, cpu, cuda, cuda:N or mps")
    if int(number or 0) >= there[kind]:
        raise ClassifierError(f"this machine has no device {asked!r}; --device auto takes what there is")
    return torch.device(asked)


def settle_threads() -> int:
    """Have torch compute on as many threads as this process may use at once; return how many.

    torch counts the machine's cores, not those that a container or a scheduler lends: more threads than
    that get in each other's way. For programs, not for libraries: the setting is the process's.
    """
    threads = min(usable_cores(), torch.get_num_threads())
    torch.set_num_threads(threads)
    return threads


def usable_cores() -> int:
    """Return how many cores this process may use, at least 1: by its affinity, and its group's quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, _quota(cores)))


def _there() -> dict[str, int]:
    return {
        "cpu": 1,
        "cuda": torch.cuda.device_count() if torch.cuda.is_available() else 0,
        "mps": int(torch.backends.mps.is_available()),
    }


def _quota(cores: int) -> int:
    try:
        quota, period = _CPU_MAX.read_text().split()
        return cores if quota == "max" else max(1, int(quota) // int(period))
    except (OSError, ValueError, ZeroDivisionError):
        return cores
