"""Measure seconds, memory, and what autograd saves."""

from __future__ import annotations

import ctypes
import gc
import statistics
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

MMAP_THRESHOLD = -3
"""glibc's number for the size from which memory is mapped by itself."""
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass
class Clock:
    """Process CPU and wall seconds of runs that take turns, round by round."""

    cpu: dict[str, list[float]] = field(default_factory=dict)
    wall: dict[str, list[float]] = field(default_factory=dict)

    def take(self, runs: Mapping[str, Callable[[], object]], rounds: int = 1) -> None:
        """Run each of `runs` once a round, in an order that rotates."""
        names = list(runs)
        for turn in range(rounds):
            first = turn % len(names)
            for name in names[first:] + names[:first]:
                self._one(name, runs[name])

    def _one(self, name: str, run: Callable[[], object]) -> None:
        gc.collect()
        wall, cpu = time.perf_counter(), time.process_time()
        run()
        self.cpu.setdefault(name, []).append(time.process_time() - cpu)
        self.wall.setdefault(name, []).append(time.perf_counter() - wall)

    def multiply(self, name: str, times: float) -> None:
        """Count every run of `name` as `times` runs."""
        self.cpu[name] = [seconds * times for seconds in self.cpu[name]]
        self.wall[name] = [seconds * times for seconds in self.wall[name]]

    def seconds(self, name: str) -> float:
        """Return the median process CPU seconds."""
        return statistics.median(self.cpu[name])

    def ratio(self, name: str, unit: str, *, wall: bool = False) -> float:
        """Return `name` in units of `unit`, CPU or wall seconds: turn by turn where both took as many."""
        times = self.wall if wall else self.cpu
        if len(times[name]) == len(times[unit]):
            return statistics.median(a / b for a, b in zip(times[name], times[unit], strict=True))
        return statistics.median(times[name]) / statistics.median(times[unit])


def saved_megabytes(run: Callable[[], object]) -> float:
    """Return what autograd saves while `run` runs, each piece of memory once, parameters not counted."""
    sizes: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        if not isinstance(tensor, nn.Parameter):
            storage = tensor.untyped_storage()
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        run()
    return sum(sizes.values()) / 1e6


def peak_megabytes(run: Callable[[], object]) -> float:
    """Return by how much resident memory peaks over where it stood before `run`; best in a fresh process."""
    gc.collect()
    before = _resident_or_peak()
    run()
    return _peak() - before


def give_back_at_once() -> None:
    """Tell the C library to return what is freed to the system at once: peaks are then of what is alive.

    By default it keeps pieces, others in every run. Other systems are left as they are.
    """
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(MMAP_THRESHOLD, 2**16)


def resident_megabytes() -> float:
    """Return the resident memory now, where the system tells it; else the peak so far."""
    return _from_status("VmRSS:") if STATUS.exists() else _peak()


def _resident_or_peak() -> float:
    """Set the peak back to what is resident now, where the system can, and return it."""
    if not CLEAR.exists():
        return _peak()
    CLEAR.write_text("5")
    return _from_status("VmRSS:")


def _peak() -> float:
    # ru_maxrss of a child starts at its parent's peak, VmHWM does not.
    if STATUS.exists():
        return _from_status("VmHWM:")
    import resource  # not on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def _from_status(name: str) -> float:
    lines: Iterator[str] = iter(STATUS.read_text().splitlines())
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1e3
