"""Who listens to whom: panels ask the review, the review tells panels and picture."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from psygnal import Signal as Told
from qtpy.compat import isalive
from qtpy.QtCore import QObject, QTimer, Signal

from voxcam.plugin.commands import actions_of
from voxcam.plugin.docks.beside import PLOT
from voxcam.plugin.docks.browser import accept_drops
from voxcam.plugin.keys import bind
from voxcam.plugin.preferences import follow_preferences, preferences
from voxcam.plugin.reader import get_reader
from voxcam.plugin.review.windows import Dragging, WindowMemory, preset_for_key
from voxcam.plugin.work.recent import forget

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from qtpy.QtWidgets import QWidget

    from voxcam.plugin.docks.browser import Browser
    from voxcam.plugin.docks.planes import Planes
    from voxcam.plugin.docks.slice_plot import SlicePlot
    from voxcam.plugin.room import Room


_IDLE_MS = 300  # after a study was opened


def join(room: Room) -> None:
    """Join everything the room has from the first."""
    _join_scan(room)
    _join_window(room)
    _join_classifier(room)
    _join_evidence(room)
    _join_plot(room)
    _join_measuring(room)
    _join_picture(room)
    _join_work(room)
    _join_preferences(room)
    room.keys = bind(room.viewer, _actions(room))
    room.keys.in_dock(room)
    room.leave = _leaver(room)
    room.destroyed.connect(lambda _=None, leave=room.leave: leave())
    _show_all(room)


# --- panels


def _join_scan(room: Room) -> None:
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

    _hear(room, room.viewer.dims.events.current_step, show_moment)
    review.study_changed.connect(show_study)
    review.convention_changed.connect(lambda: scan.show_convention(review.neurological))
    join_drops(room, room)
    _hear(room, room.viewer.layers.events.inserted, room.take_dropped)


def join_drops(room: Room, widget: QWidget) -> None:
    """Open the scans that are dropped on a widget."""
    accept_drops(widget, room.open_places, _are_scans)


def _are_scans(paths: list[Path]) -> bool:
    """Whether dropped files are scans, as far as a look at their names tells; napari has the others."""
    return get_reader([str(path) for path in paths]) is not None


def _join_window(room: Room) -> None:
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


def _join_classifier(room: Room) -> None:
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
        room.evidence.show_review(review)
        describer.describe(review.bundle)

    def show_description(description: Any) -> None:
        panel.show_description(description)
        describer.fit(description, review.volume)

    panel.forget_asked.connect(forget_model)
    describer.offered.connect(panel.show_offers)
    describer.described.connect(show_description)
    describer.fitted.connect(panel.show_fit)
    review.classifier_changed.connect(show_classifier)
    review.study_changed.connect(lambda: describer.fit(panel.description, review.volume))
    review.trust_asked.connect(room.ask_trust)
    review.weights_asked.connect(room.ask_about_weights)


def _join_evidence(room: Room) -> None:
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
    _hear(room, room.viewer.dims.events.ndisplay, lambda _: panel.show_depth(room.depth.is_on))


def _join_plot(room: Room) -> None:
    """Show the graph along the slices with the first explanation that has one; closed, it stays so."""
    review = room.review

    def show() -> None:
        if review.reading.windows is None:
            room.beside.hide(PLOT)
        elif not room.beside.was_hidden(PLOT):
            _later(room, lambda: room.beside.show(PLOT))

    review.explanation_changed.connect(show)


def _join_measuring(room: Room) -> None:
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


def _join_picture(room: Room) -> None:
    """Join the mouse on napari's canvas."""
    review, hover = room.review, room.hover
    room.crosshair.asked.connect(review.go_to)
    hover.hovered.connect(lambda point: room.readout.show_point(review.reading, point, hover.moment))


def _join_work(room: Room) -> None:
    review = room.review
    review.study_changed.connect(lambda: _later(room, room.layers.prepare, _IDLE_MS))

    def show_running() -> None:
        running = review.running
        if running is not None and running.what != "explaining":
            room.say(running.words, False)
        elif room.message.property("running"):
            room.say("", False)
        room.message.setProperty("running", running is not None and running.what != "explaining")
        room.classifier.show_running(review)
        room.evidence.show_hint(review)

    review.running_changed.connect(show_running)
    review.said.connect(room.say)
    room.scanner.found.connect(review.know_place)


def _show_all(room: Room) -> None:
    room.say("", False)
    room.scan.show_review(room.review)
    room.classifier.show_bundle(room.review)
    room.classifier.show_running(room.review)
    room.evidence.show_review(room.review)
    room.measure.show_tool(None, room.review.volume is not None)
    room.describer.offer()


# --- the docks beside, when they are made


def join_browser(room: Room, browser: Browser) -> Browser:
    """Join the list of studies."""
    review, scanner, thumbnails = room.review, room.scanner, room.thumbnails
    browser.file_asked.connect(room.open_file)
    browser.folder_asked.connect(room.open_folder)
    browser.places_asked.connect(scanner.scan)
    browser.cancel_asked.connect(scanner.cancel)
    browser.series_asked.connect(
        lambda place, series: room.runner.read_series(place, review.places[place], series)
    )
    browser.close_asked.connect(review.close)
    browser.forget_asked.connect(review.forget_place)
    browser.thumbnails_wanted.connect(thumbnails.want)
    scanner.progressed.connect(browser.show_progress)
    scanner.failed.connect(browser.show_failure)
    scanner.ended.connect(browser.show_ended)
    thumbnails.made.connect(browser.show_thumbnail)
    _follow(
        browser,
        (review.places_changed, review.studies_changed, review.study_changed),
        browser.show_review,
        room,
    )
    room.keys.in_dock(browser)
    return browser


