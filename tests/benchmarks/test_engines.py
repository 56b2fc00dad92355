"""The parts of the benchmark that need no peer: tables, markers, clocks, closed forms."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks import cam_engines
from benchmarks.engines.closed_forms import FORMS, Sample
from benchmarks.engines.measuring import STATUS, Clock, peak_megabytes, saved_megabytes
from benchmarks.engines.readme import BEGIN, END, between_markers, has_markers, in_full, in_short
from benchmarks.engines.tables import Findings, Table, Target, shown
from voxcam.cam import METHODS


def found() -> list[Findings]:
    speed = Table("speed", ("n", "e", "s", "x", "w", "o", "r"), [["net", "VoxCAM", 0.1, 1.05, 1.1, 1.0, 3]])
    memory = Table("memory", ("n", "e", "MB", "x", "saved"), [["net", "VoxCAM", 10.0, 1.02, 0.1]])
    return [
        Findings("speed", [speed], [Target("time", 1.05, 1.15), Target("peer", 0.9, 1.0, at_most=False)]),
        Findings("memory", [memory]),
    ]


def test_a_target_has_a_side():
    assert Target("time", 1.1, 1.15).met
    assert not Target("time", 1.2, 1.15).met
    assert Target("times faster", 21.0, 20.0, at_most=False).met
    assert not Target("times faster", 19.0, 20.0, at_most=False).met


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (None, "-"),
        ("word", "word"),
        (1234, "1,234"),
        (0.0, "0.000"),
        (2.4e-7, "2.4e-07"),
        (1.157, "1.16"),
        (393.2, "393"),
    ],
)
def test_cells_show_three_digits(cell, text):
    assert shown(cell) == text


def test_tables_go_between_the_markers_and_nowhere_else():
    text = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert has_markers(text)
    assert not has_markers(text.replace(END, ""))
    assert between_markers(text, "new") == f"before\n{BEGIN}\nnew\n{END}\nafter\n"


def test_the_short_and_the_full_tables_name_what_was_missed():
    short, full = in_short("versions", found()), in_full("versions", found())
    assert "| VoxCAM | 1.05 / 1.02 | - |" in short
    assert "1 of 2 targets met" in short
    assert "MISSED" in full


def test_a_readme_without_markers_is_refused_in_one_line(monkeypatch, tmp_path, capsys):
    readme = tmp_path / "README.md"
    readme.write_text("no place")
    monkeypatch.setattr(cam_engines, "ROOT", tmp_path)
    monkeypatch.setattr(cam_engines, "READMES", {readme: in_short})
    monkeypatch.setattr(cam_engines, "PEERS", {})
    monkeypatch.setattr(sys, "argv", ["cam_engines", "--readme"])
    assert cam_engines.main() == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert readme.read_text() == "no place"


def test_peers_that_are_not_installed_are_named(monkeypatch):
    monkeypatch.setattr(cam_engines, "PEERS", {"torch": "torch", "no_such_module": "no-such-package"})
    assert "no-such-package" in cam_engines.missing_peers()


def test_contenders_take_turns():
    order: list[str] = []
    clock = Clock()
    clock.take({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, rounds=3)
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert len(clock.cpu["a"]) == len(clock.wall["b"]) == 3


def test_saved_memory_counts_each_tensor_once_and_no_parameter():
    layer, x = nn.Linear(100, 10), torch.zeros(50, 100)
    kept: list[torch.Tensor] = []
    assert saved_megabytes(lambda: kept.extend([layer(x), layer(x)])) == pytest.approx(50 * 100 * 4 / 1e6)


@pytest.mark.skipif(not STATUS.exists(), reason="only Linux tells the peak since a moment")
def test_the_peak_is_seen_although_nothing_stays():
    assert peak_megabytes(lambda: torch.ones(16 * 2**20).sum()) > 60


def test_every_closed_form_is_of_a_method():
    assert set(FORMS) <= set(METHODS)


@pytest.mark.parametrize(
    "method", ["grad-cam", "grad-cam++", "xgrad-cam", "hires-cam", "layer-cam", "eigen-cam"]
)
def test_closed_forms_agree_with_the_engine(method):
    a, g = torch.rand(1, 3, 4, 5, dtype=torch.float64), torch.randn(2, 3, 4, 5, dtype=torch.float64)
    sample = Sample(nn.Identity(), a, a, g, np.zeros(2))
    ours = METHODS[method](a, g[None])[0].flatten(1).numpy()
    for k in range(2):
        np.testing.assert_allclose(ours[k], FORMS[method](sample, k), rtol=1e-9, atol=1e-12)
