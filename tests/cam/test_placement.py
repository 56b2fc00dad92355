"""Networks whose units look where their kernels and paddings say: the measurement must find it."""

from __future__ import annotations

import json

import pytest
import torch
from torch import Tensor, nn

from benchmarks.placement import table
from voxcam import cam
from voxcam.cam.placement import Placement, measure_placement, unit_centres, usual_centres
from voxcam.errors import Cancelled, ExplainError

CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
PAD = {1: nn.ConstantPad1d, 2: nn.ConstantPad2d, 3: nn.ConstantPad3d}
SIZES = {1: (120,), 2: (96, 120), 3: (64, 48, 56)}
STRIDE, KERNEL = 8, 16


class Looking(nn.Module):
    """Unit u looks at the middle of its kernel: 8 u + 7.5 - `before`; class 0 likes bright, class 1 dark."""

    def __init__(self, before: tuple[int, ...], classes: int = 2) -> None:
        super().__init__()
        rank = len(before)
        sides = [side for start in reversed(before) for side in (start, KERNEL - STRIDE - start)]
        self.pad = PAD[rank](sides, 0.0)
        self.conv = CONV[rank](1, 2, KERNEL, STRIDE, bias=False)
        away = (torch.arange(KERNEL) - (KERNEL - 1) / 2) / 4
        kernel = torch.ones(())
        for _ in before:
            kernel = kernel[..., None] * torch.exp(-(away**2) / 2)
        self.conv.weight.data[:] = torch.stack([kernel, -kernel])[:, None]
        self.relu = nn.ReLU()
        self.head = nn.Linear(2, classes, bias=False)
        self.head.weight.data[:] = 0
        for column in range(min(classes, 2)):
            self.head.weight.data[column, column] = 1

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.relu(self.conv(self.pad(x))).flatten(2).mean(2))

    @staticmethod
    def offsets(before: tuple[int, ...]) -> list[float]:
        return [(KERNEL - 1) / 2 - start for start in before]


