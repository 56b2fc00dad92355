"""A file of weights as named tensors, read without running, importing or building anything it asks for."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING

from voxcam.errors import ClassifierError
from voxcam.model.weights.apart import read_apart
from voxcam.model.weights.digests import digest_of, plain_digest
from voxcam.model.weights.kinds import kind_of, size_of
from voxcam.model.weights.numbers import read_numbers
from voxcam.model.weights.refusals import Refusal, shown
from voxcam.model.weights.safetensors_header import read_safetensors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

    from voxcam.model.weights.tables import Table


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What a file of weights holds.

    Parameters
    ----------
    state
        The state dict: contiguous tensors on the CPU, in the file's own types, all finite.
    notes
        What was chosen on the way, a line each: under which key the weights lay, what was left alone.
    digest
        SHA-256 of the file they were read from, as 64 hexadecimal digits.
    """

    state: dict[str, Tensor]
    notes: tuple[str, ...]
    digest: str


def read_checkpoint(
    path: str | Path, expected: str | None = None, cancelled: Callable[[], bool] | None = None
) -> Checkpoint:
    """Read the weights of a file; what it is, its first bytes tell, not its name.

    Parameters
    ----------
    path
        Safetensors, or what torch.save writes (``.pt``, ``.pth``, ``.ckpt``, ``.bin``): a state dict, or a
        trainer's dictionary that holds one.
    expected
        The SHA-256 it must have; the numbers come from the very file that was summed.
    cancelled
        Asked about ten times a second; once it returns True, nothing more is read.

    Raises
    ------
    UntrustedCodeError
        If reading it would run code: TorchScript, a pickled network, a pickle that calls anything.
    ClassifierError
        If it is no such file, is damaged, claims more than it holds, holds a number that is not finite, or is
        not the one expected.
    Cancelled
        If `cancelled` returned True.
    """
    place = Path(path)
    try:
        with _opened(place) as file:
            before = os.fstat(file.fileno())
            summed = digest_of(file, cancelled)
            _check_digest(summed, expected)
            table = _table(file, cancelled)
            state = read_numbers(file, table, cancelled)
            _check_unchanged(before, os.fstat(file.fileno()))
    except Refusal as refusal:
        raise refusal.of(place.name) from None
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise ClassifierError(f"{shown(place.name)} cannot be read: {reason}") from None
    except MemoryError:
        raise ClassifierError(f"{shown(place.name)} needs more memory than there is") from None
    return Checkpoint(state, table.notes, summed)


def read_state(path: str | Path, cancelled: Callable[[], bool] | None = None) -> dict[str, Tensor]:
    """Return the state dict of a file, as `read_checkpoint` does.

    Raises
    ------
    ClassifierError, UntrustedCodeError, Cancelled
        As `read_checkpoint` does.
    """
    return read_checkpoint(path, cancelled=cancelled).state


@contextmanager
def _opened(place: Path) -> Iterator[FileIO]:
    """Open a plain file, unbuffered: a child that reads it too moves the position both have."""
    _check_plain(place.stat())
    with FileIO(place) as file:
        _check_plain(os.fstat(file.fileno()))
        yield file


def _check_plain(status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise Refusal("is a folder: expected the file of weights in it, or a bundle's folder as the bundle")
    if not stat.S_ISREG(status.st_mode):
        raise Refusal("is no plain file: expected a file of weights")


def _check_digest(found: str, expected: str | None) -> None:
    if expected is not None and found != plain_digest(expected):
        raise Refusal(f"is not the file expected: sha256:{plain_digest(expected)}; found sha256:{found}")


def _table(file: FileIO, cancelled: Callable[[], bool] | None) -> Table:
    if kind_of(file, size_of(file)) == "safetensors":
        return read_safetensors(file)
    return read_apart(file, cancelled)


def _check_unchanged(before: os.stat_result, after: os.stat_result) -> None:
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise Refusal("changed while it was read: read it again when it is whole")
