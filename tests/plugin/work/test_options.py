"""The options of a run are those that loading and explaining take."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from voxcam import cam
from voxcam.core.geometry import Geometry
from voxcam.core.volume import SEQUENCE, Axis, Volume
from voxcam.explain.verb import explain
from voxcam.model.loading import load_classifier
from voxcam.model.networks import network_section
from voxcam.plugin.review.review import METHODS
from voxcam.plugin.work.options import AXES, MORE_METHODS, RunOptions, moments_of, network_mistake


def test_every_option_is_one_that_is_taken():
    options = RunOptions("Net(1)", 3, ("i",), ("occlusion",))
    assert set(options.for_loading) <= set(inspect.signature(load_classifier).parameters)
    assert set(options.for_explaining) <= set(inspect.signature(explain).parameters)
    assert options.for_loading == {"network": "Net(1)"}
    assert options.for_explaining == {"moment": 3, "augment": ("i",)}
    assert RunOptions().for_loading == {"network": None}


def test_all_methods_of_one_layer_are_offered_and_no_other():
    assert set(MORE_METHODS) | set(METHODS) == set(cam.METHODS) - set(cam.FUSION)
    assert set(MORE_METHODS) & set(METHODS) == set()


def test_every_axis_offered_is_one_explaining_knows():
    from voxcam.explain.view import views_of

    assert views_of(AXES) == ("", "i", "j", "k")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (RunOptions(), ""),
        (RunOptions("DenseNet121(3, 1, out_channels=2)"), "network DenseNet121"),
        (RunOptions(moment=0), "moment 1"),
        (RunOptions(moment="all", methods=("cam", "occlusion")), "all moments scored, 2 more methods"),
        (RunOptions(augment=("i", "j"), methods=("cam",)), "2 mirrored views, 1 more method"),
    ],
)
def test_they_are_a_line_for_the_reader(options, words):
    assert options.words == words


def test_only_a_study_in_time_has_moments():
    def volume(shape, axis=None):
        voxels = np.zeros(shape, np.float32)
        return Volume(voxels, Geometry(shape[:3], np.eye(4)), "MR", "", fourth=axis)

    assert moments_of(None) == 1
    assert moments_of(volume((2, 3, 4))) == 1
    assert moments_of(volume((2, 3, 4, 5), Axis("time"))) == 5
    assert moments_of(volume((2, 3, 4, 5), Axis(SEQUENCE))) == 1


@pytest.mark.parametrize(
    "line",
    [
        "",
        "DenseNet121(3, 1, out_channels=2)",
        " nets.DenseNet121(spatial_dims=3, in_channels=1, out_channels=2)",
    ],
)
def test_what_the_catalogue_reads_is_no_mistake(line):
    assert network_mistake(line) == ""
    if line:
        assert network_section(line)


@pytest.mark.parametrize("line", ["DenseNet121", "DenseNet121(", "1 + 1", "x = 3", "(" * 3000])
def test_what_is_no_network_is_a_mistake(line):
    assert network_mistake(line)