def image(rank: int, batch: int = 1) -> Tensor:
    return torch.randn(batch, 1, *SIZES[rank], generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("before", [(10,), (10, 0), (4, 10, 1)])
def test_a_shift_by_padding_is_found(before: tuple[int, ...]) -> None:
    network = Looking(before)
    found = measure_placement(network, image(len(before)), "relu")
    assert found.rule == "measured"
    for (stride, offset), truth in zip(found.centres, Looking.offsets(before), strict=True):
        assert stride == STRIDE
        assert offset == pytest.approx(truth, abs=1)
    assert all(after < 2 for after in found.residual_voxels)
    assert max(found.usual_residual_voxels) > 3
    assert found.probes == (48, 48)
    assert found.reason.startswith("measured on 48 landmarks: shift ")


@pytest.mark.parametrize("before", [(10,), (4, 10, 1)])
def test_the_closed_form_is_true_of_these_networks(before: tuple[int, ...]) -> None:
    network, unit = Looking(before), 4
    voxel = [round(STRIDE * unit + offset) for offset in Looking.offsets(before)]
    seen = torch.zeros(1, 1, *SIZES[len(before)])
    seen[(0, 0, *voxel)] = 1
    with torch.no_grad():
        answer = network.relu(network.conv(network.pad(seen)))[0, 0]
    assert torch.equal(torch.nonzero(answer == answer.max())[0], torch.full((len(before),), unit))


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_without_a_shift_the_usual_rule_stays(rank: int) -> None:
    found = measure_placement(Looking((4,) * rank), image(rank), "relu")
    grid = tuple(size // STRIDE for size in SIZES[rank])
    assert found.rule == "usual"
    assert found.centres == found.usual == usual_centres(SIZES[rank], grid)
    assert found.residual_voxels == found.usual_residual_voxels
    assert "no other agrees clearly better" in found.reason


def test_units_that_do_not_fill_the_input_keep_their_own_stride() -> None:
    """8 units over 71 voxels: the usual rule makes steps of 8.9, and is off by 6.6 at the last unit."""
    seen = torch.randn(1, 1, 71, generator=torch.Generator().manual_seed(3))
    found = measure_placement(Looking((4,)), seen, "relu")
    ((stride, offset),) = found.centres
    assert found.usual[0][0] == pytest.approx(71 / 8)
    assert stride == STRIDE
    assert offset == pytest.approx(3.5, abs=1)


def test_a_map_placed_by_the_centres_lies_on_what_the_network_saw() -> None:
    network, place = Looking((10, 0)), (50, 44)
    axes = torch.meshgrid(torch.arange(96.0), torch.arange(120.0), indexing="ij")
    seen = torch.exp(-sum((axis - at) ** 2 for axis, at in zip(axes, place, strict=True)) / 50)[None, None]
    maps = cam.class_maps(network, seen, "relu", classes=(0,))["grad-cam"][0, 0]
    centres = unit_centres(network, image(2), "relu")
    away = {}
    for name, rule in (("usual", None), ("measured", centres)):
        heat = cam.upsample(maps, (96, 120), rule)
        middle = [float((heat * axis).sum() / heat.sum()) for axis in axes]
        away[name] = [abs(found - truth) for found, truth in zip(middle, place, strict=True)]
    assert max(away["measured"]) < 1.5
    assert min(away["usual"]) > 2.5


def test_classes_many_one_or_asked_do_not_change_the_places() -> None:
    before = (10, 0)
    truth = Looking.offsets(before)
    for network, options in (
        (Looking(before, classes=40), {}),
        (Looking(before, classes=1), {}),
        (Looking(before), {"class_index": 1}),
    ):
        found = measure_placement(network, image(2), "relu", **options)
        assert [offset for _, offset in found.centres] == pytest.approx(truth, abs=1)


def test_a_shape_is_enough_and_always_gives_the_same() -> None:
    found = measure_placement(Looking((10, 0)), (1, 1, 96, 120), "relu")
    assert [offset for _, offset in found.centres] == pytest.approx(Looking.offsets((10, 0)), abs=1)
    assert measure_placement(Looking((10, 0)), (1, 1, 96, 120), "relu") == found


def test_a_layer_that_never_answers_keeps_the_usual_rule() -> None:
    network = Looking((10, 0))
    network.conv.weight.data.zero_()
    found = measure_placement(network, image(2), "relu")
    assert (found.rule, found.centres, found.residual_voxels) == ("usual", found.usual, ())
    assert found.probes == (0, 48)
    assert found.reason == "the usual rule: 0 of 48 landmarks answered, 16 are needed"


def test_a_layer_that_answers_at_one_place_keeps_the_usual_rule() -> None:
    class Staring(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.spread = nn.Identity()

        def forward(self, x: Tensor) -> Tensor:
            seen = torch.zeros(len(x), 1, 8, 8)
            seen[:, :, 6, 1] = x.square().mean((2, 3))
            pooled = self.spread(seen).flatten(2).mean(2)
            return torch.cat([pooled, -pooled], 1)

    found = measure_placement(Staring(), image(2), "spread")
    assert found.centres == found.usual
    assert found.reason == "the usual rule: what the layer answers does not follow the landmarks"


def test_a_layer_that_scatters_its_answers_keeps_the_usual_rule() -> None:
    """Dark is answered two units further on than bright: no one shift is right."""

    class Displaced(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([x[:, 0], x[:, 1].roll(2, dims=-1)], dim=1)

    network = Looking((4,))
    network.relu = nn.Sequential(nn.ReLU(), Displaced())
    found = measure_placement(network, image(1), "relu")
    assert found.centres == found.usual
    assert found.reason.startswith("the usual rule: the answers scatter too far round the landmarks")


def test_the_same_call_gives_the_same_and_leaves_everything_as_found() -> None:
    network = Looking((10, 0)).train()
    network.relu.training = False
    before = {name: value.clone() for name, value in network.state_dict().items()}
    seen = image(2, batch=3)
    kept, random = seen.clone(), torch.get_rng_state()
    first = measure_placement(network, seen, "relu")
    assert torch.equal(torch.get_rng_state(), random)
    assert measure_placement(network, seen, "relu") == first
    assert measure_placement(network, seen, "relu", seed=1) != first
    assert torch.equal(seen, kept)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert [module.training for module in network.modules()] == [True, True, True, False, True]
    assert not any(module._forward_hooks for module in network.modules())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in network.parameters())


def test_progress_counts_and_ends_the_measurement() -> None:
    network, calls = Looking((10, 0)).train(), []
    measure_placement(network, image(2), "relu", landmarks=20, progress=lambda *call: calls.append(call))
    assert calls == [(8, 20), (16, 20), (20, 20)]

    def cancel(done: int, _total: int) -> None:
        if done > 8:
            raise Cancelled

    with pytest.raises(Cancelled):
        measure_placement(network, image(2), "relu", progress=cancel)
    assert network.training
    assert not any(module._forward_hooks for module in network.modules())


def test_large_inputs_go_through_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    network, sizes = Looking((10, 0)), []
    whole = measure_placement(network, image(2), "relu")
    monkeypatch.setattr("voxcam.cam.placement.VOXELS_AT_ONCE", 3 * 96 * 120)
    network.pad.register_forward_hook(lambda _m, args, _o: sizes.append(len(args[0])))
    few = measure_placement(network, image(2), "relu")
    assert max(sizes) == 3
    assert [o for _, o in few.centres] == pytest.approx([o for _, o in whole.centres], abs=1e-3)


@pytest.mark.parametrize(
    ("inputs", "layer", "options", "words"),
    [
        ((1, 1, 96, 120), "rleu", {}, "rleu"),
        ((1, 1, 96, 120), "head", {}, "head"),
        ((1, 1, 96, 6), "relu", {}, "8 voxels or more along each axis"),
        ((1, 96), "relu", {}, "expected inputs"),
        (torch.zeros(1, 1, 96, 120, dtype=torch.int64), "relu", {}, "torch.int64"),
        ((1, 1, 96, 120), "relu", {"class_index": 7}, "class 7"),
        ((1, 1, 96, 120), "relu", {"landmarks": 0}, "1 landmark or more"),
        (torch.full((1, 1, 96, 120), float("nan")), "relu", {}, "NaN"),
    ],
)
def test_what_cannot_be_measured_is_said_in_one_line(
    inputs: Tensor | tuple[int, ...], layer: str, options: dict[str, int], words: str
) -> None:
    with pytest.raises(ExplainError, match=words) as caught:
        measure_placement(Looking((10, 0)), inputs, layer, **options)
    assert "\n" not in str(caught.value)


def test_the_usual_rule_is_that_of_interpolate() -> None:
    maps = torch.randn(2, 3, 7, 5, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    expected = nn.functional.interpolate(maps, (50, 33), mode="bilinear", align_corners=False)
    for rule in (None, usual_centres((50, 33), (7, 5))):
        assert torch.allclose(cam.upsample(maps, (50, 33), rule), expected, atol=1e-6, rtol=0)


def test_a_placement_is_a_plain_value() -> None:
    found = measure_placement(Looking((10, 0)), image(2), "relu")
    assert isinstance(found, Placement)
    assert all(isinstance(number, float) for pair in found.centres for number in pair)


def test_the_page_tells_what_was_measured() -> None:
    results = json.loads(table.RESULTS.read_text())
    page = table.PAGE.read_text()
    assert table.filled(page, results) == page, "run python -m benchmarks.placement.table"
