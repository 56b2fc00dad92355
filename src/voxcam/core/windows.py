"""Grey-scale windows: from modality values to what the eye is shown."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from voxcam.core.lazy import sampled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

WindowFunction = Literal["LINEAR", "LINEAR_EXACT", "SIGMOID", "TABLE"]


@dataclass(frozen=True)
class Window:
    """A centre and width in the volume's unit, with the function that joins them.

    DICOM PS3.3 C.11.2.1.2 and C.11.2.1.3. `width` is over 0.

    Parameters
    ----------
    table
        Of function TABLE, a VOI LUT (C.11.2.1.1): brightness 0..1 at evenly spaced values from the first
        to the last of `ends`, linear between them. See `of_table`.
    """

    centre: float
    width: float
    name: str = ""
    function: WindowFunction = "LINEAR_EXACT"
    table: tuple[float, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "table", tuple(float(bright) for bright in self.table))
        if not self.width > 0 or not math.isfinite(self.width + self.centre):
            raise ValueError(
                f"a window has a finite centre and a width over 0, found W {self.width} / L {self.centre}"
            )
        if (self.function == "TABLE") != (len(self.table) > 1):
            raise ValueError(
                f"a table has two entries or more, other windows none; "
                f"found {len(self.table)} in {self.function}"
            )
        if not all(0 <= bright <= 1 for bright in self.table):
            raise ValueError("a table holds brightness from 0 to 1")

    @classmethod
    def of_table(
        cls, first: float, brightness: Sequence[float] | NDArray[np.floating], name: str = ""
    ) -> Window:
        """Return the window that shows `first` as ``brightness[0]``, ``first + 1`` as the next, and so on.

        Values before the first and after the last take the first and the last brightness.

        Raises
        ------
        ValueError
            If there are fewer than two entries, or one is not in 0..1.
        """
        steps = len(brightness) - 1
        table = tuple(np.asarray(brightness, dtype=np.float64).tolist())
        return cls(first + steps / 2, max(steps, 1), name, "TABLE", table)

    @property
    def ends(self) -> tuple[float, float]:
        """Values shown black and white; of a sigmoid, where its tangent is; a table's first and last."""
        if self.function == "LINEAR":
            # C.11.2.1.2.1: integers, so the ramp is one step shorter and half a step lower.
            low = self.centre - self.width / 2
            return low, low + max(self.width - 1, 1e-6)
        return self.centre - self.width / 2, self.centre + self.width / 2

    def apply(self, values: ArrayLike) -> NDArray[np.float32]:
        """Return brightness 0..1 of `values`, same shape."""
        x = np.asarray(values, dtype=np.float32)
        low, high = self.ends
        if self.function == "SIGMOID":
            # 1 / (1 + exp(-4 t)), written so that it cannot overflow
            bright = 0.5 + 0.5 * np.tanh(2 * (x - self.centre) / self.width)
        elif self.function == "TABLE":
            bright = np.interp(x, np.linspace(low, high, len(self.table)), self.table)
        else:
            bright = np.clip((x - low) / (high - low), 0, 1)
        return np.asarray(bright, dtype=np.float32)

    def __str__(self) -> str:
        label = f"{self.name} " if self.name else ""
        if self.function == "TABLE":
            return f"{label}table {self.ends[0]:g} to {self.ends[1]:g}"
        return f"{label}W {self.width:g} / L {self.centre:g}"


_LOOKED_AT = 1_000_000  # values, at most, to find a window from
_SLICES_LOOKED_AT = 24  # of voxels that are computed as asked

# By modality; the first is the default where a file states none. HU. Width and level as viewers ship them
# (abdomen, lung, brain, liver, bone: OHIF's presets) and as the article "Windowing (CT)" of Radiopaedia
# lists them (the others; of a range the middle; angio as commonly shipped);
# the narrow stroke window after Lev et al., Radiology 1999;213:150.
PRESETS: dict[str, tuple[Window, ...]] = {
    "CT": (
        Window(40, 400, "abdomen"),
        Window(-600, 1500, "lung"),
        Window(50, 350, "mediastinum"),
        Window(480, 2500, "bone"),
        Window(40, 80, "brain"),
        Window(90, 150, "liver"),
        Window(40, 40, "stroke"),
        Window(32, 8, "early stroke"),
        Window(300, 600, "angio"),
        Window(75, 215, "subdural"),
        Window(600, 2800, "temporal bone"),
        Window(40, 375, "neck"),
        Window(50, 250, "spine"),
    ),
}
# Values of BodyPartExamined (0018,0015) as in PS3.16 annex L, and what is often written instead.
_BODY_PARTS: dict[str, tuple[str, ...]] = {
    "lung": ("CHEST", "LUNG", "THORAX", "BRONCHUS", "CHESTABDOMEN", "CHESTABDPELVIS"),
    "mediastinum": ("MEDIASTINUM", "HEART", "ESOPHAGUS", "BREAST"),
    "angio": ("AORTA", "CORONARYARTERY", "CAROTID", "CIRCLEOFWILLIS", "PULMONARYARTERY", "RENALARTERY"),
    "brain": ("HEAD", "BRAIN", "SKULL", "CEREBELLUM", "POSTERIORFOSSA", "PITUITARY"),
    "temporal bone": ("IAC", "EAR", "MASTOID", "TEMPORALBONE", "TMJ", "PARANASALSINUS", "SINUS", "SSKULL"),
    "neck": ("NECK", "HEADNECK", "NECKCHEST", "LARYNX", "PHARYNX", "THYROID", "ORBIT", "EYE", "PAROTID"),
    "spine": ("SPINE", "CSPINE", "TSPINE", "LSPINE", "SSPINE", "CTSPINE", "TLSPINE", "LSSPINE", "DISC"),
    "liver": ("LIVER", "SPLEEN"),
    "bone": (
        *("ANKLE", "ARM", "CALCANEUS", "CLAVICLE", "COCCYX", "ELBOW", "EXTREMITY", "FEMUR", "FINGER", "FOOT"),
        *(
            "FOREARM",
            "HAND",
            "HIP",
            "HUMERUS",
            "JAW",
            "KNEE",
            "LEG",
            "MANDIBLE",
            "MAXILLA",
            "PATELLA",
            "RADIUS",
        ),
        *("RIB", "SACRUM", "SCAPULA", "SHOULDER", "SIJOINT", "STERNUM", "THIGH", "THUMB", "TIBIA", "TOE"),
        *("ULNA", "WRIST"),
    ),
}

