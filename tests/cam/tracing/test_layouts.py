from __future__ import annotations

import pytest
import torch
from torch import nn

from voxcam.cam.tracing.layouts import Layout, layout_of, token_grid

GRID = (2, 3, 4)


def numbered(*shape):
    return torch.arange(torch.Size(shape).numel(), dtype=torch.float32).reshape(shape)


@pytest.mark.parametrize(
    ("layout", "output"),
    [
        (Layout("channels first", GRID, 5), numbered(2, 5, *GRID)),
        (Layout("channels last", GRID, 5), numbered(2, *GRID, 5)),
        (Layout("tokens", GRID, 5), numbered(2, 24, 5)),
        (Layout("tokens", GRID, 5, prefix=3), numbered(2, 27, 5)),
        (Layout("tokens, batch second", GRID, 5, prefix=3), numbered(27, 2, 5)),
    ],
)
def test_maps_and_back(layout, output):
    maps = layout.maps(output)
    assert maps.shape == (2, 5, *GRID)
    assert torch.equal(layout.replaced(output, maps), output)
    stacked = layout.maps(torch.stack([output, -output]))
    assert torch.equal(stacked, torch.stack([maps, -maps]))
    other = layout.replaced(output, maps + 1)
    assert torch.equal(layout.maps(other), maps + 1)
    assert int((other == output).sum()) == 2 * 5 * layout.prefix


def test_what_is_replaced_lies_in_memory_as_before():
    """Or a step that views it in another shape would fail when it is replayed."""
    for layout, output in (
        (Layout("channels first", GRID, 5), numbered(2, *GRID, 5).movedim(-1, 1)),
        (Layout("channels last", GRID, 5), numbered(2, 5, *GRID).movedim(1, -1)),
        (Layout("tokens", GRID, 5, prefix=1), numbered(25, 2, 5).transpose(0, 1)),
        (Layout("tokens, batch second", GRID, 5), numbered(24, 2, 5)),
    ):
        assert layout.replaced(output, layout.maps(output).contiguous()).stride() == output.stride()


def test_token_of_a_place_is_where_row_after_row_puts_it():
    maps = Layout("tokens", GRID, 5, prefix=1).maps(numbered(2, 25, 5))
    assert maps[1, 3, 1, 0, 2] == numbered(2, 25, 5)[1, 1 + 1 * 12 + 0 * 4 + 2, 3]


class Pattern(nn.Module):
    """Says what einops layers say of themselves."""

    def __init__(self, pattern: str, **lengths: int) -> None:
        super().__init__()
        self.pattern, self.axes_lengths = pattern, lengths


MONAI_3D = "b c (h p1) (w p2) (d p3)-> b (h w d) (p1 p2 p3 c)"


@pytest.mark.parametrize(
    ("step", "space", "tokens", "grid"),
    [
        (nn.Conv2d(1, 8, (4, 8), (4, 8)), (24, 32), 24, (6, 4)),
        (nn.Conv2d(1, 8, (4, 8), (4, 8)), (24, 32), 29, (6, 4)),
        (nn.Conv2d(1, 8, 14, 14), (224, 224), 256 + 5, (16, 16)),
        (nn.Conv3d(1, 8, (2, 16, 16), (2, 16, 16)), (8, 48, 32), 25, (4, 3, 2)),
        (nn.Conv3d(1, 8, (1, 16, 16), (1, 16, 16)), (3, 48, 32), 19, (3, 3, 2)),
        (nn.Conv2d(1, 8, 4, 4), (26, 33), 6 * 8 + 1, (6, 8)),  # what does not fill a patch is cut off
        (nn.Conv2d(1, 8, 4, 4), (26, 33), 7 * 9 + 1, (7, 9)),  # or filled up
        (nn.Unfold((4, 8), stride=(4, 8)), (24, 32), 25, (6, 4)),
        (nn.Unfold(8, stride=8), (24, 32), 12, (3, 4)),
        (Pattern("b c (h p1) (w p2) -> b (h w) (p1 p2 c)", p1=4, p2=8), (24, 32), 25, (6, 4)),
        (Pattern(MONAI_3D, p1=4, p2=6, p3=4), (8, 12, 16), 17, (2, 2, 4)),
        (nn.Conv2d(1, 8, 3, stride=2, padding=1), (24, 32), 12, (3, 4)),  # a stem: cubic patches that fill it
        (nn.Conv2d(1, 8, 3, stride=2, padding=1), (24, 32), 13, (3, 4)),
    ],
)
def test_grid_is_that_of_the_patches_the_network_cuts(step, space, tokens, grid):
    assert token_grid(nn.Sequential(step), tokens, space) == grid


