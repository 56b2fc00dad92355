"""A study that is open: its volume, what was said of it, how it is looked at. A value, never changed."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from voxcam.core.peaks import peaks
from voxcam.export.style import CLASS_COLOURS, HeatmapStyle
from voxcam.plugin.review.look import ClassRow, Look

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from voxcam.core.explanation import Explanation, Windows
    from voxcam.core.heatmap import Heatmap
    from voxcam.core.peaks import Peak
    from voxcam.core.volume import Volume
    from voxcam.core.windows import Window

# Stands for the layer of a method that asks the network as a whole.
NO_LAYER = "network"
# Of the classes behind the first, the coolest before the others.
# Sky and blue are the two that look most alike (mean CIEDE2000 over grey 11): they are furthest apart.
HUES = sorted(CLASS_COLOURS, key=("sky", "green", "purple", "yellow", "vermillion", "orange", "blue").index)

Point = tuple[float, float, float]


@dataclass(frozen=True)
class Origin:
    """Where a study came from.

    Parameters
    ----------
    place
        The folder, file or archive that was scanned.
    key
        `Series.key`: the same series is not opened twice.
    words
        What the browser calls it.
    """

    place: Path
    key: str
    words: str = ""


@dataclass(frozen=True, eq=False)
class Reading:
    """One study, read by one classifier; without a volume, the empty room.

    Parameters
    ----------
    volume, mask
        The study, and a drawn finding on it.
    origin
        Where it came from; None of a volume that was handed over.
    explanation
        What a classifier said of it.
    look, window
        How evidence and grey values are seen.
    point_mm
        The world point (RAS+ mm) the planes cross at; None for the middle.
    """

    volume: Volume | None = None
    mask: Volume | None = None
    origin: Origin | None = None
    explanation: Explanation | None = None
    look: Look = field(default_factory=Look)
    window: Window | None = None
    point_mm: Point | None = None

    def explained_by(
        self, explanation: Explanation, asked_method: str = "", asked_layer: str = ""
    ) -> Reading:
        """Return the reading with an explanation, its top class shown; what was looked at stays."""
        ranked = sorted(explanation.explained, key=lambda name: -explanation.scores[name])
        hues = {
            name: HUES[(rank - 1) % len(HUES)] if rank else self.look.first
            for rank, name in enumerate(ranked)
        }
        kept = [name for name in ranked if name in self.look.shown]
        look = replace(
            self.look,
            method=_first_of((asked_method, self.look.method), explanation.methods),
            layer=_first_of((asked_layer, self.look.layer), explanation.layers),
            shown=frozenset(kept or ranked[:1]),
            colours=hues,
            own={name: own for name, own in self.look.own.items() if name in hues},
            hidden=False,
        )
        return replace(self, explanation=explanation, look=look)

    # --- the evidence as it is looked at

    def heatmap(self, name: str) -> Heatmap | None:
        """Return the heatmap of a class by the method and at the layer looked at, if there is one."""
        return self._at_hand.get(name)

    @cached_property
    def _at_hand(self) -> dict[str, Heatmap]:
        """The heatmap of each class: found once, for models of hundreds of classes."""
        heatmaps = self.explanation.heatmaps if self.explanation is not None else ()
        wanted = (self.look.layer, NO_LAYER)
        found = [h for h in heatmaps if h.method == self.look.method and h.layer in wanted]
        return {heatmap.class_name: heatmap for heatmap in reversed(found)}

    @cached_property
    def _explained(self) -> frozenset[str]:
        return frozenset(self.explanation.explained if self.explanation is not None else ())

    def colours(self, name: str) -> str:
        """Return the name of a class's colours."""
        return self.look.colours.get(name, self.look.first)

    def style(self, name: str) -> HeatmapStyle:
        """Return what a value of a class's evidence looks like."""
        heatmap, colours, own = self.heatmap(name), self.colours(name), self.look.of(name)
        high = 1.0
        if self.explanation is not None and self.look.shared_range:
            high = self.explanation.value_range(self.look.method, heatmap.layer if heatmap else None)[1]
        elif heatmap is not None and not heatmap.is_empty:
            high = heatmap.largest
        low = -high if colours == "signed" else 0.0
        return HeatmapStyle(low, high, own.threshold, own.opacity, colours)

    @property
    def shown(self) -> tuple[tuple[Heatmap, HeatmapStyle], ...]:
        """What is drawn over the study, from below to above: the most probable class on top."""
        pairs = [(self.heatmap(name), self.style(name)) for name in reversed(self.visible)]
        return tuple((heatmap, style) for heatmap, style in pairs if heatmap is not None)

    @property
    def ranked(self) -> tuple[str, ...]:
        """All classes, the highest score first."""
        scores = self.explanation.scores if self.explanation is not None else {}
        return tuple(sorted(scores, key=lambda name: -scores[name]))

    @property
    def visible(self) -> tuple[str, ...]:
        """Classes whose heatmap is on the screen, the most probable first."""
        shown = () if self.look.hidden else self.look.shown
        return tuple(name for name in self.ranked if name in shown and self.heatmap(name) is not None)

    @property
    def rows(self) -> tuple[ClassRow, ...]:
        """The classes, the highest score first."""
        return tuple(self._row(name) for name in self.ranked)

    @property
    def windows(self) -> Windows | None:
        """The scores along the study, where the network was run on several windows or slices."""
        windows = self.explanation.windows if self.explanation is not None else None
        return windows if windows is not None and len(windows.centres_mm) > 1 else None

    @property
    def note(self) -> str:
        """What to know of the maps looked at, in a line; "" if nothing."""
        provenance = self.explanation.provenance if self.explanation is not None else {}
        alike = provenance.get("one_map", {}).get(self.look.layer, ())
        same = f"At this layer {_listed(alike)} are one and the same map." if len(alike) > 1 else ""
        lines = [same] if self.look.method in alike else []
        told = [*provenance.get("warnings", ()), *provenance.get("memory", ())]
        return " ".join([*lines, *(f"{words[:1].upper()}{words[1:]}." for words in told)])

    def hottest(self, names: Sequence[str] = ()) -> Heatmap | None:
        """Return the heatmap with the highest evidence among `names`, else among the shown classes."""
        maps = (self.heatmap(name) for name in names or self.visible or self.ranked)
        hot = [heatmap for heatmap in maps if heatmap is not None and not heatmap.is_empty]
        return max(hot, key=lambda heatmap: heatmap.largest, default=None)

    def peaks(self, name: str) -> tuple[Peak, ...]:
        """Return the peaks of a class's evidence inside the study, the highest first."""
        heatmap = self.heatmap(name)
        return () if heatmap is None or self.volume is None else peaks(heatmap, self.volume.geometry)

    # --- steps

    def _row(self, name: str) -> ClassRow:
        if self.explanation is None:
            raise RuntimeError("rows are of an explanation")
        score, answer, heatmap = self.explanation.scores[name], self.explanation.answer, self.heatmap(name)
        nothing = "no map by this method and layer" if name in self._explained else "not explained"
        words = heatmap.summary.removeprefix("evidence ") if heatmap else nothing
        spread = self.explanation.spread
        return ClassRow(
            name,
            answer.words(score),
            score,
            score if answer.is_probability and math.isfinite(score) else None,
            answer.thresholds.get(name),
            explained=heatmap is not None,
            shown=name in self.look.shown,
            empty=heatmap is None or heatmap.is_empty,
            largest=heatmap.largest if heatmap else math.nan,
            colours=self.colours(name),
            # How far the score differs between the classifiers or views that were joined.
            evidence=words + (f"; score ± {spread[name]:.1g}" if name in spread else ""),
        )


def _first_of(wanted: Sequence[str], have: Sequence[str]) -> str:
    """Return the first wanted one there is, else the first there is; "" of none."""
    return next((name for name in (*wanted, *have) if name in have), "")


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"