def join_planes(room: Room, planes: Planes) -> Planes:
    """Join the other planes."""
    review = room.review
    planes.point_asked.connect(review.go_to)
    planes.plane_asked.connect(room.show_plane)
    planes.crosshair_asked.connect(room.show_crosshair)
    dragging = Dragging()

    def drag(dx: float, dy: float) -> None:
        if review.window is not None:
            review.set_window(dragging.on(review.window, dx, dy))

    planes.right_dragged.connect(drag)
    planes.hovered.connect(lambda point: room.readout.show_point(review.reading, point, room.hover.moment))
    _follow(planes, (review.study_changed, review.convention_changed), planes.show_review, room)
    _follow(
        planes,
        (review.look_changed, review.window_changed, review.explanation_changed),
        planes.show_look,
        room,
    )
    _follow(planes, (review.point_changed,), planes.show_point, room)
    dims = room.viewer.dims

    def show_main(_: object = None) -> None:
        if dims.ndim >= 3:
            planes.show_main(room.layers.order()[0] if dims.ndisplay == 2 else -1)

    def show_moment(_: object = None) -> None:
        planes.show_moment(int(dims.current_step[0]) if dims.ndim == 4 else 0)

    _follow_napari(planes, show_main, dims.events.order, dims.events.ndisplay)
    _follow_napari(planes, show_moment, dims.events.current_step)
    planes.show_crosshair(room.crosshair.is_on)
    room.keys.in_dock(planes, but=("M", "0"))  # it has its own
    return planes


def join_plot(room: Room, plot: SlicePlot) -> SlicePlot:
    """Join the graph along the slices."""
    review = room.review
    plot.slice_asked.connect(review.go_to)
    told = (review.study_changed, review.explanation_changed, review.look_changed)
    _follow(plot, told, plot.show_review, room)
    _follow(plot, (review.point_changed,), plot.show_point, room)

    def show_plane(_: object = None) -> None:
        if room.viewer.dims.ndim >= 3:
            plot.show_plane(room.layers.order()[0])

    _follow_napari(plot, show_plane, room.viewer.dims.events.order)
    room.keys.in_dock(plot)
    return plot


def _follow(widget: QWidget, signals: tuple[Any, ...], show: Any, room: Room) -> None:
    """Show the review now and at each signal, for as long as the widget lives."""

    def tell(*_: object) -> None:
        show(room.review)

    for signal in signals:
        signal.connect(tell)
    widget.destroyed.connect(lambda _=None: [signal.disconnect(tell) for signal in signals])
    tell()


def _follow_napari(widget: QWidget, tell: Any, *emitters: Any) -> None:
    """Tell now and at each of napari's events, for as long as the widget lives."""
    for emitter in emitters:
        emitter.connect(tell)
    widget.destroyed.connect(lambda _=None: [emitter.disconnect(tell) for emitter in emitters])
    tell()


def _hear(room: Room, emitter: Any, tell: Any) -> None:
    """Tell at each of napari's events until the room is left."""
    emitter.connect(tell)
    room.heard.append(lambda: emitter.disconnect(tell))


def _later(room: Room, do: Callable[[], object], wait_ms: int = 0) -> None:
    """Do it in a turn of its own: each is short, and the window answers in between."""

    def if_alive() -> None:
        if isalive(room) and not room.runner.closed:
            do()

    QTimer.singleShot(wait_ms, if_alive)


# --- keys, preferences, the end


def _actions(room: Room) -> dict[str, Any]:
    """Return what each key does: the commands, and what only keys ask for."""
    return {
        **actions_of(room),
        "window": lambda n: _preset(room, n + 1),
        "own_window": lambda: _preset(room, 0),
        "cine": room.cine.toggle,
    }


def _preset(room: Room, digit: int) -> None:
    volume = room.review.volume
    window = None if volume is None else preset_for_key(volume, digit)
    if window is not None:
        room.review.set_window(window)


class _Preferred(QObject):  # type: ignore[misc]
    """Reads the preferences in a thread: napari reads every manifest anew for them, a fifth of a second."""

    found = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        threading.Thread(target=self._read, name="voxcam preferences", daemon=True).start()

    def _read(self) -> None:
        self.found.emit(preferences())


def _join_preferences(room: Room) -> None:
    room.preferred = _Preferred()

    def begin(found: Any) -> None:
        room.prefer(found)
        follow_preferences(room.prefer)

    room.preferred.found.connect(begin)


def _leaver(room: Room) -> Callable[[], None]:
    """Return what ends the work and hears no more, once; it must not hold the room itself."""
    runner, review, heard, beside, keys = room.runner, room.review, room.heard, room.beside, room.keys
    work = (room.scanner, room.thumbnails, room.describer)
    picture = (room.crosshair, room.window_drag, room.hover, room.measuring, room.overlays)
    layers = (room.depth, room.layers)
    cine = room.cine

    def leave() -> None:
        if runner.closed:
            return
        runner.close()
        for one in (*work, *picture, *layers):
            one.close()
        keys.release()
        if isalive(cine):
            cine.stop()
        for unhear in heard:
            unhear()
        for name in dir(type(review)):
            if isinstance(getattr(type(review), name), Told):
                getattr(review, name).disconnect()
        beside.close()

    return leave