@pytest.mark.parametrize(
    ("step", "space", "tokens"),
    [
        (nn.Conv2d(1, 8, (4, 8), (4, 8)), (24, 32), 23),
        (nn.Conv2d(1, 8, (4, 8), (4, 8)), (24, 32), 24 + 9),
        (nn.Conv2d(1, 8, 3, 2, 1), (24, 32), 14),  # two tokens more than cubic patches: no guess
        (nn.Conv2d(1, 8, 3, 2, 1), (25, 32), 13),  # cubic patches that do not fill the input: no guess
        (Pattern("b c (h p1) (w p2) -> b (w h) (p1 p2 c)", p1=5, p2=8), (25, 32), 20),  # columns first
    ],
)
def test_no_grid_is_guessed(step, space, tokens):
    assert token_grid(nn.Sequential(step), tokens, space) is None


class SwinLike(nn.Module):
    """Steps on the last axis, as in a block of a Swin transformer: normalisation, perceptron, skip."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.mlp = nn.Sequential(
            nn.Linear(channels, 4 * channels), nn.GELU(), nn.Linear(4 * channels, channels)
        )
        self.drop = nn.Identity()


class Stage(nn.Module):
    """A stage of such blocks, which turns its channels to the front at its end."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([SwinLike(channels)])


class TurnedNorm(nn.LayerNorm):
    """Of channels that come second, as in ConvNeXt."""


def order_of(network, module, shape, space):
    found = layout_of(network, module, torch.randn(shape), torch.zeros(shape[0], 1, *space))
    return found.order if isinstance(found, Layout) else found


@pytest.mark.parametrize("shape", [(2, 3, 4, 5, 6), (2, 6, 4, 5, 6), (1, 6, 12, 9, 6), (2, 6, 6, 6, 6)])
def test_blocks_of_last_channels_are_told_from_stages_of_second_channels(shape):
    """Also where as many units as channels lie along an axis, or along all."""
    network = nn.Sequential(nn.Conv3d(1, 6, 4, 4), Stage(6))
    block, space = network[1].blocks[0], tuple(16 * size for size in shape[1:-1])
    for module in (block, block.norm, block.mlp, block.mlp[0], block.drop):
        assert order_of(network, module, shape, space) == "channels last"
    wide = (*shape[:-1], 24)
    assert order_of(network, block.mlp[1], wide, space) == "channels last"
    turned = (shape[0], shape[-1], *shape[1:-1])
    assert order_of(network, network[1], turned, space) == "channels first"


def test_second_channels_are_not_taken_for_last_ones():
    """Where the last axis has as many units as the head has classes, and in networks of both kinds."""
    network = nn.Sequential(nn.Conv2d(1, 64, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Linear(64, 14))
    assert order_of(network, network[1], (2, 64, 14, 14), (112, 112)) == "channels first"
    assert order_of(network, network[1], (2, 30, 14, 14), (112, 112)) == "channels first"
    assert order_of(network, network[0], (2, 64, 14, 14), (112, 112)) == "channels first"
    turned = nn.Sequential(TurnedNorm(64), nn.Conv2d(64, 64, 1))
    assert order_of(turned, turned[0], (2, 64, 14, 10), (112, 80)) == "channels first"
    whole = nn.LayerNorm((64, 14, 10))
    assert order_of(nn.Sequential(whole), whole, (2, 64, 14, 10), (112, 80)) == "channels first"


def test_attention_is_no_stack_of_maps():
    network = nn.Sequential(nn.Conv2d(1, 8, 4, 4), nn.Softmax(-1))
    attention = torch.randn(2, 3, 24, 24).softmax(-1)
    found = layout_of(network, network[1], attention, torch.zeros(2, 1, 16, 24))
    assert found == "puts out attention (2, 3, 24, 24), from token to token, which lies on no grid"
    maps = layout_of(network, network[0], torch.randn(2, 3, 24, 24), torch.zeros(2, 1, 96, 96))
    assert isinstance(maps, Layout)


def test_windows_are_refused_in_one_line():
    network = nn.Sequential(nn.Conv2d(1, 8, 4, 4), nn.Linear(8, 8))
    found = layout_of(network, network[1], torch.randn(12, 4, 8), torch.zeros(2, 1, 16, 24))
    assert found == (
        "puts out a batch of 12 for 2 inputs: windows, or other parts of an image, without one grid; "
        "choose the block around it"
    )


def test_tokens_before_the_batch_are_known_by_torchs_attention():
    x, cut = torch.zeros(2, 1, 16, 24), nn.Conv2d(1, 8, 4, 4)
    later = nn.Sequential(cut, nn.MultiheadAttention(8, 2))
    assert layout_of(later, later[1], torch.randn(25, 2, 8), x) == Layout(
        "tokens, batch second", (4, 6), 8, 1
    )
    assert layout_of(later, later[1], torch.randn(2, 25, 8), x) == Layout("tokens", (4, 6), 8, 1)
    first = nn.Sequential(cut, nn.MultiheadAttention(8, 2, batch_first=True))
    assert layout_of(first, first[1], torch.randn(25, 2, 8), x) == "puts out a batch of 25 for 2 inputs"