# Windows of values that have no unit of their own: name, lower and upper percentile of what lies above
# the lowest value (air, padding). None stands for 0: counts and activity begin there.
_Share = tuple[str, float | None, float]
_FULL: _Share = ("full range", 0, 100)
_ANY: tuple[_Share, ...] = (
    ("1-99 %", 1, 99),
    _FULL,
    ("bright structures", 50, 99.9),
    ("dark structures", 0, 50),
)
_COUNTED: tuple[_Share, ...] = (("0 to 99.9 %", None, 99.9), ("0 to 99 %", None, 99), ("hot", 90, 100), _FULL)
_SHARES: dict[str, tuple[_Share, ...]] = {
    "PT": _COUNTED,
    "NM": _COUNTED,
    "MG": (("5-99.9 %", 5, 99.9), *_ANY),
    "XA": (("0.1-99.9 %", 0.1, 99.9), *_ANY),
    "US": (_FULL, *_ANY[:1], *_ANY[2:]),
}
# Standardised uptake values, g/ml: the scales on which readers compare studies.
_SUV = (
    Window(3.5, 7, "SUV 0-7"),
    Window(2.5, 5, "SUV 0-5"),
    Window(5, 10, "SUV 0-10"),
    Window(10, 20, "SUV 0-20"),
)


def presets(modality: str, unit: str, values: ArrayLike) -> tuple[Window, ...]:
    """Return the windows to offer for an image, the first to begin with.

    HU and SUV have windows of their own; other windows are shares of the values, so that the same
    name means the same look whatever the scanner's scale. Labels and colour have none.

    Parameters
    ----------
    modality
        DICOM's two letters, or "".
    unit
        The volume's: "HU", "SUV", "label", ...
    values
        Of any shape; about a million are looked at.
    """
    if unit == "HU":
        return PRESETS["CT"]
    if unit == "label" or getattr(getattr(values, "dtype", None), "names", None):
        return ()
    inside = _inside(values)
    if inside.size == 0 or inside.min() == inside.max():
        return (window_of_values(values),)
    absolute = _SUV if unit.upper().startswith("SUV") else ()
    return (*absolute, *(_share(inside, share) for share in _SHARES.get(modality, _ANY)))


def preset_for(body_part: str) -> Window:
    """Return the CT window to begin with for BodyPartExamined (0018,0015); unknown, the first preset."""
    term = "".join(letter for letter in body_part.upper() if letter.isalpha())
    name = next((name for name, terms in _BODY_PARTS.items() if term in terms), "")
    return next((window for window in PRESETS["CT"] if window.name == name), PRESETS["CT"][0])


def window_of_values(values: ArrayLike) -> Window:
    """Return the window from the 1st to the 99th percentile of the finite values that are not the lowest.

    For images that state no window; the lowest value is taken for air or padding. At most
    about a million values are looked at, evenly spread; of voxels computed as asked, some slices.
    """
    seen = _seen(values)
    inside = _inside(seen)
    if inside.size == 0:
        return Window(float(seen.min()) if seen.size else 0.0, 1.0, "constant")
    return _share(inside, _ANY[0])


def _share(inside: NDArray[np.float64], share: _Share) -> Window:
    name, lower, upper = share
    low, high = np.percentile(inside, (lower or 0, upper))
    low = min(low, 0.0) if lower is None else low
    return Window(float(low + high) / 2, max(float(high - low), 1e-6), name)


def _inside(values: ArrayLike) -> NDArray[np.float64]:
    """Finite values that are not the lowest."""
    seen = _seen(values)
    return seen[seen > seen.min()] if seen.size else seen


def _seen(values: ArrayLike) -> NDArray[np.float64]:
    """Finite values, at most about a million, evenly spread."""
    seen = sampled(values, _SLICES_LOOKED_AT).ravel(order="K")
    if seen.size > _LOOKED_AT:
        # A whole-numbered stride can divide the image's width and see one column, or one slice, only.
        seen = seen[np.linspace(0, seen.size - 1, _LOOKED_AT).astype(np.intp)]
    return np.asarray(seen[np.isfinite(seen)], dtype=np.float64)
