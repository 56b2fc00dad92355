"""Words can be read in every theme, and follow a change of it for as long as their widget lives."""

from __future__ import annotations

import gc
import weakref
from dataclasses import asdict

import pytest
from napari.settings import get_settings
from napari.utils.theme import get_theme
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QApplication, QLabel, QWidget

from voxcam.plugin.docks import theme
from voxcam.plugin.docks.parts import in_colour, quiet
from voxcam.plugin.docks.theme import colours, contrast, follow, wear

WORDS = ("text", "quiet", "warning", "error", "good", "accent")


@pytest.fixture(autouse=True)
def settings(qapp):
    appearance = get_settings().appearance
    before = appearance.theme
    wear("")  # no viewer was ever told
    yield appearance
    appearance.theme = before


def wcag(one, other):
    """WCAG 2.2, relative luminance and contrast ratio, written out anew."""

    def luminance(colour):
        channels = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def hex_of(name, part):
    red, green, blue = getattr(get_theme(name), part).as_rgb_tuple(alpha=False)
    return f"#{red:02x}{green:02x}{blue:02x}"


@pytest.mark.parametrize("name", ["dark", "light"])
def test_every_word_can_be_read_on_the_ground_and_on_the_panels_of_napari(settings, name):
    settings.theme = name
    now = asdict(colours())
    for ground in ("background", "foreground"):
        for word in WORDS:
            assert wcag(now[word], hex_of(name, ground)) >= 4.5, (word, ground)
    assert now["background"] == hex_of(name, "background")
    assert now["panel"] == hex_of(name, "foreground")


@pytest.mark.parametrize("name", ["dark", "light"])
def test_the_colours_keep_their_hue(settings, name):
    settings.theme = name
    for word, loudest in (("error", 0), ("good", 1)):
        channels = [int(getattr(colours(), word)[n : n + 2], 16) for n in (1, 3, 5)]
        assert channels.index(max(channels)) == loudest
    assert contrast(colours().quiet, colours().background) < contrast(colours().text, colours().background)


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [("#000000", "#ffffff", 21.0), ("#777777", "#ffffff", 4.48), ("#123456", "#123456", 1.0)],
)
def test_contrast_is_that_of_wcag(one, other, ratio):
    assert contrast(one, other) == pytest.approx(ratio, abs=0.01)


def test_the_theme_of_the_system_is_one_of_the_two(settings):
    settings.theme = "system"
    system = colours()
    both = []
    for name in ("dark", "light"):
        settings.theme = name
        both.append(colours())
    assert system in both


def test_without_napari_they_are_those_of_its_dark_theme(settings, monkeypatch):
    settings.theme = "dark"
    dark = colours()
    settings.theme = "light"
    monkeypatch.setitem(__import__("sys").modules, "napari.settings", None)
    assert colours() == dark
    assert {name: theme._DARK[name] for name in theme._DARK} == {
        name: getattr(get_theme("dark"), name).as_rgb_tuple(alpha=False) for name in theme._DARK
    }


def test_a_widget_is_told_now_and_at_each_change_until_it_is_gone(settings, qtbot):
    settings.theme = "dark"
    widget, told = QWidget(), []
    follow(widget, lambda: told.append(colours().background))
    settings.theme = "light"
    assert told == [hex_of("dark", "background"), hex_of("light", "background")]
    widget.deleteLater()
    QApplication.sendPostedEvents(widget, QEvent.DeferredDelete)
    settings.theme = "dark"
    assert len(told) == 2


def test_following_does_not_keep_a_widget(settings, qapp):
    label = quiet("words")
    held = weakref.ref(label)
    del label
    gc.collect()
    assert held() is None
    settings.theme = "light"


def test_words_take_another_colour_and_keep_it_through_a_change(settings, qtbot):
    settings.theme = "dark"
    label = QLabel("words")
    qtbot.addWidget(label)
    in_colour(label, "quiet")
    in_colour(label, "error")
    assert label.styleSheet() == f"color: {colours().error}"
    settings.theme = "light"
    assert label.styleSheet() == f"color: {colours().error}"
