"""The panels of the main dock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voxcam.plugin.docks.beside import PLOT
from voxcam.plugin.docks.studies.drops import accept_drops
from voxcam.plugin.joining.hearing import hear, later
from voxcam.plugin.reader import get_reader
from voxcam.plugin.review.windows import WindowMemory
from voxcam.plugin.work.recent import forget, recent

if TYPE_CHECKING:
    from pathlib import Path

    from qtpy.QtWidgets import QWidget

    from voxcam.plugin.room import Room

_IDLE_MS = 300  # after a study was opened


def join_scan(room: Room) -> None:
    """Join which scan is open, its plane and its cine."""
    scan, review = room.scan, room.review
    scan.file_asked.connect(room.open_file)
    scan.folder_asked.connect(room.open_folder)
    scan.layer_asked.connect(room.open_layer)
    scan.browser_asked.connect(room.show_browser)
    scan.plane_asked.connect(room.show_plane)
    scan.convention_asked.connect(room.set_convention)
    scan.modality_asked.connect(room.state_modality)
    scan.cine.play_asked.connect(room.cine.play)
    scan.cine.rate_asked.connect(room.cine.set_rate)
    scan.cine.back_and_forth_asked.connect(room.cine.set_back_and_forth)
    scan.cine.over_asked.connect(room.cine.set_over)
    room.cine.playing_changed.connect(scan.cine.show_playing)

    def show_moment(_: object = None) -> None:
        scan.show_moment(review.volume, room.hover.moment)

    def show_study() -> None:
        room.say("", False)
        scan.show_review(review)
        room.classifier.show_running(review)

    hear(room, room.viewer.dims.events.current_step, show_moment)
    review.study_changed.connect(show_study)
    review.convention_changed.connect(lambda: scan.show_convention(review.neurological))
    join_drops(room, room)
    hear(room, room.viewer.layers.events.inserted, room.take_dropped)


def join_drops(room: Room, widget: QWidget) -> None:
    """Open the scans that are dropped on a widget."""
    accept_drops(widget, room.open_places, _are_scans)


def _are_scans(paths: list[Path]) -> bool:
    """Whether dropped files are scans, as far as a look at their names tells; napari has the others."""
    return get_reader([str(path) for path in paths]) is not None


def join_window(room: Room) -> None:
    """Join the window: chosen, typed, dragged, and remembered for each series."""
    scan, review, memory = room.scan, room.review, WindowMemory()
    scan.window_asked.connect(review.set_window)

    def show() -> None:
        scan.show_window(review.window)
        memory.note(review.reading.origin, review.window)

    def recall() -> None:
        remembered = memory.recall(review.reading.origin)
        if remembered is not None and remembered != review.window:
            review.set_window(remembered)

    review.window_changed.connect(show)
    review.study_changed.connect(recall)


def join_classifier(room: Room) -> None:
    """Join the choice of a classifier, what it says of itself, and how the scan fits it."""
    panel, review, describer = room.classifier, room.review, room.describer
    panel.bundle_asked.connect(room.choose_bundle)
    panel.file_asked.connect(room.choose_file)
    panel.device_asked.connect(lambda device: review.choose(review.bundle, device))
    panel.options_asked.connect(room.ask_options)
    panel.run_asked.connect(room.run)
    panel.cancel_asked.connect(room.cancel)

    def forget_model(model: Any) -> None:
        forget(model)
        describer.offer()

    def show_classifier() -> None:
        panel.show_bundle(review)
        panel.show_running(review)
        if panel.description is None:
            room.evidence.show_chosen_model(None)
        room.evidence.show_review(review)
        describer.describe(review.bundle)

    def show_description(description: Any) -> None:
        panel.show_description(description)
        room.evidence.show_chosen_model(description.statement)
        if description.wrong and description.place in recent():  # what is no model is not offered again
            forget_model(description.place)
        describer.fit(description, review.volume)

    panel.forget_asked.connect(forget_model)
    describer.offered.connect(panel.show_offers)
    describer.described.connect(show_description)
    describer.fitted.connect(panel.show_fit)
    review.classifier_changed.connect(show_classifier)
    review.study_changed.connect(lambda: describer.fit(panel.description, review.volume))

    def ask_trust(code: Any) -> None:
        room.ask_trust(code)
        room.dialog.show_files(review.bundle)

    review.trust_asked.connect(ask_trust)
    review.weights_asked.connect(room.ask_about_weights)


def join_evidence(room: Room) -> None:
    """Join the classes and how their evidence is looked at."""
    panel, review = room.evidence, room.review
    panel.method_asked.connect(review.show_method)
    panel.layer_asked.connect(review.show_layer)
    panel.drawn_asked.connect(room.set_drawn)
    panel.adjusted.connect(
        lambda name, threshold, opacity: review.adjust(name, threshold=threshold, opacity=opacity)
    )
    panel.alike_asked.connect(review.adjust_alike)
    panel.shared_asked.connect(lambda on: review.set_look(shared_range=on))
    panel.layered_asked.connect(lambda on: review.set_look(layered=on))
    panel.depth_asked.connect(room.set_depth)
    panel.peak_asked.connect(room.step_peak)
    panel.hide_asked.connect(room.hide_evidence)
    panel.export_asked.connect(room.export_figure)
    panel.table.toggled.connect(review.show_class)
    panel.table.coloured.connect(review.colour)
    panel.table.shown_asked.connect(lambda names: review.set_look(shown=frozenset(names), hidden=False))
    panel.table.chosen.connect(room.depth.choose)
    for signal in (review.explanation_changed, review.look_changed):
        signal.connect(lambda: panel.show_review(review))
    hear(room, room.viewer.dims.events.ndisplay, lambda _: panel.show_depth(room.depth.is_on))


def join_plot(room: Room) -> None:
    """Show the graph along the slices with the first explanation that has one; closed, it stays so."""
    review = room.review

    def show() -> None:
        if review.reading.windows is None:
            room.beside.hide(PLOT)
        elif not room.beside.was_hidden(PLOT):
            later(room, lambda: room.beside.show(PLOT))

    review.explanation_changed.connect(show)


def join_measuring(room: Room) -> None:
    """Join the tools to measure with, and what was measured."""
    panel, measuring = room.measure, room.measuring

    def go(row: int) -> None:
        room.show_plane(measuring.measurements[row].through)
        room.review.go_to(measuring.middle_mm(row))

    panel.tool_asked.connect(lambda tool: measuring.use(tool or None))
    panel.chosen.connect(lambda row: measuring.choose(row if row >= 0 else None))
    panel.go_asked.connect(go)
    panel.delete_asked.connect(measuring.remove)
    measuring.changed.connect(lambda: panel.show_measurements(measuring.found, measuring.chosen))
    measuring.tool_changed.connect(lambda: panel.show_tool(measuring.tool, room.review.volume is not None))
    room.review.study_changed.connect(lambda: panel.show_tool(None, room.review.volume is not None))


def join_picture(room: Room) -> None:
    """Join the mouse on napari's canvas."""
    review, hover = room.review, room.hover
    room.crosshair.asked.connect(review.go_to)

    def show_values(point: Any) -> None:
        room.readout.show_point(review.reading, point, hover.moment, hover.labels)

    hover.hovered.connect(show_values)
    for signal in (review.look_changed, review.explanation_changed):
        signal.connect(lambda: room.readout.show_again(review.reading))


def join_work(room: Room) -> None:
    """Join what runs, and what is said."""
    review = room.review
    review.study_changed.connect(lambda: later(room, room.layers.prepare, _IDLE_MS))

    def show_running() -> None:
        running = review.running
        if running is not None and running.what != "explaining":
            room.say(running.words, False)
        elif room.message.property("running"):
            room.say("", False)
        room.message.setProperty("running", running is not None and running.what != "explaining")
        room.classifier.show_running(review)
        room.evidence.show_hint(review)

    def forget_word() -> None:
        # What was said was of the evidence before; an error stays until it is read.
        if not room.message.property("wrong"):
            room.say("", False)

    for signal in (review.explanation_changed, review.look_changed):
        signal.connect(forget_word)
    review.running_changed.connect(show_running)
    review.said.connect(room.say)
    room.scanner.found.connect(review.know_place)


def show_all(room: Room) -> None:
    """Show everything for the first time."""
    room.say("", False)
    room.scan.show_review(room.review)
    room.classifier.show_bundle(room.review)
    room.classifier.show_running(room.review)
    room.evidence.show_review(room.review)
    room.measure.show_tool(None, room.review.volume is not None)
    room.describer.offer()
