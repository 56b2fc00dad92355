"""What a classifier said of a volume, and the evidence for it."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from voxcam.core.answer import Answer
from voxcam.errors import ExplainError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from voxcam.core.heatmap import Heatmap
    from voxcam.core.volume import Volume


@dataclass(frozen=True, eq=False)
class Windows:
    """The scores of each window (or slice) the network was run on.

    Parameters
    ----------
    centres_mm
        Shape (n, 3): world point in the middle of each window.
    scores
        Shape (n, classes): probabilities.
    """

    centres_mm: NDArray[np.float64]
    scores: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Explanation:
    """Scores, heatmaps and provenance of one volume read by one classifier.

    Parameters
    ----------
    scores, logits
        Class name to probability 0..1, and to the raw output, of the whole study, in the classifier's order.
    heatmaps
        One for every class asked, method and layer.
    volume
        What was explained; None if the explanation was saved without it.
    windows
        Scores along the study, for a classifier run on windows or slices.
    provenance
        What is needed to repeat this: versions, digests, preprocessing, options, warnings.
    answer
        How scores are to be read.
    spread
        Class name to the standard deviation between the scores of several classifiers or views; empty of one.
    """

    scores: Mapping[str, float]
    logits: Mapping[str, float]
    heatmaps: tuple[Heatmap, ...]
    volume: Volume | None = None
    windows: Windows | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    answer: Answer = field(default_factory=lambda: Answer("softmax"))
    spread: Mapping[str, float] = field(default_factory=dict)

    @property
    def classes(self) -> tuple[str, ...]:
        """All classes of the classifier, in its order."""
        return tuple(self.scores)

    @property
    def top_class(self) -> str:
        """The class with the highest score."""
        return max(self.scores, key=lambda name: self.scores[name])

    @property
    def explained(self) -> tuple[str, ...]:
        """Classes that have a heatmap, in the classifier's order."""
        have = {heatmap.class_name for heatmap in self.heatmaps}
        return tuple(name for name in self.classes if name in have)

    @property
    def methods(self) -> tuple[str, ...]:
        """Methods in the order they were asked."""
        return tuple(dict.fromkeys(heatmap.method for heatmap in self.heatmaps))

    @property
    def layers(self) -> tuple[str, ...]:
        """Layers in the order they were asked."""
        return tuple(dict.fromkeys(heatmap.layer for heatmap in self.heatmaps))

    def heatmap(self, class_name: str, method: str | None = None, layer: str | None = None) -> Heatmap:
        """Return the heatmap of a class; of the first method and layer unless told.

        Raises
        ------
        ExplainError
            If there is no such heatmap; the message names what there is.
        """
        if not self.heatmaps:
            raise ExplainError("this explanation holds no heatmaps, scores alone: explain again to get some")
        method = method or self.methods[0]
        layer = layer or self._first_layer(method)
        for heatmap in self.heatmaps:
            if (heatmap.class_name, heatmap.method, heatmap.layer) == (class_name, method, layer):
                return heatmap
        for asked, have in ((class_name, self.explained), (method, self.methods), (layer, self.layers)):
            if asked not in have:
                raise ExplainError(f"no heatmap of {asked!r}: there is {_choice(asked, have)}")
        raise ExplainError(f"no heatmap of class {class_name!r} by {method} at {layer}")

    def was_made_of(self, volume: Volume) -> bool | None:
        """Whether `volume` is what was explained, told by its digest; None if the provenance has none."""
        study = self.provenance.get("study", {})
        if "digest" not in study or "salt" not in study:
            return None
        return bool(volume.digest(str(study["salt"])) == study["digest"])

    def value_range(self, method: str | None = None, layer: str | None = None) -> tuple[float, float]:
        """Return the range all classes share on screen: 0 to the highest evidence of any, in logit units.

        Of maps without any positive evidence it is (0, 1), so that nothing lights up.
        """
        if not self.heatmaps:
            return 0.0, 1.0
        method = method or self.methods[0]
        layer = layer or self._first_layer(method)
        tops = [h.largest for h in self.heatmaps if (h.method, h.layer) == (method, layer) and not h.is_empty]
        return 0.0, max(tops, default=1.0)

    def _first_layer(self, method: str) -> str:
        """Return the first layer that `method` has maps at: some need none, and have them at "network"."""
        return next((h.layer for h in self.heatmaps if h.method == method), self.layers[0])

    def score_words(self, class_name: str) -> str:
        """Return a class's score in words, with its spread if there is one: ``0.87``, ``0.87 ± 0.04``."""
        words = self.answer.words(self.scores.get(class_name, float("nan")))
        return f"{words} ± {self.spread[class_name]:.2g}" if class_name in self.spread else words

    def save(self, folder: str | Path, *, with_volume: bool = True) -> Path:
        """Write to a new folder, whole or not at all; see `voxcam.core.explanation_folder`."""
        from voxcam.core.explanation_folder import save

        return save(self, folder, with_volume=with_volume)


def _choice(asked: str, have: Iterable[str]) -> str:
    names = list(have)
    close = difflib.get_close_matches(asked, names, n=1)
    return ", ".join(names) + (f" (did you mean {close[0]!r}?)" if close else "")
