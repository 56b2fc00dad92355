"""Every key of the reading room: bound, shown on the key sheet, named in tooltips and docs, from one list."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from napari.components import ViewerModel
    from qtpy.QtGui import QShortcut
    from qtpy.QtWidgets import QWidget

    Act = Callable[..., object]

STUDY, CLASSIFIER, EVIDENCE, SHEET = "Study and planes", "Classifier", "Evidence", "This sheet"


@dataclass(frozen=True)
class Key:
    """A key, or several, and what it does.

    Parameters
    ----------
    keys
        As napari writes them. All do the same, unless `each`.
    words
        What it does, for a reader.
    each
        Each key does it for another thing: the action gets the key's place, 0 for the first.
    by
        Who acts on it: the "room", whose keys are bound here; "napari", the "mouse", "measuring".
    """

    keys: tuple[str, ...]
    group: str
    words: str
    each: bool = False
    by: str = "room"

    @property
    def shown(self) -> str:
        """The keys as a reader knows them: "Ctrl+.", "1 to 9", "? or F1"."""
        return f"{self.keys[0]} to {self.keys[-1]}" if self.each else " or ".join(self.keys)


# By the name of what it does. Keys that napari's image layers take (C, and 1 and 2, which would let the
# study be moved) mean this in the room; layers that are drawn on (labels, shapes, points) keep theirs while
# they are selected.
KEYS: dict[str, Key] = {
    "axial": Key(("A",), STUDY, "Axial plane"),
    "coronal": Key(("C",), STUDY, "Coronal plane"),
    "sagittal": Key(("S",), STUDY, "Sagittal plane"),
    "slices": Key(("Left", "Right"), STUDY, "Slice before, or after", by="napari"),
    "cine": Key(("P",), STUDY, "Run through the images, and stop"),
    "planes": Key(("M",), STUDY, "Other planes beside this one"),
    "depth": Key(("D",), STUDY, "In 3D, and back"),
    "convention": Key(("R",), STUDY, "Radiological or neurological: which side the patient's left is on"),
    "window": Key(tuple("123456789"), STUDY, "Window of this number in the list", each=True),
    "own_window": Key(("0",), STUDY, "The study's own window"),
    "drag_window": Key(
        ("right drag",), STUDY, "Window: across its width, down its level; with Shift fine", by="mouse"
    ),
    "drag_back": Key(("right double click",), STUDY, "The study's own window", by="mouse"),
    "click": Key(("click",), STUDY, "While other planes are shown: let them cross here", by="mouse"),
    "delete": Key(("Delete",), STUDY, "Drop the chosen measurement", by="measuring"),
    "escape": Key(("Escape",), STUDY, "Give up what is being measured", by="measuring"),
    "fit": Key(("Ctrl+0",), STUDY, "Fit the picture to the window", by="napari"),
    "browser": Key(("B",), STUDY, "Studies that are open, and series of a place"),
    "run": Key(("Ctrl+Enter",), CLASSIFIER, "Run the classifier"),
    "cancel": Key(("Ctrl+.",), CLASSIFIER, "Stop the run at its next step"),
    "hide": Key(("E",), EVIDENCE, "Hide all evidence, and show it again"),
    "hottest": Key(("J",), EVIDENCE, "Jump to where the evidence is highest"),
    "next_peak": Key(("N",), EVIDENCE, "Next peak of the evidence"),
    "previous_peak": Key(("Shift+N",), EVIDENCE, "Peak before"),
    "toggle_class": Key(
        tuple(f"Ctrl+{row}" for row in range(1, 10)),
        EVIDENCE,
        "Evidence of the class in this row, the highest score first, on or off",
        each=True,
    ),
    "next_drawn": Key(("W",), EVIDENCE, "Draw it otherwise: smooth, cells, contours"),
    "plot": Key(("G",), EVIDENCE, "Graph of scores and evidence along the slices"),
    "export_figure": Key(("Ctrl+Shift+E",), EVIDENCE, "Export a figure of this slice"),
    "keys": Key(("?", "F1"), SHEET, "All keys"),
}


def tip(words: str, name: str) -> str:
    """Return a tooltip with the key that does the same: "Run the classifier (Ctrl+Enter)"."""
    return f"{words} ({KEYS[name].shown})"


def grouped() -> dict[str, tuple[Key, ...]]:
    """Return the keys by group, in the order of the list."""
    groups = dict.fromkeys(key.group for key in KEYS.values())
    return {group: tuple(key for key in KEYS.values() if key.group == group) for group in groups}


def keys_as_markdown() -> str:
    """Return the key sheet as a table for the docs."""
    lines = ["| Key | Does |", "|---|---|"]
    for group, keys in grouped().items():
        lines.append(f"| **{group}** | |")
        lines += [
            f"| {_marked(key)} | {key.words}{' (napari)' if key.by == 'napari' else ''} |" for key in keys
        ]
    return "\n".join(lines) + "\n"


def bind(viewer: ViewerModel, actions: Mapping[str, Act]) -> Bound:
    """Bind every key of the list to the action of its name, in the viewer and its images.

    Parameters
    ----------
    viewer
        napari's viewer, or its model alone.
    actions
        By the names of `KEYS`; a key whose action is not given stays unbound.
    """
    bound = Bound(actions)
    bound.in_keymap(viewer)
    for layer in viewer.layers:
        bound.in_layer(layer)
    viewer.layers.events.inserted.connect(bound.on_layer)
    window = getattr(getattr(viewer, "window", None), "_qt_window", None)
    if window is not None:
        bound.in_window(window)
    return bound


class Bound:
    """Keys that were bound; kept for as long as they are to work."""

    def __init__(self, actions: Mapping[str, Act]) -> None:
        self._doing = dict(_doing(actions))
        self._keymaps: list[Any] = []
        self._shortcuts: list[QShortcut] = []

    def in_keymap(self, provider: Any) -> None:
        """Bind in the keymap of a viewer or layer itself, which goes before that of its class."""
        for key, act in self._doing.items():
            if _napari_knows(key):
                provider.bind_key(key, _press(act), overwrite=True)
        self._keymaps.append(provider)

    def in_layer(self, layer: Any) -> None:
        """Bind in an image: the selected layer's keys go before the viewer's. Drawing keeps its own keys."""
        from napari.layers import Image

        if isinstance(layer, Image):
            self.in_keymap(layer)

    def on_layer(self, event: Any) -> None:
        """Bind in a layer that was added."""
        self.in_layer(event.value)

    def in_window(self, window: QWidget) -> None:
        """Bind in a window what napari's keymaps have no word for: the question mark."""
        from qtpy.QtCore import Qt

        for key, act in self._doing.items():
            if not _napari_knows(key):
                self._add_shortcut(window, key, act, Qt.WindowShortcut)

    def in_dock(self, dock: QWidget, but: Collection[str] = ()) -> None:
        """Bind in a dock too, `but` keys that mean something else there.

        Tables and boxes would take letters for a search in their entries. Where text is typed, letters stay
        text.
        """
        from qtpy.QtCore import Qt

        for key, act in self._doing.items():
            if _napari_knows(key) and key not in but:
                self._add_shortcut(dock, key, act, Qt.WidgetWithChildrenShortcut)

    def release(self) -> None:
        """Unbind everything."""
        from qtpy.compat import isalive

        for provider in self._keymaps:
            for key in filter(_napari_knows, self._doing):
                provider.bind_key(key, None)
        for shortcut in self._shortcuts:
            if isalive(shortcut):
                shortcut.setEnabled(False)
                shortcut.deleteLater()
        self._doing, self._keymaps, self._shortcuts = {}, [], []

    def _add_shortcut(self, widget: QWidget, key: str, act: Act, where: Any) -> None:
        from qtpy.QtGui import QKeySequence, QShortcut

        for name in _as_qt_may_see_it(key):
            shortcut = QShortcut(QKeySequence(name), widget)
            shortcut.setContext(where)
            shortcut.setAutoRepeat(False)
            shortcut.activated.connect(_press(act))
            # One of several that fit is told, and it is one of ours.
            shortcut.activatedAmbiguously.connect(_press(act))
            self._shortcuts.append(shortcut)


def _doing(actions: Mapping[str, Act]) -> Iterator[tuple[str, Act]]:
    """Give every single key and what it does."""
    for name, key in KEYS.items():
        if key.by == "room" and name in actions:
            for place, one in enumerate(key.keys):
                yield one, partial(actions[name], place) if key.each else actions[name]


def _napari_knows(key: str) -> bool:
    # The rest would be bound to "no key", and every unknown key would do it.
    return key != "?"


def _as_qt_may_see_it(key: str) -> tuple[str, ...]:
    if key == "?":
        return "?", "Shift+?"  # by the keyboard's layout it may come with Shift
    # Qt tells the two Enter keys of a keyboard apart, napari does not.
    return (key, key.replace("Enter", "Return")) if "Enter" in key else (key,)


def _press(act: Act) -> Callable[..., None]:
    """Return a function with a name, which napari asks for, and no answer, which napari would call later."""

    def press(*_: object) -> None:
        act()

    return press


def _marked(key: Key) -> str:
    joint = " to " if key.each else " or "
    ends = (key.keys[0], key.keys[-1]) if key.each else key.keys
    return joint.join(f"<kbd>{one}</kbd>" for one in ends)
