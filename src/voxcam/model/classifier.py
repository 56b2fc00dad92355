"""A classifier: a network with its classes, preprocessing and way over a volume."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from voxcam import cam
from voxcam.core.explanation import Windows
from voxcam.errors import ClassifierError
from voxcam.model.fitness import fit_of
from voxcam.model.opaque import Opaque

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from voxcam.core.answer import Answer
    from voxcam.core.volume import Volume
    from voxcam.model.preprocessing import Prepared, Preprocessing
    from voxcam.model.statement import Statement
    from voxcam.model.tiling import Start, Tiling

# Voxels of one batch of windows, by device. On a CPU 4 windows of 40^3, or 4 slices of 256^2: what a layer
# writes is then still near when the next one reads it (2^18 was best or within 5 % of it on seven networks,
# 2^21 up to 2.6 times slower). A card wants more at once.
BATCH_VOXELS = {"cpu": 2**18}
BATCH_VOXELS_ELSEWHERE = 2**21


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the classifier answers.

    Parameters
    ----------
    scores, logits
        Class name to score (see `voxcam.core.answer.Answer`) and to raw output, of the whole study.
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
    network
        In eval mode, on `device`; maps a batch of windows to (n, classes) logits.
    statement
        What it says of itself: classes, how outputs are read, what it was trained on.
    preprocessing, tiling
        How a volume becomes the network's windows.
    device
        Where the network lies.
    example_shape
        (1, channels, *space): an input it accepts, tried when it was loaded.
    digests
        SHA-256 of the weights, of the configuration and the metadata, and "fingerprint" over them.
    card
        What its bundle says of itself.
    unused
        Sections of its bundle that nothing reads or runs.
    notes
        What was found when it was loaded, and its reader should know.
    autocast
        Type in which the network computes (`torch.bfloat16`), or None for its own.
    channels_last
        Whether batches are laid out channels last, as the network's weights then are.
    compiled
        The network compiled, for scores; maps are made by `network`. None if it was not asked for.
    placements
        Where the units of a (layer, window) look, as far as it was measured; see `voxcam.model.placing`.
    """

    network: torch.nn.Module
    statement: Statement
    preprocessing: Preprocessing
    tiling: Tiling
    device: torch.device
    example_shape: tuple[int, ...]
    digests: Mapping[str, str] = field(default_factory=dict)
    card: Mapping[str, Any] = field(default_factory=dict)
    unused: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    autocast: torch.dtype | None = None
    channels_last: bool = False
    compiled: Callable[[torch.Tensor], object] | None = None
    placements: dict[tuple[str, tuple[int, ...]], cam.Placement] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What it calls itself."""
        return self.statement.name

    @property
    def classes(self) -> tuple[str, ...]:
        """Names in the order of the outputs."""
        return self.statement.classes

    @property
    def answer(self) -> Answer:
        """How outputs are read."""
        return self.statement.answer

    @property
    def default_layer(self) -> str:
        """Module whose maps are shown unless another is asked for; "" where no layer can be observed."""
        return self.statement.default_layer

    @property
    def is_opaque(self) -> bool:
        """Whether it can be called but not looked into: no map at a layer can be made."""
        return isinstance(self.network, Opaque)

    def layers(self) -> tuple[cam.Layer, ...]:
        """Return the layers whose maps can be shown, with their grid in one window; runs it over zeros."""
        return () if self.is_opaque else tuple(cam.candidate_layers(self.network, self.example_shape))

    def ranking(self) -> cam.Ranking:
        """Return the same layers, best first, and why; runs it over noise."""
        return cam.rank_layers(self.network, self.example_shape)

    def prepare(self, volume: Volume) -> Prepared:
        """Return the network's input for `volume`.

        Raises
        ------
        ClassifierError
            If the volume is not what the classifier was trained on.
        """
        fit_of(self.statement, volume).require(self.name)
        prepared = self.preprocessing(volume)
        self._check_channels(prepared)
        return prepared

    def predict(self, volume: Volume, progress: Callable[[int, int], None] | None = None) -> Prediction:
        """Return the scores of `volume`; `progress` gets (windows done, windows in all).

        Raises
        ------
        ClassifierError
            If the volume does not fit, or the network's answer is not finite.
        """
        prepared = self.prepare(volume)
        logits = [self.logits(batch) for _, batch in self.batches(prepared, progress)]
        return self.judged(torch.cat(logits).cpu().numpy(), prepared)

    def logits(self, batch: torch.Tensor) -> torch.Tensor:
        """Return the network's answers (n, classes) to a batch of windows, float32.

        Where memory runs out the batch is halved, down to single windows.

        Raises
        ------
        ClassifierError
            If they are not finite, or not one for each class.
        """
        run = self.network if self.compiled is None else self.compiled
        try:
            with torch.no_grad(), self.computing():
                return _checked(run(batch), len(self.classes))
        except Exception as error:
            if not cam.is_out_of_memory(error) or len(batch) < 2:
                raise
        # After the except clause: its traceback would hold the failed pass's tensors.
        return torch.cat([self.logits(half) for half in batch.chunk(2)])

    def computing(self) -> torch.autocast:
        """Return the context in which the network is to run: its autocast, or none."""
        kind = self.autocast or torch.bfloat16
        return torch.autocast(self.device.type, dtype=kind, enabled=self.autocast is not None)

    def batches(
        self, prepared: Prepared, progress: Callable[[int, int], None] | None = None
    ) -> Iterator[tuple[list[Start], torch.Tensor]]:
        """Yield the windows of `prepared` in batches: their first voxels, and (n, channels, *window)."""
        shape = prepared.image.shape[1:]
        starts = self.tiling.starts(shape)
        most = BATCH_VOXELS.get(self.device.type, BATCH_VOXELS_ELSEWHERE)
        size = max(1, most // int(np.prod(self.tiling.window(shape))))
        for first in range(0, len(starts), size):
            some = starts[first : first + size]
            if progress:
                progress(first, len(starts))
            yield some, self.placed(self.tiling.cut(prepared.image, some))
        if progress:
            progress(len(starts), len(starts))

    def placed(self, batch: torch.Tensor) -> torch.Tensor:
        """Return a batch on the classifier's device, laid out as its weights are."""
        if self.device.type == "cuda":  # pinned memory is copied while the card computes
            batch = batch.pin_memory()
        batch = batch.to(self.device, non_blocking=True)
        if not self.channels_last:
            return batch
        layout = torch.channels_last if batch.ndim == 4 else torch.channels_last_3d
        return batch.contiguous(memory_format=layout)

    def judged(self, logits: NDArray[np.float32], prepared: Prepared) -> Prediction:
        """Return the study's scores from the logits (windows, classes) of its windows, by the stated rule."""
        study_logits, study = self.answer.of_study(logits)
        names = self.classes
        scores = self.answer.scores(logits)
        return Prediction(
            {name: float(p) for name, p in zip(names, study, strict=True)},
            {name: float(p) for name, p in zip(names, study_logits, strict=True)},
            None if len(logits) == 1 else Windows(self._centres_mm(prepared), scores),
        )

    def _centres_mm(self, prepared: Prepared) -> NDArray[np.float64]:
        shape = prepared.image.shape[1:]
        starts = np.array(self.tiling.starts(shape))
        return prepared.geometry.to_world(starts + (np.array(self.tiling.window(shape)) - 1) / 2)

    def _check_channels(self, prepared: Prepared) -> None:
        expected, found = self.example_shape[1], prepared.image.shape[0] * self.tiling.neighbours
        if expected != found:
            raise ClassifierError(
                f"classifier {self.name!r} reads {_channels(expected, self.statement)}, "
                f"this volume gives {_channels(found)}"
            )


def _channels(count: int, statement: Statement | None = None) -> str:
    names = f" ({', '.join(statement.sequences)})" if statement and statement.sequences else ""
    return f"{count} channel{'s' * (count != 1)}{names}"


def _checked(output: object, classes: int) -> torch.Tensor:
    logits = output[0] if isinstance(output, tuple | list) else output
    if not isinstance(logits, torch.Tensor) or logits.ndim != 2 or logits.shape[1] != classes:
        found = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise ClassifierError(f"the network answers {found}, expected (windows, {classes} classes)")
    if not bool(torch.isfinite(logits).all()):
        raise ClassifierError("the network answers numbers that are not finite: there is no result")
    return logits.float()
