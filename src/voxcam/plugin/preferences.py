"""What the reader prefers, out of napari's plugin settings, with defaults where there are none.

napari before 0.9 has no plugin settings, and VoxCAM may run without being installed as a plugin.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any
from weakref import WeakMethod

from voxcam.export.style import COLOURS
from voxcam.plugin.review.look import DRAWN
from voxcam.plugin.review.review import METHODS

if TYPE_CHECKING:
    from collections.abc import Callable

    from voxcam.plugin.review.look import Drawn

PLUGIN = "voxcam"
DEVICES = ("auto", "cpu", "cuda", "mps")
CONVENTIONS = ("radiological", "neurological")
# The loudest class in perceptual colours, the others in a hue each.
BY_CLASS = "by class"


@dataclass(frozen=True)
class Preferences:
    """What the reader prefers.

    Parameters
    ----------
    device
        Where networks run.
    method
        Whose heatmaps are shown first.
    convention
        "radiological": the patient's left at the right of the screen; or "neurological".
    colours
        Of the first class that is shown, one of `voxcam.export.style.COLOURS`; or `BY_CLASS`.
    drawn
        Smooth, cells, contours.
    layered
        Each class as a napari layer of its own.
    crosshair
        The cross at which the planes meet is shown.
    """

    device: str = "auto"
    method: str = METHODS[0]
    convention: str = CONVENTIONS[0]
    colours: str = BY_CLASS
    drawn: Drawn = "smooth"
    layered: bool = False
    crosshair: bool = True

    @property
    def neurological(self) -> bool:
        """Whether the patient's left is at the left of the screen."""
        return self.convention == "neurological"


# Where each stands in the manifest's configurations, and what it may be.
SECTIONS: dict[str, str] = {
    "device": "inference",
    "method": "inference",
    "convention": "display",
    "colours": "display",
    "drawn": "display",
    "layered": "display",
    "crosshair": "display",
}
CHOICES: dict[str, tuple[Any, ...]] = {
    "device": DEVICES,
    "method": METHODS,
    "convention": CONVENTIONS,
    "colours": (BY_CLASS, *COLOURS),
    "drawn": DRAWN,
    "layered": (False, True),
    "crosshair": (True, False),
}


def preferences() -> Preferences:
    """Return what the reader prefers now; what is not set, or is no choice, is the default."""
    settings = _settings()
    found: dict[str, Any] = {}
    for field in fields(Preferences):
        value = getattr(getattr(settings, SECTIONS[field.name], None), field.name, None)
        value = getattr(value, "value", value)  # napari makes an Enum of a list of choices
        if value in CHOICES[field.name]:
            found[field.name] = value
    return Preferences(**found)


def follow_preferences(told: Callable[[Preferences], object]) -> None:
    """Call `told`, a bound method, with the preferences at each change for as long as its object lives."""
    settings = _settings()
    for section in dict.fromkeys(SECTIONS.values()):
        events = getattr(getattr(settings, section, None), "events", None)
        if events is not None:
            events.connect(_Teller(told))


class _Teller:
    """Tells a bound method without keeping its object."""

    def __init__(self, told: Callable[[Preferences], object]) -> None:
        self._told = WeakMethod(told)

    def __call__(self, _: object = None) -> None:
        told = self._told()
        if told is not None:
            told(preferences())


def _settings() -> Any:
    try:
        from napari.settings import get_plugin_settings

        return get_plugin_settings(PLUGIN)
    except (ImportError, KeyError):
        return None
