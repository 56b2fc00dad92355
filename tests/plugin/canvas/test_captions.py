from __future__ import annotations

from itertools import combinations

from voxcam.plugin.canvas.captions import LETTER_PIXELS, LINE_PIXELS, Caption, apart


def test_words_that_would_lie_over_each_other_are_moved_down_by_no_more_than_needed():
    mm = 0.5
    said = [
        Caption("12 mm", 10.0, 5.0, "#fff"),
        Caption("3 mm\nmore", 12.0, 7.0, "#fff"),
        Caption("9", 11, 8, ""),
    ]
    moved = apart(said, mm)
    boxes = []
    for one in moved:
        lines = one.words.split("\n")
        wide, tall = max(map(len, lines)) * LETTER_PIXELS * mm, len(lines) * LINE_PIXELS * mm
        boxes.append((one.down, one.down + tall, one.across, one.across + wide))
    for (top, bottom, left, right), (other_top, other_bottom, other_left, other_right) in combinations(
        boxes, 2
    ):
        assert top >= other_bottom or other_top >= bottom or left >= other_right or other_left >= right
    assert moved[0] == said[0]
    assert abs(max(box[1] for box in boxes) - (10 + 4 * LINE_PIXELS * mm)) < 1e-6  # four lines, without gaps


def test_words_apart_stay_where_they_are():
    said = (Caption("a", 0, 0, ""), Caption("b", 0, 100, ""), Caption("c", 100, 0, ""))
    assert apart(said, 1.0) == said
    # Mirrored, the same words grow to the other side of their place.
    near = (Caption("long words", 0.0, 0.0, ""), Caption("b", 0.0, 40.0, ""))
    assert apart(near, 1.0)[1].down > 0
    assert apart(near, 1.0, mirrored=True) == near or apart(near, 1.0, mirrored=True)[1].down == 0
