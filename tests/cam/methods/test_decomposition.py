"""Against numpy's full decompositions, number by number."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.cam.agreement import assert_agree
from tests.cam.small_networks import Deep, images
from voxcam import cam
from voxcam.cam.methods import decomposition

GRIDS = {"more places than channels": (4, 5, 6), "more channels than places": (2, 3), "a line": (17,)}


def capture(grid, channels=8):
    draw = torch.Generator().manual_seed(len(grid))
    a = torch.randn(2, channels, *grid, generator=draw, dtype=torch.float64).relu()
    return a, torch.randn(2, 3, channels, *grid, generator=draw, dtype=torch.float64)


def principal(matrix):
    _, _, right = np.linalg.svd(matrix, full_matrices=True)
    component = matrix @ right[0]
    return component if component @ matrix.sum(1) >= 0 else -component


def rows(maps):
    return maps.flatten(1).T.numpy()


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_eigen_cam_is_the_first_component_of_a_full_decomposition(grid):
    a, g = capture(grid)
    found = cam.METHODS["eigen-cam"](a, g)
    for b in range(2):
        expected = torch.from_numpy(principal(rows(a[b]))).reshape(grid)
        for c in range(3):
            assert_agree(found[b, c], expected, 1e-9)
    assert found.min() >= -1e-12


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_eigengrad_cam_decomposes_gradient_times_activation(grid):
    a, g = capture(grid)
    found = cam.METHODS["eigengrad-cam"](a, g)
    for b in range(2):
        for c in range(3):
            expected = torch.from_numpy(principal(rows(g[b, c] * a[b]))).reshape(grid)
            assert_agree(found[b, c], expected, 1e-9)


def kernel_component(matrix):
    x = matrix - matrix.mean(0)
    kernel = np.tanh(x @ x.T / x.shape[1] + 1)
    n = len(kernel)
    centre = np.eye(n) - 1 / n
    values, vectors = np.linalg.eigh(centre @ kernel @ centre)
    component = vectors[:, -1] * np.sqrt(values[-1])
    return component if component @ matrix.sum(1) >= 0 else -component


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_kpca_cam_is_the_first_component_of_the_centred_kernel(grid):
    a, g = capture(grid)
    found = cam.METHODS["kpca-cam"](a, g)
    for b in range(2):
        expected = torch.from_numpy(kernel_component(rows(a[b]))).reshape(grid)
        assert_agree(found[b, 2], expected, 1e-8)


def test_kpca_cam_of_many_places_is_spanned_by_some_of_them(monkeypatch):
    a, g = capture((9, 10, 11))
    blob = torch.linspace(-2, 2, 990, dtype=torch.float64).square().neg().exp().reshape(9, 10, 11)
    a = a * 0.2 + blob * torch.arange(1, 9)[:, None, None, None]  # or no component stands out
    exact = cam.METHODS["kpca-cam"](a, g)
    monkeypatch.setattr(decomposition, "LANDMARKS", 200)
    spanned = cam.METHODS["kpca-cam"](a, g)
    for b in range(2):
        one, other = exact[b, 0].flatten(), spanned[b, 0].flatten()
        assert torch.corrcoef(torch.stack([one, other]))[0, 1] > 0.98


@pytest.mark.parametrize("method", ["eigen-cam", "eigengrad-cam", "kpca-cam"])
def test_turning_the_sign_of_everything_turns_the_map(method):
    """A sign left to chance would often fail: it is fixed by the plain sum over the channels."""
    a, g = capture((4, 5))
    found = cam.METHODS[method](a, g)
    again = cam.METHODS[method](a.flip(1), g.flip(2))
    assert_agree(found, again, 1e-8)
    sums = (g * a[:, None]).sum(2) if method == "eigengrad-cam" else a.sum(1)[:, None]
    assert ((found * sums).flatten(2).sum(-1) > 0).all()


@pytest.mark.parametrize("rank", [2, 3])
@pytest.mark.parametrize("batch", [1, 2])
def test_maps_that_know_no_class_are_the_same_for_all(rank, batch):
    maps = cam.class_maps(
        Deep(rank), images(rank, batch), "trunk", ("eigen-cam", "kpca-cam", "eigengrad-cam")
    )
    for method in ("eigen-cam", "kpca-cam"):
        assert torch.equal(maps[method][:, :1].expand_as(maps[method]), maps[method])
    assert not torch.equal(maps["eigengrad-cam"][:, 0], maps["eigengrad-cam"][:, 1])


def test_empty_maps_stay_empty():
    a, g = torch.zeros(1, 4, 3, 3), torch.zeros(1, 2, 4, 3, 3)
    for method in ("eigen-cam", "eigengrad-cam", "kpca-cam"):
        found = cam.METHODS[method](a, g)
        assert found.isfinite().all()
        assert not found.any()
