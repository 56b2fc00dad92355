"""MONAI's transforms, built from what a bundle writes, and run one by one with the affine followed."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from voxcam.core.geometry import LETTERS
from voxcam.errors import ClassifierError
from voxcam.model.preprocessing.following import followed

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from voxcam.model.preprocessing.written import Written

# Said in the words of a step only where they are not as by default.
_SETTINGS = ("mode", "padding_mode", "align_corners", "dtype", "anti_aliasing")


@dataclass(frozen=True, eq=False)
class Step:
    """One transform, ready to run.

    Parameters
    ----------
    written
        What the bundle asks for.
    words
        The same in words, for the provenance.
    transform
        MONAI's.
    """

    written: Written
    words: str
    transform: Callable[[Any], Any]


def built(written: Written) -> Step:
    """Return the step with its transform built.

    Raises
    ------
    ClassifierError
        If MONAI does not take the arguments.
    """
    return Step(written, _words(written), transform_of(written))


def transform_of(written: Written, **changes: Any) -> Callable[[Any], Any]:
    """Return MONAI's transform; `changes` replace arguments."""
    import monai.transforms

    if written.joined:
        together: Callable[[Any], Any] = monai.transforms.Compose(
            [transform_of(one) for one in written.joined], lazy=True
        )
        return together
    arguments = _adapted(written) | changes
    try:
        found: Callable[[Any], Any] = getattr(monai.transforms, written.name)(**arguments)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise ClassifierError(
            f"transform {written.name} cannot be built from {written.arguments}: {reason}"
        ) from error
    return found


def run(step: Step, image: torch.Tensor, affine: NDArray[np.float64]) -> tuple[torch.Tensor, Any]:
    """Return the image after `step`, and the map from index after it to index before; None if not followed.

    Parameters
    ----------
    image
        Shape (channels, *spatial).
    affine
        Homogeneous, of the spatial axes.

    Raises
    ------
    ClassifierError
        If the step fails on it.
    """
    return run_transform(step, step.transform, image, affine)


def run_transform(
    step: Step, transform: Callable[[Any], Any], image: torch.Tensor, affine: NDArray[np.float64]
) -> tuple[torch.Tensor, Any]:
    """Return the same with `transform` in the place of the step's own."""
    from monai.data import MetaTensor

    before = MetaTensor(image, affine=torch.tensor(affine))
    try:
        # A copy where values are changed: some of MONAI's transforms write into what they are given.
        after = transform(before.clone() if step.written.entry.kind == "intensity" else before)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise ClassifierError(f"preprocessing step {step.words} failed on this volume: {reason}") from error
    found = followed(step.written.name, transform, step.written.entry.kind, before, after)
    return torch.as_tensor(plain(after)).float(), found


def plain(image: Any) -> Any:
    """Return what MONAI gave without its metadata."""
    return image.as_tensor() if hasattr(image, "as_tensor") else image


def _adapted(written: Written) -> dict[str, Any]:
    """Return the arguments as the constructor wants them."""
    arguments = dict(written.arguments)
    if written.name == "Orientation":  # letters are of our RAS world, whatever MONAI's default becomes
        arguments.setdefault("labels", LETTERS)
    if written.name == "Affine":
        arguments["image_only"] = True  # else the array form returns a pair
        if arguments.get("affine") is not None:
            arguments["affine"] = np.array(arguments["affine"], dtype=np.float64)
    if written.name == "Spacing":
        # With it MONAI forgets where the volume lies: off by its whole distance from the origin.
        arguments.pop("recompute_affine", None)
    return arguments


def _words(written: Written) -> str:
    if written.joined:
        return "interpolated once: " + ", ".join(_words(one) for one in written.joined)
    said = [
        f"{key}={value}"
        for key, value in written.arguments.items()
        if not _is_default(written.name, key, value)
    ]
    return f"{written.name}({', '.join(said)})"


def _is_default(name: str, argument: str, value: Any) -> bool:
    import monai.transforms

    if argument not in _SETTINGS:
        return False
    parameters = inspect.signature(getattr(monai.transforms, name)).parameters
    return argument in parameters and str(parameters[argument].default) == str(value)
