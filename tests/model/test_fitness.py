"""What a model states of its input is held against the volume: refused, warned of, or fine."""

from __future__ import annotations

import numpy as np
import pytest

from voxcam.core.geometry import Geometry
from voxcam.core.volume import COLOUR, Volume
from voxcam.errors import ClassifierError
from voxcam.model.fitness import fit_of
from voxcam.model.statement import Statement

CT = Statement(
    modality="CT", unit="HU", value_range=(-1000.0, 400.0), spacing_mm=((0.5, 1.0), (0.5, 1.0), (1.0, 5.0))
)


def _scan(low: float = -1000, high: float = 300, spacing: float = 1.0, **kind: str) -> Volume:
    voxels = np.random.default_rng(0).uniform(low, high, (40, 30, 20)).astype(np.float32)
    kind = {"modality": "CT", "unit": "HU"} | kind
    return Volume(voxels, Geometry(voxels.shape, np.diag([spacing, spacing, spacing, 1.0])), **kind)


def test_what_fits_is_neither_refused_nor_warned_of() -> None:
    fit = fit_of(CT, _scan(), look=True)
    assert fit.against == ()
    assert fit.warnings == ()
    fit.require("any")


def test_another_modality_or_unit_is_refused_and_both_are_named() -> None:
    fit = fit_of(CT, _scan(modality="MR", unit=""))
    with pytest.raises(ClassifierError, match="CT, found MR; it expects values in HU, found"):
        fit.require("lungs")


def test_the_hint_to_state_the_modality_is_for_scans_that_state_none() -> None:
    stated = fit_of(CT, _scan(modality="CR", unit=""))
    assert stated.against == (
        "it expects modality CT, found CR",
        "it expects values in HU, found none stated",
    )
    silent = fit_of(CT, _scan(modality="", unit=""))
    assert all("state the modality if you know it" in phrase for phrase in silent.against)


def test_spacing_beyond_what_it_was_trained_on_is_warned_of_axis_by_axis() -> None:
    (i, _, k) = fit_of(CT, _scan(spacing=8.0)).warnings
    assert i == "voxels are 8 mm from column to column, the model was trained on 0.5 to 1 mm"
    assert k == "voxels are 8 mm from slice to slice, the model was trained on 1 to 5 mm"
    assert fit_of(CT, _scan(spacing=0.9999)).warnings == (), "rounded headers are no misfit"


def test_values_that_cannot_be_the_stated_ones_are_warned_of() -> None:
    assert "only 0.0%" in fit_of(CT, _scan(2000, 4000), look=True).warnings[0]
    assert "next to nothing of -1000 to 400 HU" in fit_of(CT, _scan(0, 1), look=True).warnings[0]
    assert "nothing to see" in fit_of(CT, _scan(5, 5), look=True).warnings[0]


def test_a_model_that_states_nothing_takes_anything_and_colour_is_not_measured() -> None:
    assert fit_of(Statement(), _scan(2000, 4000, 9.0, modality="US", unit="")).warnings == ()
    colour = Volume(np.zeros((4, 4, 1), COLOUR), Geometry((4, 4, 1), np.eye(4)), "CT", "HU")
    assert fit_of(CT, colour, look=True).against == ()
