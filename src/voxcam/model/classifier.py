"""A classifier: a network with its classes, preprocessing and way over a volume."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from scipy.special import expit, softmax

from voxcam import cam
from voxcam.core.explanation import Windows
from voxcam.errors import ClassifierError
from voxcam.model.networks import input_channels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from voxcam.core.volume import Volume
    from voxcam.model.preprocessing import Prepared, Preprocessing
    from voxcam.model.tiling import Start, Tiling

Activation = Literal["softmax", "sigmoid"]

# Voxels of one batch of windows: 32 windows of 40^3, or 32 slices of 256^2.
BATCH_VOXELS = 2**21


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the classifier answers.

    Parameters
    ----------
    scores, logits
        Class name to probability 0..1 and to raw output, of the whole study.
    windows
        The scores of each window or slice; None if the network saw the volume whole.
    """

    scores: dict[str, float]
    logits: dict[str, float]
    windows: Windows | None


@dataclass(frozen=True, eq=False)
class Classifier:
    """A trained network and all it needs to read a study.

    Parameters
    ----------
    name
        What it calls itself.
    network
        In eval mode, on `device`; maps a batch of windows to (n, classes) logits.
    classes
        Names in the order of the outputs.
    preprocessing, tiling
        How a volume becomes the network's windows.
    activation
        "softmax" (one class is true) or "sigmoid" (each class by itself).
    background
        Index of the softmax class that means "nothing found", or None.
    default_layer
        Module whose maps are shown unless another is asked for.
    modality, unit
        What it was trained on; "" if not stated.
    input_shape
        Spatial shape of its input, where stated.
    digests
        SHA-256 of the weights, of the configuration and the metadata, and "fingerprint" over them.
    card
        What its bundle says of itself.
    unused
        Sections of its bundle that nothing reads or runs.
    placements
        Where the units of a (layer, window) look, as far as it was measured; see `voxcam.model.placing`.
    """

    name: str
    network: torch.nn.Module
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    tiling: Tiling
    activation: Activation
    default_layer: str
    device: torch.device
    background: int | None = None
    modality: str = ""
    unit: str = ""
    input_shape: tuple[int, ...] | None = None
    digests: Mapping[str, str] = field(default_factory=dict)
    card: Mapping[str, Any] = field(default_factory=dict)
    unused: tuple[str, ...] = ()
    placements: dict[tuple[str, tuple[int, ...]], cam.Placement] = field(default_factory=dict)

    def layers(self) -> tuple[cam.Layer, ...]:
        """Return the layers whose maps can be shown, with their grid in one window; runs it over zeros."""
        return tuple(cam.candidate_layers(self.network, self._example_shape()))

    def ranking(self) -> cam.Ranking:
        """Return the same layers, best first, and why; runs it over noise."""
        return cam.rank_layers(self.network, self._example_shape())

    def _example_shape(self) -> tuple[int, ...]:
        """Return (1, channels, *window), as the bundle states it or, if it does not, of 64 voxels a side."""
        rank = 3 if self.tiling.flat_axis is None else 2
        spatial = self.input_shape if self.input_shape and len(self.input_shape) == rank else (64,) * rank
        stated = [size for axis, size in enumerate(self.tiling.size) if axis != self.tiling.flat_axis]
        sizes = [own if own > 0 else other for own, other in zip(stated, spatial, strict=True)]
        return (1, input_channels(self.network), *sizes)

    def prepare(self, volume: Volume) -> Prepared:
        """Return the network's input for `volume`.

        Raises
        ------
        ClassifierError
            If the volume is not what the classifier was trained on.
        """
        self.check_fit(volume)
        return self.preprocessing(volume)

    def predict(self, volume: Volume, progress: Callable[[int, int], None] | None = None) -> Prediction:
        """Return the scores of `volume`; `progress` gets (windows done, windows in all).

        Raises
        ------
        ClassifierError
            If the volume does not fit, or the network's answer is not finite.
        """
        prepared = self.prepare(volume)
        logits = []
        with torch.no_grad():
            for _, batch in self.batches(prepared, progress):
                logits.append(_checked(self.network(batch), len(self.classes)))
        return self.judged(torch.cat(logits).cpu().numpy(), prepared)

    def batches(
        self, prepared: Prepared, progress: Callable[[int, int], None] | None = None
    ) -> Iterator[tuple[list[Start], torch.Tensor]]:
        """Yield the windows of `prepared` in batches: their first voxels, and (n, channels, *window)."""
        shape = prepared.image.shape[1:]
        starts = self.tiling.starts(shape)
        size = max(1, BATCH_VOXELS // int(np.prod(self.tiling.window(shape))))
        for first in range(0, len(starts), size):
            some = starts[first : first + size]
            if progress:
                progress(first, len(starts))
            yield some, self.tiling.cut(prepared.image, some).to(self.device)
        if progress:
            progress(len(starts), len(starts))

    def judged(self, logits: NDArray[np.float32], prepared: Prepared) -> Prediction:
        """Return the study's scores from the logits (windows, classes) of its windows.

        Sigmoid: of each class the highest window. Softmax: all from the window that speaks most clearly
        against the background class; without one, the mean of the windows' probabilities.
        """
        scores = _activated(logits, self.activation)
        if self.activation == "sigmoid":
            study_logits, study = logits.max(axis=0), scores.max(axis=0)
        elif self.background is not None or len(logits) == 1:
            clearest = int(scores[:, self.background or 0].argmin())
            study_logits, study = logits[clearest], scores[clearest]
        else:
            study_logits, study = logits.mean(axis=0), scores.mean(axis=0)
        names = self.classes
        return Prediction(
            {name: float(p) for name, p in zip(names, study, strict=True)},
            {name: float(p) for name, p in zip(names, study_logits, strict=True)},
            None if len(logits) == 1 else Windows(self._centres_mm(prepared), scores),
        )

    def _centres_mm(self, prepared: Prepared) -> NDArray[np.float64]:
        shape = prepared.image.shape[1:]
        starts = np.array(self.tiling.starts(shape))
        return prepared.geometry.to_world(starts + (np.array(self.tiling.window(shape)) - 1) / 2)

    def check_fit(self, volume: Volume) -> None:
        """Raise ClassifierError if `volume` is not of the kind the classifier was trained on."""
        for what, ours, theirs in (
            ("modality", self.modality, volume.modality),
            ("values in", self.unit, volume.unit),
        ):
            if ours and ours != theirs:
                found = theirs or "none stated"
                raise ClassifierError(
                    f"the scan does not fit classifier {self.name!r}: it expects {what} {ours}, found {found}"
                    + ("" if theirs else "; state the modality if you know it (--modality)")
                )


def _activated(logits: NDArray[np.float32], activation: Activation) -> NDArray[np.float32]:
    values = logits.astype(np.float64)
    scores = expit(values) if activation == "sigmoid" else softmax(values, axis=1)
    return np.asarray(scores, dtype=np.float32)


def _checked(output: object, classes: int) -> torch.Tensor:
    logits = output[0] if isinstance(output, tuple | list) else output
    if not isinstance(logits, torch.Tensor) or logits.ndim != 2 or logits.shape[1] != classes:
        found = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise ClassifierError(f"the network answers {found}, expected (windows, {classes} classes)")
    if not bool(torch.isfinite(logits).all()):
        raise ClassifierError("the network answers numbers that are not finite: there is no result")
    return logits.float()
