"""What the room does by name: for napari's command palette and menus (napari.yaml), and for its keys."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from voxcam.plugin.review.review import Review

    Ask = Callable[..., object]


class Desk(Protocol):
    """What a command asks of the reading room of a viewer."""

    review: Review

    def run(self) -> object:
        """Run the classifier."""

    def cancel(self) -> object:
        """Stop the run."""

    def hide_evidence(self) -> object:
        """Hide all evidence, or show it again."""

    def step_peak(self, by: int) -> object:
        """Go to the highest peak (0), the next (1), the one before (-1)."""

    def show_plane(self, through: int) -> object:
        """Show axial (0), coronal (1), sagittal (2) slices."""

    def show_browser(self) -> object:
        """Show the studies."""

    def show_planes(self) -> object:
        """Show three planes at once."""

    def show_plot(self) -> object:
        """Show the graph along the slices."""

    def show_keys(self) -> object:
        """Show the key sheet."""

    def set_depth(self, on: bool | None) -> object:
        """Show in 3D or not; None turns it over."""

    def export_figure(self) -> object:
        """Ask where, and write a figure of the slice."""

    def set_convention(self, neurological: bool | None) -> object:
        """Set which side the patient's left is on; None turns it over."""

    def set_drawn(self, name: str) -> object:
        """Draw the evidence smooth, as cells, or as contours."""


@dataclass(frozen=True)
class Action:
    """What is asked of a desk, and what must be there for it: `_scan`, `_evidence`, ... in turn."""

    ask: Ask
    needs: tuple[Callable[[Review], str], ...] = ()


def actions_of(desk: Desk) -> Mapping[str, Callable[..., None]]:
    """Return what each name of `ACTIONS` does at a desk; the room binds its keys to these."""
    return {name: partial(_act, desk, name) for name in ACTIONS}


# --- the commands of napari.yaml


def open_room() -> None:
    """Open the reading room."""
    _desk()


def run() -> None:
    """Run the classifier on the study."""
    _do("run")


def cancel() -> None:
    """Stop the run at its next step."""
    _do("cancel")


def hide() -> None:
    """Hide all evidence, or show it again."""
    _do("hide")


def hottest() -> None:
    """Jump to where the evidence is highest."""
    _do("hottest")


def next_peak() -> None:
    """Go to the next peak of the evidence."""
    _do("next_peak")


def previous_peak() -> None:
    """Go to the peak of the evidence before."""
    _do("previous_peak")


def axial() -> None:
    """Show axial slices."""
    _do("axial")


def coronal() -> None:
    """Show coronal slices."""
    _do("coronal")


def sagittal() -> None:
    """Show sagittal slices."""
    _do("sagittal")


def radiological() -> None:
    """Show the patient's left at the right of the screen."""
    _do("radiological")


def neurological() -> None:
    """Show the patient's left at the left of the screen."""
    _do("neurological")


def smooth() -> None:
    """Draw the evidence smooth."""
    _do("smooth")


def cells() -> None:
    """Draw the evidence as the network's own cells."""
    _do("cells")


def contours() -> None:
    """Draw the evidence as contours."""
    _do("contours")


def depth() -> None:
    """Show the study in 3D, or in slices again."""
    _do("depth")


def export_figure() -> None:
    """Export a figure of the slice on the screen."""
    _do("export_figure")


def browser() -> None:
    """Show the studies that are open, and what places hold."""
    _do("browser")


def planes() -> None:
    """Show three planes at once."""
    _do("planes")


def plot() -> None:
    """Show scores and evidence along the slices."""
    _do("plot")


def keys() -> None:
    """Show the key sheet."""
    _do("keys")


# --- what must be there


def _runnable(review: Review) -> str:
    return "A run is under way." if review.running is not None else review.missing


def _running(review: Review) -> str:
    return "" if review.running is not None else "Nothing is running."


def _scan(review: Review) -> str:
    return "" if review.volume is not None else "Open a scan first."


def _evidence(review: Review) -> str:
    explanation = review.explanation
    if explanation is None:
        return "There is no evidence yet: run the classifier first."
    return "" if explanation.explained else "There is no heatmap: scores alone were found."


# --- what a desk does

# The keys of a literal list, that commands and keyboard may ask for.
ACTIONS: dict[str, Action] = {
    "run": Action(lambda desk: desk.run(), (_runnable,)),
    "cancel": Action(lambda desk: desk.cancel(), (_running,)),
    "hide": Action(lambda desk: desk.hide_evidence(), (_scan, _evidence)),
    "hottest": Action(lambda desk: desk.step_peak(0), (_scan, _evidence)),
    "next_peak": Action(lambda desk: desk.step_peak(1), (_scan, _evidence)),
    "previous_peak": Action(lambda desk: desk.step_peak(-1), (_scan, _evidence)),
    "toggle_class": Action(lambda desk, row: _toggle_class(desk, row), (_scan, _evidence)),
    "axial": Action(lambda desk: desk.show_plane(0), (_scan,)),
    "coronal": Action(lambda desk: desk.show_plane(1), (_scan,)),
    "sagittal": Action(lambda desk: desk.show_plane(2), (_scan,)),
    "convention": Action(lambda desk: desk.set_convention(None)),
    "radiological": Action(lambda desk: desk.set_convention(False)),
    "neurological": Action(lambda desk: desk.set_convention(True)),
    "smooth": Action(lambda desk: desk.set_drawn("smooth")),
    "cells": Action(lambda desk: desk.set_drawn("cells")),
    "contours": Action(lambda desk: desk.set_drawn("contours")),
    "next_drawn": Action(lambda desk: _draw_otherwise(desk), (_scan, _evidence)),
    "depth": Action(lambda desk: desk.set_depth(None), (_scan,)),
    "export_figure": Action(lambda desk: desk.export_figure(), (_scan, _evidence)),
    "browser": Action(lambda desk: desk.show_browser()),
    "planes": Action(lambda desk: desk.show_planes(), (_scan,)),
    "plot": Action(lambda desk: desk.show_plot(), (_scan, _evidence)),
    "keys": Action(lambda desk: desk.show_keys()),
}


def _toggle_class(desk: Desk, row: int) -> None:
    rows = desk.review.rows
    if row < len(rows) and rows[row].explained:
        desk.review.show_class(rows[row].name, not rows[row].shown)


def _draw_otherwise(desk: Desk) -> None:
    from voxcam.plugin.review.look import DRAWN

    desk.set_drawn(DRAWN[(DRAWN.index(desk.review.look.drawn) + 1) % len(DRAWN)])


def _do(name: str) -> None:
    desk = _desk()
    if desk is not None:
        _act(desk, name)


def _act(desk: Desk, name: str, *which: int) -> None:
    """Do it at a desk, or say in a line what is missing for it."""
    action = ACTIONS[name]
    lacking = next(filter(None, (lack(desk.review) for lack in action.needs)), "")
    if lacking:
        _say(lacking)
    else:
        action.ask(desk, *which)


def _desk() -> Desk | None:
    """Return the desk of the viewer in use, its room opened if it was not."""
    import napari

    viewer = napari.current_viewer()
    if viewer is None:
        _say("Open a napari window first.")
        return None
    from voxcam.plugin.desk import desk_of

    desk: Any = desk_of(viewer)
    found: Desk = desk
    return found


def _say(line: str) -> None:
    from napari.utils.notifications import show_info

    show_info(line)
