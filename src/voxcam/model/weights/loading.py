"""Weights out of a file, into a network: all of them or none, and nothing runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from voxcam.errors import ClassifierError
from voxcam.model.weights.checkpoints import read_checkpoint
from voxcam.model.weights.fitting import fit_weights
from voxcam.model.weights.refusals import shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn


def load_weights(
    network: nn.Module,
    path: str | Path,
    expected: str | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> tuple[str, ...]:
    """Read a file of weights as `read_checkpoint` does and put them into a network as `fit_weights` does.

    Returns
    -------
        What was chosen and converted on the way, a line each.

    Raises
    ------
    ClassifierError
        If the file would run code, is damaged, or does not fit the network, which then is as it was.
    Cancelled
        If `cancelled` returned True.
    """
    checkpoint = read_checkpoint(path, expected, cancelled)
    try:
        return (*checkpoint.notes, *fit_weights(network, checkpoint.state))
    except ClassifierError as error:
        raise ClassifierError(f"{shown(Path(path).name)}: {error}") from None
