"""Every window of one view through the network once, every map stitched, and what was noted on the way."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from voxcam import cam
from voxcam.core.heatmap import Heatmap
from voxcam.core.stitching import Stitching
from voxcam.core.volume import Volume
from voxcam.errors import ExplainError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import torch
    from numpy.typing import NDArray

    from voxcam.model.classifier import Classifier
    from voxcam.model.preprocessing import Prepared
    from voxcam.model.tiling import Start

    Progress = Callable[[int, int], None]

Key = tuple[str, str]  # method, layer


@dataclass(eq=False)
class Run:
    """The windows of one view, the maps asked for, and what was noted on the way."""

    classifier: Classifier
    prepared: Prepared
    methods: tuple[str, ...]
    classes: tuple[str, ...]
    layers: tuple[str, ...]
    options: Mapping[str, Mapping[str, Any]]
    seed: int
    places: Mapping[str, cam.Placement] = field(default_factory=dict)
    logits: list[NDArray[np.float32]] = field(default_factory=list)
    stitchings: dict[Key, Stitching] = field(default_factory=dict)
    same_map: dict[str, list[str]] = field(default_factory=dict)
    ladder: cam.Ladder = field(default_factory=cam.Ladder)

    def go(self, progress: Progress) -> None:
        """Run the windows, batch by batch; `progress` gets (passes of a window done, passes in all)."""
        total, done = self.passes(), 0
        each = total // self._windows
        for starts, batch in self.classifier.batches(self.prepared):
            progress(done, total)
            if not self.methods:
                self.logits.append(self.classifier.logits(batch).cpu().numpy())
                done += len(starts)
                continue
            if not done:
                self.ladder.foresee(self.classifier.network, batch, self.layers, self._numbers)
            # The first pass of the batch is counted with the first one beside it.
            self._add(starts, self._maps(batch, offset(progress, done + len(starts), total)))
            done += each * len(starts)
        progress(total, total)

    @property
    def asks_again(self) -> bool:
        """Whether a method sends a window through the network more than once."""
        return any(method in cam.PASSES for method in self.methods)

    def forecast(self) -> str:
        """Say how often and about how long the methods that ask again will run, timed on one window."""
        starts = self.classifier.tiling.starts(self.prepared.geometry.shape)
        window = self.classifier.tiling.cut(self.prepared.image, starts[:1])
        window = self.classifier.placed(window)
        asking = [method for method in self.methods if method in cam.PASSES]
        options = {method: self.options[method] for method in asking if method in self.options}
        one = cam.plan(self.classifier.network, window, self.layers, asking, self._numbers, options=options)
        every = {method: count * len(starts) for method, count in one.passes.items()}
        return replace(one, passes=every, seconds=one.seconds * len(starts)).sentence

    def passes(self) -> int:
        """Return how often a window will go through the network."""
        beside = 0
        if self.asks_again:
            channels = {layer.name: layer.channels for layer in self.classifier.layers()}
            window = [n for n in self.classifier.tiling.window(self.prepared.geometry.shape) if n > 1]
            at_layers = [channels[name] for name in self.layers]
            each = cam.passes_of(self.methods, 1, len(self.classes), tuple(window), at_layers, self.options)
            beside = sum(each.values())
        return self._windows * (1 + beside)

    @property
    def _numbers(self) -> list[int]:
        return [self.classifier.classes.index(name) for name in self.classes]

    @property
    def _windows(self) -> int:
        return len(self.classifier.tiling.starts(self.prepared.geometry.shape))

    def heatmaps(self, modality: str) -> Iterator[Heatmap]:
        """Yield the joined map of every method, layer and class."""
        for (method, layer), stitching in self.stitchings.items():
            joined, geometry = stitching.joined()
            for name, evidence in zip(self.classes, joined, strict=True):
                voxels = Volume(evidence, geometry, modality, self._unit(method))
                yield Heatmap(voxels, name, method, layer, self.prepared.geometry)

    def _unit(self, method: str) -> str:
        """Return the unit of a method's maps: of a regression what is a logit elsewhere is a value."""
        answer, unit = self.classifier.answer, cam.unit_of(method)
        return answer.unit if unit == "logit" and answer.activation == "regression" else unit

    def _maps(self, batch: torch.Tensor, report: Progress) -> cam.Maps:
        with self.classifier.computing():
            maps = self.ladder.maps(
                self.classifier.network,
                batch,
                self.layers,
                self.methods,
                self._numbers,
                options=self.options,
                seed=self.seed,
                progress=report,
            )
        answers, named = maps.logits.shape[1], len(self.classifier.classes)
        if answers != named:
            raise ExplainError(f"the network answers {answers} classes, its statement names {named}")
        return maps

    def _add(self, starts: list[Start], maps: cam.Maps) -> None:
        """Take in the logits and maps of a batch of windows."""
        self.logits.append(maps.logits.cpu().numpy())
        self.same_map |= {layer: list(same) for layer in maps.layers if (same := maps.same_map(layer))}
        axis = self.classifier.tiling.flat_axis
        for key, values in maps.values.items():
            windows = (values if axis is None else values.unsqueeze(axis + 2)).cpu().numpy()
            if key not in self.stitchings:
                self.stitchings[key] = self._stitching(key, windows.shape)
            # A number that is not finite would spread over its neighbours: there is no evidence there.
            known = np.where(np.isfinite(windows), windows, np.nan)
            for window, start in zip(known, starts, strict=True):
                self.stitchings[key].add(window, start)

    def _stitching(self, key: Key, shape: tuple[int, ...]) -> Stitching:
        count, cells = shape[1], (shape[2], shape[3], shape[4])
        window = self.classifier.tiling.window(self.prepared.geometry.shape)
        return Stitching(self.prepared.geometry, window, cells, count, self._centres(*key))

    def _centres(self, method: str, layer: str) -> Sequence[tuple[float, float]] | None:
        """Return where the cells of a map look in a window; None is the usual rule."""
        if layer not in self.places or not cam.is_on_layer_grid(method):
            return None
        centres, axis = list(self.places[layer].centres), self.classifier.tiling.flat_axis
        return centres if axis is None else [*centres[:axis], (1.0, 0.0), *centres[axis:]]


def offset(progress: Progress | None, before: int, total: int) -> Progress:
    """Return a progress that counts on from `before`, of `total`."""

    def report(done: int, _: int) -> None:
        if progress:
            progress(before + done, total)

    return report
