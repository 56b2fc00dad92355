"""The docks beside the picture, joined when they are made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voxcam.plugin.joining.hearing import follow, follow_napari
from voxcam.plugin.review.windows import Dragging

if TYPE_CHECKING:
    from voxcam.plugin.docks.along.slice_plot import SlicePlot
    from voxcam.plugin.docks.planes.planes import Planes
    from voxcam.plugin.docks.studies.browser import Browser
    from voxcam.plugin.room import Room


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
    browser.show_asked.connect(review.show)
    browser.close_asked.connect(review.close)
    browser.forget_asked.connect(review.forget_place)
    browser.thumbnails_wanted.connect(thumbnails.want)
    scanner.progressed.connect(browser.show_progress)
    scanner.found.connect(browser.show_found)
    scanner.failed.connect(browser.show_failure)
    scanner.ended.connect(browser.show_ended)
    thumbnails.made.connect(browser.show_thumbnail)
    follow(
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

    def show_values(point: Any) -> None:
        room.hover.leave()  # the mouse is on these planes, not on the canvas
        room.readout.show_point(review.reading, point, room.hover.moment)

    planes.hovered.connect(show_values)
    follow(planes, (review.study_changed, review.convention_changed), planes.show_review, room)
    follow(
        planes,
        (review.look_changed, review.window_changed, review.explanation_changed),
        planes.show_look,
        room,
    )
    follow(planes, (review.point_changed,), planes.show_point, room)
    dims = room.viewer.dims

    def show_main(_: object = None) -> None:
        if dims.ndim >= 3:
            planes.show_main(room.layers.order()[0] if dims.ndisplay == 2 else -1)

    def show_moment(_: object = None) -> None:
        planes.show_moment(int(dims.current_step[0]) if dims.ndim == 4 else 0)

    follow_napari(planes, show_main, dims.events.order, dims.events.ndisplay)
    follow_napari(planes, show_moment, dims.events.current_step)
    planes.show_crosshair(room.crosshair.is_on)
    room.keys.in_dock(planes, but=("M", "0"))  # it has its own
    return planes


def join_plot(room: Room, plot: SlicePlot) -> SlicePlot:
    """Join the graph along the slices."""
    review = room.review
    plot.slice_asked.connect(review.go_to)
    told = (review.study_changed, review.explanation_changed, review.look_changed)
    follow(plot, told, plot.show_review, room)
    follow(plot, (review.point_changed,), plot.show_point, room)

    def show_plane(_: object = None) -> None:
        if room.viewer.dims.ndim >= 3:
            plot.show_plane(room.layers.order()[0])

    follow_napari(plot, show_plane, room.viewer.dims.events.order)
    room.keys.in_dock(plot)
    return plot
