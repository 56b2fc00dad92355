"""What a figure looks at: one heatmap, one slice of its study, one style; and the panels made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from voxcam.errors import ExportError
from voxcam.export.page import ThemeName, minus, short, theme_of
from voxcam.export.panels import Panel
from voxcam.export.planes import PLANES, Plane, Slice, cut, cut_on, hottest_slice, natural_plane, peak_inside
from voxcam.export.style import SIGNED, HeatmapStyle, paint, shared_style

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voxcam.core.explanation import Explanation
    from voxcam.core.heatmap import Heatmap
    from voxcam.core.volume import Volume
    from voxcam.core.windows import Window
    from voxcam.export.page import Theme

NOTHING = "no positive evidence"
FAINT = 0.18  # brightness of the study behind evidence shown alone


class FigureOptions(TypedDict, total=False):
    """How a figure is to look; every one may be left out.

    Parameters
    ----------
    method, layer
        The explanation's first unless told.
    plane, index
        "axial" (of an image one voxel deep, the image), at the slice with the highest evidence;
        `index` as in `voxcam.export.planes.cut`.
    style
        Colours and their range; by default 0 to the highest evidence of any class, in inferno.
    window
        Grey-scale window; by default the volume's own.
    theme
        "dark" or "light" page. Pictures are dark on both.
    mask
        A drawn finding, voxels over 0, on any grid.
    caption
        A sentence under the pictures.
    volume
        The study, if the explanation was saved without it.
    mark_peak
        Put a ring round the highest evidence, in its slice.
    """

    method: str | None
    layer: str | None
    plane: Plane | None
    index: int | None
    style: HeatmapStyle | None
    window: Window | None
    theme: ThemeName
    mask: Volume | None
    caption: str | None
    volume: Volume | None
    mark_peak: bool


@dataclass(frozen=True, eq=False)
class View:
    """One slice of a study and of a heatmap, with everything that decides how they look.

    Parameters
    ----------
    slice, evidence
        The same plane of the study and of the heatmap; arrays of one shape.
    drawn
        Bool, same shape: the mask; None if none was given.
    """

    explanation: Explanation
    heatmap: Heatmap
    volume: Volume
    slice: Slice
    evidence: NDArray[np.float32]
    style: HeatmapStyle
    window: Window
    theme: Theme
    drawn: NDArray[np.bool_] | None
    caption: str
    mark_peak: bool

    @property
    def grey(self) -> NDArray[np.float32]:
        """Brightness 0..1 of the study, inverted where its photometry says so."""
        bright = np.nan_to_num(self.window.apply(self.slice.pixels))
        return np.asarray(1 - bright if self.volume.inverted else bright)

    @property
    def note(self) -> str:
        """What to say if no colour will be seen; "" otherwise."""
        if self.style.colours == SIGNED:
            return "" if np.isfinite(self.evidence).any() else "not seen by the model"
        if self.heatmap.is_empty:
            return NOTHING
        top = np.nanmax(self.evidence, initial=-np.inf)
        if top <= 0:
            return f"{NOTHING} in this slice"
        lowest = self.style.low + self.style.threshold * (self.style.high - self.style.low)
        return "" if top > lowest else "no evidence above the threshold in this slice"

    @property
    def exceeded(self) -> bool:
        """Whether evidence in this slice lies beyond the colours."""
        return bool(np.nanmax(self.evidence, initial=-np.inf) > self.style.high * (1 + 1e-5))

    @property
    def peak(self) -> tuple[float, float, float] | None:
        """(row, column, slices away) of the highest evidence in the study, or None."""
        peak = peak_inside(self.heatmap, self.volume)
        return None if peak is None else self.slice.to_pixel(peak)

    def image_panel(self) -> Panel:
        """Return the study alone, with the drawn mask."""
        grey = np.repeat(self.grey[..., None].astype(np.float64), 3, axis=-1)
        return Panel(grey, self.slice, "Image", self.window_words, drawn=self.drawn)

    def fused_panel(self, title: str = "Evidence over image", beside: str = "") -> Panel:
        """Return the evidence laid over the study."""
        picture = self._painted(self.grey)
        return Panel(picture, self.slice, title, beside, self.note, self.drawn, peak=self._ring())

    def alone_panel(self) -> Panel:
        """Return the evidence over a hint of the study, and the border of what the network saw."""
        style = replace(self.style, opacity=1.0)
        picture = paint(self.grey * FAINT, self._shown, style)
        unseen = ~np.isfinite(self.evidence)
        beside = "dashed: seen by the model" if unseen.any() and not unseen.all() else ""
        return Panel(
            picture, self.slice, "Evidence alone", beside, self.note, self.drawn, unseen, self._ring()
        )

    @property
    def probability_words(self) -> str:
        """``p = 0.97``; near the ends ``p > 0.99`` and ``p < 0.01``, which rounding would make certain."""
        words = self.explanation.score_words(self.heatmap.class_name)
        if not self.explanation.answer.is_probability:
            return words
        return f"p {words}" if words[0] in "<>u" else f"p = {words}"

    @property
    def window_words(self) -> str:
        """``lung  W 1500  L -600``."""
        name = f"{self.window.name}  " if self.window.name else ""
        return minus(f"{name}W {short(self.window.width)}  L {short(self.window.centre)}")

    @property
    def plane_words(self) -> str:
        """``Axial``; of an image outside the patient's frame ``Image``."""
        if self.slice.frame != "patient":
            return "Image" if self.slice.count == 1 else f"Plane {PLANES.index(self.slice.plane) + 1}"
        return ("Oblique " if self.slice.is_oblique else "") + self.slice.plane.capitalize()

    @property
    def how(self) -> str:
        """Method and layer."""
        return f"{self.heatmap.method} at {self.heatmap.layer}"

    @property
    def legend(self) -> str:
        """What the drawn line is."""
        if self.drawn is None:
            return ""
        return "drawn mask" if self.drawn.any() else "drawn mask: not in this slice"

    @property
    def unit_words(self) -> str:
        """The label of the colour bar."""
        return f"evidence ({self.heatmap.unit_words})"

    @property
    def range_words(self) -> str:
        """Whose range the colours span."""
        classes = len(self.explanation.explained)
        _, high = self.explanation.value_range(self.heatmap.method, self.heatmap.layer)
        is_shared = classes > 1 and bool(np.isclose(self.style.high, high))
        return f"colour range shared by {classes} classes" if is_shared else ""

    @property
    def source_words(self) -> str:
        """Model, short digest and version, as far as they are known."""
        known = _known(self.explanation.provenance)
        model = " ".join(filter(None, (known.get("name", ""), known.get("fingerprint", "")[:8])))
        voxcam = f"VoxCAM {known['voxcam']}" if "voxcam" in known else "VoxCAM"
        return " · ".join(filter(None, (model, voxcam)))

    def provenance(self) -> dict[str, Any]:
        """Return what was drawn and how, to be kept in the file: names nobody, holds no date."""
        heatmap, style = self.heatmap, self.style
        return {
            "intended_use": "research use only, not for diagnosis; evidence of the model, not of disease",
            "model": _known(self.explanation.provenance),
            "class": heatmap.class_name,
            "probability": _finite(self.explanation.scores.get(heatmap.class_name)),
            "method": heatmap.method,
            "layer": heatmap.layer,
            "largest": _finite(heatmap.largest),
            "positive_evidence": not heatmap.is_empty,
            "unit": heatmap.evidence.unit,
            "range": [style.low, style.high],
            "threshold": style.threshold,
            "opacity": style.opacity,
            "colours": style.colours,
            "window": {"centre": self.window.centre, "width": self.window.width},
            "plane": self.slice.plane,
            "slice": self.slice.index + 1,
            "slices": self.slice.count,
        }

    @property
    def _shown(self) -> NDArray[np.float32]:
        """Evidence to paint: none of a map without positive evidence, whatever the range."""
        empty = self.heatmap.is_empty and self.style.colours != SIGNED
        return np.full_like(self.evidence, np.nan) if empty else self.evidence

    def _painted(self, grey: NDArray[np.float32]) -> NDArray[np.float64]:
        return paint(grey, self._shown, self.style)

    def _ring(self) -> tuple[float, float] | None:
        peak = self.peak if self.mark_peak else None
        return peak[:2] if peak is not None and abs(peak[2]) <= 0.5 else None


