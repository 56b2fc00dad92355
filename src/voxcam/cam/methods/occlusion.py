"""Occlusion: hide a box of the image, see what the logit loses."""

from __future__ import annotations

from itertools import product
from math import ceil, prod
from typing import TYPE_CHECKING

from voxcam.cam.methods.baseline import baseline_of
from voxcam.cam.methods.limits import sizes
from voxcam.cam.methods.variants import answers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from voxcam.cam.asking.inquiry import Inquiry
    from voxcam.cam.asking.passes import Extent

    Sizes = int | Sequence[int] | None

METHOD = "occlusion"


def occlusion(
    inquiry: Inquiry, *, size: Sizes = None, stride: Sizes = None, fill: float | str = "mean"
) -> Tensor:
    """Occlusion (Zeiler and Fergus 2014): Y_c(X) - Y_c(X with a box replaced), a box round each cell.

    Cells cut the input into equal boxes, so `upsample(map, input_shape)` puts each value where its box
    was. A box that reaches over the border is cut off there. Positive where hiding takes evidence away,
    negative where it adds some; in logit units, of one box at a time: neighbouring boxes overlap, and
    what two places say together is hidden by no box, so the map does not add up to the logit.

    Parameters
    ----------
    size
        Voxels of the hidden box, one number or one an axis. By default an eighth of each axis.
    stride
        Voxels from one box to the next at most: it is shortened until the cells fill the axis evenly. By
        default half the size; in 3D the size, where half would make eight times as many passes.
    fill
        What is seen in the box: ``"mean"`` or ``"min"`` of the sample's channel, ``"blur"`` (details of the
        box's size are wiped out, the surroundings' grey stays), or a number.

    Returns
    -------
    maps
        (B, K', *cells).

    Raises
    ------
    ExplainError
        A size or stride is below 1 or larger than the input, or the fill is unknown.
    """
    inputs, space = inquiry.inputs, inquiry.inputs.shape[2:]
    box, cells = _box_and_cells(space, size, stride)
    instead = baseline_of(inputs, fill, option="a fill", extent=box)
    axes = [_spans(*axis) for axis in zip(space, box, cells, strict=True)]
    boxes = [(slice(None), *spans) for spans in product(*axes)]

    def build(sample: Tensor, number: Tensor) -> Tensor:
        hidden = inputs[sample]
        for one, of, which in zip(hidden, sample.tolist(), number.tolist(), strict=True):
            one[boxes[which]] = instead[of][boxes[which]]
        return hidden

    losses = inquiry.logits[:, :, None] - answers(inquiry, len(boxes), build).transpose(1, 2)
    return losses.reshape(*losses.shape[:2], *cells)


def passes_of_occlusion(extent: Extent, *, size: Sizes = None, stride: Sizes = None, **_: object) -> int:
    """Return one pass a cell."""
    return extent.samples * prod(_box_and_cells(extent.space, size, stride)[1])


def _box_and_cells(
    space: Sequence[int], size: Sizes, stride: Sizes
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the voxels of a box and the number of cells, axis by axis."""
    if size is None:
        size = [min(axis, max(2, ceil(axis / 8))) for axis in space]
    box = sizes(METHOD, "size", size, space)
    if stride is None:
        stride = [one if len(space) > 2 else max(1, one // 2) for one in box]
    steps = sizes(METHOD, "stride", stride, space)
    return box, tuple(ceil(axis / step) for axis, step in zip(space, steps, strict=True))


def _spans(axis: int, size: int, cells: int) -> list[slice]:
    """Return the spans of `size` voxels round the centres of `cells` equal parts of an axis.

    Cell i has its centre (2 i + 1) axis / (2 cells) voxels from the edge; a span starts at the voxel edge
    nearest to half a size before it.
    """
    starts = [((2 * cell + 1) * axis - size * cells + cells) // (2 * cells) for cell in range(cells)]
    return [slice(max(0, start), min(axis, start + size)) for start in starts]
