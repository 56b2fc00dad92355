"""A classifier is loaded once while its files stay as they are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from bundles import write_bundle

from voxcam.errors import ClassifierError
from voxcam.model.statement.beside import place_beside
from voxcam.model.warm import Warm

if TYPE_CHECKING:
    from pathlib import Path


def test_it_is_loaded_once_and_again_when_a_file_changed(tmp_path: Path) -> None:
    warm, bundle = Warm(), write_bundle(tmp_path / "one")
    first = warm.load(bundle, "cpu")
    assert warm.load(str(bundle), "cpu") is first
    place_beside(bundle).write_text(json.dumps({"temperature": 2.0}))
    again = warm.load(bundle, "cpu")
    assert again is not first
    assert again.answer.temperature == 2.0
    assert len(warm) == 1, "the one before its files changed is let go"


def test_no_more_are_held_than_asked_and_the_least_used_goes_first(tmp_path: Path) -> None:
    warm = Warm(most=2)
    a, b, c = (write_bundle(tmp_path / name) for name in "abc")
    first, _ = warm.load(a, "cpu"), warm.load(b, "cpu")
    assert warm.load(a, "cpu") is first
    warm.load(c, "cpu")
    assert len(warm) == 2
    assert warm.load(a, "cpu") is first


def test_one_that_cannot_be_loaded_is_not_held(tmp_path: Path) -> None:
    warm = Warm()
    with pytest.raises(ClassifierError):
        warm.load(tmp_path / "nothing", "cpu")
    assert len(warm) == 0