def view_of(explanation: Explanation, class_name: str | None, options: Mapping[str, Any]) -> View:
    """Return what `options` (`FigureOptions`) ask for, all defaults filled in."""
    unknown = sorted(set(options) - set(FigureOptions.__annotations__))
    if unknown:
        raise TypeError(f"no option {unknown[0]!r}: there is {', '.join(FigureOptions.__annotations__)}")
    volume = options.get("volume") or explanation.volume
    if volume is None:
        raise ExportError("the explanation was saved without its study: give the volume to draw figures")
    heatmap = explanation.heatmap(
        class_name or top_explained(explanation), options.get("method"), options.get("layer")
    )
    plane = options.get("plane") or natural_plane(volume)
    index = options.get("index")
    index = hottest_slice(heatmap, volume, plane) if index is None else index
    image = cut(volume, plane, index)
    mask = options.get("mask")
    return View(
        explanation,
        heatmap,
        volume,
        image,
        cut_on(heatmap.evidence, volume, plane, index).pixels,
        options.get("style") or shared_style(explanation, heatmap.method, heatmap.layer),
        options.get("window") or volume.window,
        theme_of(options.get("theme", "dark")),
        None if mask is None else cut_on(replace(mask, unit="label"), volume, plane, index).pixels > 0,
        options.get("caption") or "",
        options.get("mark_peak", False),
    )


def top_explained(explanation: Explanation) -> str:
    """Return the class with the highest score among those with a heatmap."""
    explained = explanation.explained
    return max(explained, key=lambda name: explanation.scores[name]) if explained else explanation.top_class


def _known(provenance: Mapping[str, Any]) -> dict[str, str]:
    """Return model and version from a provenance, whatever of it is there."""
    classifier = provenance.get("classifier")
    classifier = classifier if isinstance(classifier, Mapping) else {}
    found = {key: classifier.get(key) for key in ("name", "version", "fingerprint")}
    found["voxcam"] = provenance.get("voxcam")
    return {key: str(value) for key, value in found.items() if value}


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and np.isfinite(value) else None
