from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.export.phantoms import explained, spot, study, two_classes
from voxcam.core.heatmap import Heatmap
from voxcam.errors import ExportError
from voxcam.export import FORMATS, ExportOptions
from voxcam.export.file_names import distinct, heatmap_names, safe

SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def test_the_png_format_writes_a_figure_a_class_a_grid_and_an_overview(tmp_path):
    files = FORMATS["png"](two_classes(), tmp_path / "png")
    assert [path.name for path in files] == [
        "classes-grad-cam.png",
        "figure-nodule-grad-cam.png",
        "figure-normal-grad-cam.png",
        "overview-nodule.png",
    ]
    assert sorted((tmp_path / "png").iterdir()) == files


def test_one_class_has_no_grid_and_several_layers_are_told_apart(tmp_path):
    explanation = explained(study(), {"nodule": spot()})
    deeper = replace(explanation.heatmaps[0], layer="layer3.conv")
    both = replace(explanation, heatmaps=(*explanation.heatmaps, deeper))
    assert [path.name for path in FORMATS["png"](both, tmp_path / "png")] == [
        "figure-nodule-grad-cam-layer3.conv.png",
        "figure-nodule-grad-cam-layer4.png",
        "overview-nodule.png",
    ]


def test_options_reach_the_figures(tmp_path):
    explanation = explained(study(), {"nodule": spot()})
    plain = FORMATS["png"](explanation, tmp_path / "a")
    styled = FORMATS["png"](
        explanation, tmp_path / "b", ExportOptions(theme="light", colours="viridis", dpi=80)
    )
    assert all(a.read_bytes() != b.read_bytes() for a, b in zip(plain, styled, strict=True))


def test_the_nifti_format_writes_the_grid_asked_for(tmp_path):
    study_grid = FORMATS["nifti"](two_classes(), tmp_path / "a")
    network_grid = FORMATS["nifti"](two_classes(), tmp_path / "b", ExportOptions(grid="network"))
    assert [p.name for p in study_grid] == [p.name for p in network_grid]
    assert study_grid[0].read_bytes() != network_grid[0].read_bytes()


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_that_fails_leaves_nothing_and_touches_nothing(tmp_path, name):
    explanation = two_classes()
    with pytest.raises(ExportError):
        FORMATS[name](replace(explanation, volume=None), tmp_path / "out")
    with pytest.raises(ExportError, match="scores alone"):
        FORMATS[name](replace(explanation, heatmaps=()), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    with pytest.raises(ExportError, match="exists already"):
        FORMATS[name](explanation, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]


@given(st.text(max_size=80))
def test_a_safe_name_is_safe(name):
    assert SAFE.fullmatch(safe(name))


def test_names_that_look_alike_are_told_apart():
    assert safe("grad-cam++") == "grad-cam-pp" != safe("grad-cam")
    assert safe("../../etc/passwd") == "etc-passwd"
    assert safe("épanchement pleural") == "epanchement-pleural"
    volume = study()
    names = ["Mass", "mass", "a b", "a/b", "結節", "肺炎"]
    base = explained(volume, {"x": spot()}).heatmaps[0]
    heatmaps = tuple(Heatmap(base.evidence, n, "grad-cam", "l") for n in names)
    files = heatmap_names(replace(two_classes(), heatmaps=heatmaps))
    assert len({name.casefold() for name in files}) == len(names)


@given(st.lists(st.sampled_from(["a", "A", "a-2", "b"]), max_size=8))
def test_distinct_names_differ_on_any_file_system(names):
    found = distinct(names)
    assert len({name.casefold() for name in found}) == len(names)
