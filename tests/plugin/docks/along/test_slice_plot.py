"""The plot of scores along the slices: its pixels, and where clicks and keys go."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QColor

from voxcam.core.answer import Answer
from voxcam.core.explanation import Windows
from voxcam.plugin.docks.along.slice_curves import fitting, slice_ticks
from voxcam.plugin.docks.along.slice_plot import SlicePlot
from voxcam.plugin.docks.theme import colours
from voxcam.plugin.review.review import Review

pytestmark = pytest.mark.gui
# The scan of 20 axial slices of 3 mm: index 19 along z, at -23 mm, is the uppermost, slice 0 on the screen.
TOP_MM, STEP_MM, COUNT = -23.0, 3.0, 20


def z_of(number):
    return TOP_MM - number * STEP_MM


def read_by_slices(explained, scores, at=None, **answer):
    """The explanation, as a model gave it that read slice after slice from the feet up."""
    at = range(COUNT)[::-1] if at is None else at
    centres = np.array([(40 - 35, 25 - 29, z_of(number)) for number in at], np.float64)
    return replace(
        explained,
        windows=Windows(centres, np.asarray(scores, np.float32)),
        answer=Answer(answer.pop("activation", "sigmoid"), **answer),
    )


def ramp(count=COUNT):
    """Of the first class 0, 1/20, 2/20, ... from the feet up; of the others a half and nothing."""
    up = np.arange(count) / count
    return np.column_stack([up, np.full(count, 0.5), np.zeros(count)])


@pytest.fixture
def review(scan):
    review = Review()
    review.open(scan)
    return review


@pytest.fixture
def plot(qtbot, review):
    plot = SlicePlot()
    qtbot.addWidget(plot)
    plot.resize(640, 120)
    review.explanation_changed.connect(lambda: plot.show_review(review))
    review.look_changed.connect(lambda: plot.show_review(review))
    review.point_changed.connect(lambda: plot.show_point(review))
    plot.slice_asked.connect(review.go_to)
    plot.show_review(review)
    with qtbot.waitExposed(plot):
        plot.show()
    return plot


def near(plot, colour, tolerance=30):
    """Where the plot has a colour: (rows, columns), in its own pixels."""
    image = plot.grab().toImage()
    wanted = QColor(colour).getRgb()[:3]
    return np.array(
        [
            [
                max(abs(a - b) for a, b in zip(image.pixelColor(x, y).getRgb(), wanted, strict=False))
                < tolerance
                for x in range(image.width())
            ]
            for y in range(image.height())
        ]
    )


def inside(plot, found):
    """The part of the pixels that lies in the plot itself."""
    box = plot.scale().box
    return found[box.top() : box.bottom() + 1, box.left() : box.right() + 1]


def test_it_is_told_when_there_is_something_to_plot_and_when_no_more(plot, review, explained, qtbot):
    assert "after a run" in plot.words
    told = []
    plot.filled.connect(told.append)
    review.adopt(explained)  # read in one piece
    assert told == []
    assert "in one piece" in plot.words
    review.adopt(read_by_slices(explained, ramp()))
    review.set_look(threshold=0.3)
    assert told == [True]
    review.adopt(explained)
    assert told == [True, False]


def test_the_curve_is_drawn_where_the_scores_are(plot, review, explained):
    review.adopt(read_by_slices(explained, ramp()))
    review.go_to((0.0, 0.0, z_of(19)))
    assert plot.names == ("nodule",)
    found = inside(plot, near(plot, plot.hue("nodule")))
    box, height = plot.scale().box, found.shape[0]
    for number in (2, 8, 15):
        column = int((number + 0.5) / COUNT * box.width())
        score = (19 - number) / COUNT  # the ramp grows from the feet up, slices from the head down
        rows = np.flatnonzero(found[:, column])
        assert 1 - rows.mean() / height == pytest.approx(score, abs=0.03)


def test_the_readers_slice_is_marked_and_follows(plot, review, explained):
    review.adopt(read_by_slices(explained, ramp()))
    for number in (4, 13):
        review.go_to((1.0, 2.0, z_of(number)))
        marked = inside(plot, near(plot, colours().text, 60)).mean(axis=0)
        assert marked.argmax() / len(marked) == pytest.approx((number + 0.5) / COUNT, abs=0.01)
        assert plot.current == number


def test_steps_from_slice_to_slice_draw_the_curves_once(plot, review, explained, monkeypatch):
    from voxcam.plugin.docks.along import slice_plot

    drawn = []
    curve = slice_plot.draw_curve
    monkeypatch.setattr(slice_plot, "draw_curve", lambda *given: (drawn.append(given), curve(*given)))
    review.adopt(read_by_slices(explained, ramp()))
    plot.grab()
    assert len(drawn) == 1
    for number in range(6):
        review.go_to((1.0, 2.0, z_of(number)))
        plot.grab()
    review.set_look(threshold=0.4)
    plot.grab()
    assert len(drawn) == 1
    review.colour("nodule", "green")
    plot.grab()
    assert len(drawn) == 2


def test_a_threshold_is_a_dashed_line_at_its_score(plot, review, explained):
    review.adopt(read_by_slices(explained, np.full((COUNT, 3), 0.1), thresholds={"nodule": 0.75}))
    found = inside(plot, near(plot, plot.hue("nodule"), 60))
    upper = found[: len(found) // 2]
    row = upper.sum(axis=1).argmax()
    assert 1 - row / len(found) == pytest.approx(0.75, abs=0.03)
    assert 0.4 < upper[row].mean() < 0.95


def test_a_click_goes_to_the_slice_and_leaves_the_rest_of_the_point(plot, review, explained, qtbot):
    review.adopt(read_by_slices(explained, ramp()))
    review.go_to((7.0, -6.0, z_of(3)))
    box = plot.scale().box
    for number in (0, 12, 19):
        qtbot.mouseClick(
            plot,
            Qt.LeftButton,
            pos=QPoint(int(box.left() + (number + 0.5) / COUNT * box.width()), box.top() + 5),
        )
        assert review.point_mm == pytest.approx((7.0, -6.0, z_of(number)))


def test_the_slice_the_reader_is_on_is_not_asked_for_again(plot, review, explained, qtbot):
    review.adopt(read_by_slices(explained, ramp()))
    review.go_to((7.0, -6.0, z_of(3) + 1))  # a third of a slice above its middle
    with qtbot.assertNotEmitted(plot.slice_asked):
        qtbot.mouseClick(plot, Qt.LeftButton, pos=QPoint(int(plot.scale().x(3)), 40))


def test_a_drag_goes_along_and_past_the_end_stays_at_the_last(plot, review, explained, qtbot):
    review.adopt(read_by_slices(explained, ramp()))
    box, visited = plot.scale().box, []
    review.point_changed.connect(lambda: visited.append(plot.current))
    qtbot.mousePress(plot, Qt.LeftButton, pos=QPoint(box.left() + 3, box.top() + 5))
    for share in (0.33, 0.66, 1.2):
        _drag(plot, box.left() + share * box.width(), box.top() + 5)
    qtbot.mouseRelease(plot, Qt.LeftButton, pos=QPoint(box.right(), box.top() + 5))
    assert visited == [0, 6, 13, 19]


def _drag(plot, x, y):
    from qtpy.QtCore import QEvent, QPointF
    from qtpy.QtGui import QMouseEvent
    from qtpy.QtWidgets import QApplication

    at = QPointF(x, y)
    event = QMouseEvent(
        QEvent.MouseMove, at, QPointF(plot.mapToGlobal(at)), Qt.NoButton, Qt.LeftButton, Qt.NoModifier
    )
    QApplication.sendEvent(plot, event)


def test_keys_step(plot, review, explained, qtbot):
    review.adopt(read_by_slices(explained, ramp()))
    review.go_to((0.0, 0.0, z_of(5)))
    for key, number in (
        (Qt.Key_Right, 6),
        (Qt.Key_Left, 5),
        (Qt.Key_PageDown, 15),
        (Qt.Key_PageDown, 19),
        (Qt.Key_Right, 19),
        (Qt.Key_PageUp, 9),
        (Qt.Key_Home, 0),
        (Qt.Key_End, 19),
    ):
        qtbot.keyClick(plot, key)
        assert plot.current == number


def test_hovering_tells_slice_and_scores_in_words(plot, review, explained, qtbot):
    review.adopt(read_by_slices(explained, ramp()))
    review.show_class("effusion")
    review.go_to((0.0, 0.0, z_of(1)))
    assert plot.words == "slice 2 of 20: nodule 0.90, effusion 0.50"
    box = plot.scale().box
    qtbot.mouseMove(plot, QPoint(box.left() + int(10.5 / COUNT * box.width()), box.top() + 20))
    assert plot.words == "slice 11 of 20: nodule 0.45, effusion 0.50"
    assert plot.current == 1


def test_of_windows_in_three_dimensions_the_highest_is_told_and_all_are_dots(plot, review, explained):
    scores = [[0.2, 0, 0], [0.8, 0, 0], [0.4, 0, 0]]
    review.adopt(read_by_slices(explained, scores, at=(15, 15, 5)))
    review.go_to((0.0, 0.0, z_of(13)))
    assert plot.words == "slice 14 of 20, highest window at 16: nodule 0.80"
    assert "one window the network read" in plot.toolTip()
    review.go_to((0.0, 0.0, z_of(15)))
    assert plot.words == "slice 16 of 20, highest window here: nodule 0.80"
    review.go_to((0.0, 0.0, z_of(13)))
    found = inside(plot, near(plot, plot.hue("nodule"), 110))
    column = int(15.5 / COUNT * found.shape[1])
    rows = 1 - np.flatnonzero(found[:, column - 1 : column + 2].any(axis=1)) / found.shape[0]
    assert np.abs(rows - 0.8).min() < 0.03
    assert np.abs(rows - 0.2).min() < 0.04
    assert not ((rows > 0.3) & (rows < 0.7)).any()


def test_across_the_slices_it_says_where_the_scores_differ(plot, review, explained, qtbot):
    review.adopt(read_by_slices(explained, ramp()))
    plot.show_plane(1)
    assert "along the axial slices" in plot.words
    with qtbot.assertNotEmitted(plot.slice_asked):
        qtbot.mouseClick(plot, Qt.LeftButton, pos=QPoint(300, 60))
        qtbot.keyClick(plot, Qt.Key_Right)
    plot.show_plane(0)
    assert plot.words.startswith("slice ")


def test_values_that_are_no_probabilities_have_a_scale_of_their_own(plot, review, explained):
    ages = np.column_stack([np.linspace(60, 70, COUNT), np.full(COUNT, 99), np.zeros(COUNT)])
    review.adopt(read_by_slices(explained, ages, activation="regression", unit="years"))
    scale = plot.scale()
    assert (scale.low, scale.high) == pytest.approx((60, 70))  # of the class that is drawn alone
    review.go_to((0.0, 0.0, z_of(0)))
    assert plot.words == "slice 1 of 20: nodule 70 years"


def test_without_a_shown_class_the_first_three_are_drawn(plot, review, explained):
    review.adopt(read_by_slices(explained, ramp()))
    review.set_look(shown=frozenset())
    assert plot.names == ("nodule", "effusion", "clear")


def test_a_slice_without_a_score_is_a_gap(plot, review, explained):
    scores = np.full((COUNT, 3), 0.5)
    scores[5:15] = np.nan
    review.adopt(read_by_slices(explained, scores))
    review.go_to((0.0, 0.0, z_of(19)))
    found = inside(plot, near(plot, plot.hue("nodule"), 60)).any(axis=0)
    assert not found[int(0.3 * len(found)) : int(0.7 * len(found))].any()
    assert found[int(0.1 * len(found))]
    review.go_to((0.0, 0.0, z_of(9)))
    assert plot.words == "slice 10 of 20: nodule unknown"


def test_slice_numbers_begin_at_one_end_at_the_last_and_are_round():
    assert slice_ticks(30, 12) == [1, 5, 10, 15, 20, 25, 30]
    assert slice_ticks(300, 7) == [1, 50, 100, 150, 200, 250, 300]
    assert slice_ticks(2, 10) == [1, 2]
    assert slice_ticks(57, 6) == [1, 10, 20, 30, 40, 50, 57]
    assert slice_ticks(5000, 3) == [1, 5000]


def test_windows_far_apart_are_strokes_and_nothing_is_drawn_between_them(plot, review, explained):
    review.adopt(read_by_slices(explained, [[0.9, 0, 0], [0.1, 0, 0], [0.5, 0, 0]], at=(2, 10, 18)))
    review.go_to((0.0, 0.0, z_of(19)))
    found = inside(plot, near(plot, plot.hue("nodule"), 60))
    height, width = found.shape

    def heights(number):
        return 1 - np.flatnonzero(found[:, int((number + 0.5) / COUNT * width)]) / height

    for number, score in ((2, 0.9), (4, 0.9), (8, 0.1), (10, 0.1), (16, 0.5)):
        assert heights(number) == pytest.approx(score, abs=0.03)
    assert heights(6).size == heights(14).size == 0
    review.adopt(read_by_slices(explained, [[0.9, 0, 0], [0.1, 0, 0]], at=(2, 4)))  # every second slice
    assert not plot.along.is_sparse


def test_entries_of_the_head_are_whole_or_counted():
    parts = [("slice 1", "grey"), ("nodule 0.9", "red"), ("stomach 0.1", "blue"), ("liver", "green")]
    widths = [40, 60, 70, 30]
    assert fitting(parts, widths, 230, 10, 25) == parts
    assert fitting(parts, widths, 229, 10, 25) == [*parts[:3], ("+ 1", "grey")]
    assert fitting(parts, widths, 160, 10, 25) == [*parts[:2], ("+ 2", "grey")]
    assert fitting(parts, widths, 10, 10, 25) == [parts[0], ("+ 3", "grey")]
