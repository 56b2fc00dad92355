"""Windows by hand: dragged with the mouse, chosen by a key, and remembered for each series."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voxcam.core.windows import Window, presets

if TYPE_CHECKING:
    from voxcam.core.volume import Volume
    from voxcam.plugin.review.reading import Origin

# So many pixels across change the width by the factor e, so many down the level by one width.
PIXELS_A_WIDTH = 400.0
FINE = 0.1
# From this width on whole numbers are fine enough (HU); below it, about a two-hundredth of it (SUV).
_WHOLE_FROM = 50.0
_STEPS_A_WIDTH = 200.0
_NARROWEST, _WIDEST = 1e-6, 1e9


@dataclass(frozen=True)
class Offered:
    """A window as the list of windows has it; `key` is the digit that chooses it, or ""."""

    key: str
    window: Window


def dragged(window: Window, dx: float, dy: float, fine: bool = False) -> Window:
    """Return the window a drag of so many pixels from `window` leads to.

    To the right is wider, downwards is a higher level (darker); in proportion to the width, so that SUV
    and HU feel the same. A sigmoid stays one; a table becomes linear between the same ends.

    Parameters
    ----------
    dx, dy
        Pixels to the right and downwards, since the drag began.
    fine
        A tenth of the speed.
    """
    return _on_steps(_moved(window, dx, dy, fine))


class Dragging:
    """A drag that comes in small parts: what rounding keeps from one part, the next one gets."""

    def __init__(self) -> None:
        self._told: Window | None = None
        self._exact: Window | None = None

    def on(self, window: Window, dx: float, dy: float, fine: bool = False) -> Window:
        """Return the window that some pixels more lead to, from the one shown; as `dragged`."""
        exact = self._exact if self._exact is not None and window == self._told else window
        self._exact = _moved(exact, dx, dy, fine)
        self._told = _on_steps(self._exact)
        return self._told


def step_of(width: float) -> float:
    """Return the step in which a window of `width` is set: 1 of HU, 0.01 of SUV, and so on."""
    if width >= _WHOLE_FROM:
        return 1.0
    return float(10.0 ** math.floor(math.log10(width / _STEPS_A_WIDTH)))


def typed(window: Window, width: float, level: float) -> Window:
    """Return the window of a typed width and level, with the function `window` has.

    Raises
    ------
    ValueError
        In words for the screen, if there is no such window.
    """
    if not math.isfinite(width) or not math.isfinite(level):
        raise ValueError("Width and level are numbers.")
    if width <= 0:
        raise ValueError("The width must be over 0.")
    if width > _WIDEST or abs(level) > _WIDEST:
        raise ValueError("Width and level are too large.")
    return _of(window, width, level)


def offered_windows(volume: Volume) -> tuple[Offered, ...]:
    """Return the windows to offer: the study's own (key 0), its file's others, and presets (keys 1 to 9)."""
    named = () if volume.is_colour else presets(volume.modality, volume.unit, volume.voxels)
    keys = {window: str(n + 1) if n < 9 else "" for n, window in enumerate(named)}
    own = volume.window
    keyed = [Offered(keys.get(own, "0"), own)]
    others = dict.fromkeys(w for w in (*volume.windows, *named) if w != own)
    return (*keyed, *(Offered(keys.get(window, ""), window) for window in others))


def preset_for_key(volume: Volume, n: int) -> Window | None:
    """Return the window that digit `n` chooses: 0 the study's own, 1 to 9 a preset; None if none."""
    if n == 0:
        return volume.window
    return next((one.window for one in offered_windows(volume) if one.key == str(n)), None)


class WindowMemory:
    """Which window each series was last seen in, as long as the program runs."""

    def __init__(self) -> None:
        self._of: dict[str, Window] = {}

    def note(self, origin: Origin | None, window: Window | None) -> None:
        """Take note of the window of a series; of a volume whose series is not known, nothing."""
        if origin is not None and window is not None:
            self._of[origin.key] = window

    def recall(self, origin: Origin | None) -> Window | None:
        """Return the window a series was last seen in; None if it was not seen yet."""
        return None if origin is None else self._of.get(origin.key)


def _moved(window: Window, dx: float, dy: float, fine: bool) -> Window:
    share = (FINE if fine else 1.0) / PIXELS_A_WIDTH
    width = window.width * math.exp(max(min(dx * share, 50.0), -50.0))
    return _of(window, max(min(width, _WIDEST), _NARROWEST), window.centre + dy * share * window.width)


def _on_steps(window: Window) -> Window:
    step = step_of(window.width)
    return _of(window, max(_rounded(window.width, step), step), _rounded(window.centre, step))


def _of(window: Window, width: float, centre: float) -> Window:
    """Return another width and centre with the function of `window`, where that has a width."""
    # C.11.2.1.2.1: a LINEAR window is over 1 wide.
    odd = window.function == "TABLE" or (window.function == "LINEAR" and width < 2)
    return Window(centre, width, "", "LINEAR_EXACT" if odd else window.function)


def _rounded(value: float, step: float) -> float:
    # Through the number of steps, and digits after it: 0.1 * 3 is not 0.3.
    digits = max(0, -math.floor(math.log10(step)))
    return round(round(value / step) * step, digits)
