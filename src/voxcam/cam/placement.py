"""Where in the input a layer's units look: measured with landmarks, and kept only where that holds."""

from __future__ import annotations

from dataclasses import dataclass
from math import log2, sqrt
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from voxcam.cam.capture import capture
from voxcam.cam.upsampling import upsample
from voxcam.errors import ExplainError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import nn

    Centres = tuple[tuple[float, float], ...]

LANDMARKS, FEWEST_ANSWERS = 48, 16
CONTRAST = 3.0
"""Height of a landmark, in standard deviations of its image."""
SIZES, SMALLEST = ((1 / 5, 1 / 32), (1 / 3, 1 / 20)), 2.0
"""Its standard deviation: this share of a unit's stride, at most that share of the axis; 2 voxels or more."""
MARGIN = 1 / 8
"""Share of an axis without landmarks, at either end: units at the border answer differently."""
KINDS = 8
"""Bright and dark, small and large, to fit and to judge: landmarks take turns, each round in one image."""
IMAGES, VOXELS_AT_ONCE, MANY_CLASSES = 4, 2**21, 16
CLEARLY = 0.88
"""A measured rule must bring the error below this share of the usual rule's."""
WITHIN = 0.6
"""And below this share of a stride: landmarks that a layer cannot place within a unit move nothing surely."""


@dataclass(frozen=True)
class Placement:
    """Where the units of a layer look, and how well that is known.

    Attributes
    ----------
    centres
        Per axis (stride, offset), in input voxels: unit u looks at offset + stride * u, voxel 0 having
        its centre at 0. As `voxcam.cam.upsample` takes it.
    usual
        The same by the half-pixel rule, which `upsample` follows when no centres are given.
    rule
        ``"measured"`` or ``"usual"``: which of the two `centres` is.
    residual_voxels
        Per axis, the median distance of the answers from their landmarks by `centres`, on landmarks
        that were not fitted. Empty if too few answered.
    usual_residual_voxels
        The same by the usual rule.
    probes
        How many landmarks answered, and how many were planted.
    reason
        Why this rule was taken, in a sentence.
    """

    centres: Centres
    usual: Centres
    rule: str
    residual_voxels: tuple[float, ...]
    usual_residual_voxels: tuple[float, ...]
    probes: tuple[int, int]
    reason: str


def measure_placement(  # noqa: PLR0913
    network: nn.Module,
    inputs: Tensor | Sequence[int],
    layer: str,
    *,
    class_index: int | None = None,
    landmarks: int = LANDMARKS,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Placement:
    """Plant landmarks in an input, see where the layer's evidence answers, and place its units by that.

    A landmark is a small bright or dark blob. Its answer is the change that it makes to the layer, weighed
    as in Grad-CAM for the class it raises most: the centre of what lies above half of the maximum. The
    answers give one shift an axis, at the layer's own stride: a median, made smaller by its standard error.
    It is taken only if it clearly beats the half-pixel rule on landmarks that were not fitted.

    Costs 55 forward passes, with the gradients of the classes at the layer (of up to 16 classes all at
    once; of more only those that a landmark raises, in a second pass). At most 2 million voxels, or two
    images, go through together. The network is left as it was found. What it gains: docs/placement.md.

    Parameters
    ----------
    network, layer
        As in `voxcam.cam.class_maps`.
    inputs
        Images (B, C, *space), of which the first four are used; or their shape: then noise, coarse as well
        as fine, where a network may answer otherwise than in a scan.
    class_index
        The class whose evidence is followed; None for the one that a landmark raises most.
    landmarks
        How many to plant. With fewer the usual rule is likelier to stay.
    seed
        Says where.
    progress
        Called as progress(done, landmarks); what it raises ends the measurement.

    Raises
    ------
    ExplainError
        The layer, class or input is unfit.
    """
    images = _images(network, inputs)
    space = tuple(images.shape[2:])
    if landmarks < 1:
        raise ExplainError(f"expected 1 landmark or more, found {landmarks}")
    first = capture(network, images[:1], layer, (class_index or 0,))
    grid, classes = tuple(first.activations[layer].shape[2:]), first.logits.shape[1]
    asked = range(classes if classes <= MANY_CLASSES else 0) if class_index is None else (class_index,)
    places = _places(landmarks, space, seed)
    units = torch.full_like(places, float("nan"))
    for some, image in _rounds(images, landmarks):
        blobs = [_blob(places[n], _deviations(n, space, grid), space) * (-1) ** n for n in some]
        units[some] = _answers(network, _planted(image, blobs), layer, asked)
        if progress is not None:
            progress(some[-1] + 1, landmarks)
    return _decided(places, units, space, grid)


def unit_centres(network: nn.Module, inputs: Tensor | Sequence[int], layer: str, **options: Any) -> Centres:
    """Return the `centres` of `measure_placement`, which takes the options: what `upsample` takes."""
    return measure_placement(network, inputs, layer, **options).centres


def usual_centres(input_shape: Sequence[int], grid: Sequence[int]) -> Centres:
    """Return the half-pixel rule: units look at the middles of equal cells that fill the input's box."""
    strides = [size / count for size, count in zip(input_shape, grid, strict=True)]
    return tuple((stride, (stride - 1) / 2) for stride in strides)


def _images(network: nn.Module, inputs: Tensor | Sequence[int]) -> Tensor:
    shape = tuple(inputs.shape if isinstance(inputs, Tensor) else inputs)
    kind = inputs.dtype if isinstance(inputs, Tensor) else torch.float32
    if not 3 <= len(shape) <= 5 or min(shape) < 1 or not kind.is_floating_point:
        raise ExplainError(
            f"expected inputs (B, C, *space) with 1 to 3 axes of space, found {kind} of shape {shape}"
        )
    if min(shape[2:]) < 4 * SMALLEST:
        raise ExplainError(
            f"expected {4 * SMALLEST:.0f} voxels or more along each axis, the size of a landmark, found "
            f"{shape[2:]}; use the half-pixel rule, as upsample does without centres"
        )
    if isinstance(inputs, Tensor):
        return inputs.as_subclass(Tensor).detach()[:IMAGES]
    return _clouds((min(shape[0], IMAGES), *shape[1:])).to(next(network.parameters(), torch.empty(0)))


def _clouds(shape: Sequence[int]) -> Tensor:
    """Return noise that is coarse as well as fine, like scans, of deviation 1; always the same."""
    generator = torch.Generator().manual_seed(0)
    clouds = torch.zeros(tuple(shape))
    for cell in (2, 4, 8, 16, 32):
        coarse = torch.randn(*shape[:2], *(-(-size // cell) + 1 for size in shape[2:]), generator=generator)
        clouds += sqrt(cell) * upsample(coarse, shape[2:])
    return clouds / clouds.std()


def _places(count: int, space: Sequence[int], seed: int) -> Tensor:
    """Return (count, axes) places: along each axis one in each of `count` equal parts, in random order."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.stack([torch.randperm(count, generator=generator) for _ in space], dim=1)
    share = (order + torch.rand(order.shape, generator=generator, dtype=torch.float64)) / count
    return (torch.tensor(space) - 1) * (MARGIN + (1 - 2 * MARGIN) * share)


def _rounds(images: Tensor, count: int) -> Iterator[tuple[list[int], Tensor]]:
    """Yield landmarks that fit into memory together, and the image (1, C, *space) to plant them in."""
    fit = max(1, min(KINDS, VOXELS_AT_ONCE // images[0].numel() - 1))
    for start in range(0, count, KINDS):
        whole = range(start, min(start + KINDS, count))
        for first in range(0, len(whole), fit):
            yield list(whole[first : first + fit]), images[start // KINDS % len(images)][None]


def _deviations(landmark: int, space: Sequence[int], grid: Sequence[int]) -> list[float]:
    of_stride, of_axis = SIZES[landmark // 2 % 2]
    return [
        max(SMALLEST, size * min(of_stride / count, of_axis)) for size, count in zip(space, grid, strict=True)
    ]


def _blob(place: Tensor, deviations: Sequence[float], space: Sequence[int]) -> Tensor:
    blob = torch.ones((), dtype=torch.float64)
    for size, centre, deviation in zip(space, place.tolist(), deviations, strict=True):
        away = (torch.arange(size, dtype=torch.float64) - centre) / deviation
        blob = blob[..., None] * torch.exp(-(away**2) / 2)
    return blob


def _planted(image: Tensor, blobs: Sequence[Tensor]) -> Tensor:
    """Return `image`, and copies with one landmark each, as high as the image's channels vary."""
    spread = image.flatten(2).std(dim=2)
    height = CONTRAST * torch.where(spread > 0, spread, torch.ones_like(spread))
    height = height.reshape(*height.shape, *(1,) * blobs[0].ndim)
    return torch.cat([image, *(image + height * blob.to(image.device, image.dtype) for blob in blobs)])


def _answers(network: nn.Module, images: Tensor, layer: str, asked: Sequence[int]) -> Tensor:
    """Return (n, axes): the unit at which images[1:] change the evidence of images[0]; NaN if they do not."""
    found = capture(network, images, layer, asked or (0,))
    rise = found.logits[1:] - found.logits[:1]
    if not asked:
        asked = sorted(set(rise.argmax(dim=1).tolist()))
        found = capture(network, images, layer, asked)
    rise, best = rise[:, list(asked)].max(dim=1)
    activations, weights = found.activations[layer], found.gradients[layer].flatten(3).mean(dim=3)
    weights = (weights[1:][torch.arange(len(best)), best] + weights[0, best]) / 2
    # Where the only class falls, the evidence that it lost is followed.
    weights = weights * torch.sign(rise)[:, None]
    weights = weights.reshape(*weights.shape, *(1,) * (activations.ndim - 2))
    evidence = (weights * (activations[1:] - activations[:1])).sum(dim=1)
    noise = 1e-5 * (weights * activations[:1]).abs().sum(dim=1).flatten(1).amax(dim=1)
    silent = evidence.flatten(1).amax(dim=1) <= noise
    return _centres_of_half(evidence.double()).masked_fill(silent[:, None], float("nan")).cpu()


def _centres_of_half(maps: Tensor) -> Tensor:
    """Return (n, axes): the centre of what lies above half of each map's maximum, in units."""
    grid, maps = maps.shape[1:], maps.flatten(1)
    over = (maps - maps.amax(dim=1, keepdim=True) / 2).clamp(min=0)
    axes = torch.meshgrid(*(torch.arange(count) for count in grid), indexing="ij")
    units = torch.stack([axis.flatten() for axis in axes], dim=1).to(over)
    return (over @ units) / over.sum(dim=1, keepdim=True)


def _decided(places: Tensor, units: Tensor, space: Sequence[int], grid: Sequence[int]) -> Placement:
    """Fit on one half of the landmarks and judge on the other, and the other way round; then choose."""
    usual = usual_centres(space, grid)
    answered = units.isfinite().all(dim=1)
    probes = (int(answered.sum()), len(places))
    judged = (torch.arange(len(places)) % KINDS >= KINDS // 2)[answered]
    if 2 * min(int(judged.sum()), int((~judged).sum())) < FEWEST_ANSWERS:
        reason = f"the usual rule: {probes[0]} of {probes[1]} landmarks answered, {FEWEST_ANSWERS} are needed"
        return Placement(usual, usual, "usual", (), (), probes, reason)
    places, units = places[answered], units[answered]
    before, after = _errors(places, units, usual), torch.empty_like(places)
    for half in (judged, ~judged):
        after[half] = _errors(places[half], units[half], _fitted(places[~half], units[~half], space, grid))
    change = f"{_median(before.norm(dim=1)):.1f} to {_median(after.norm(dim=1)):.1f} voxels"
    if not _followed(places, after, grid):
        reason = "the usual rule: what the layer answers does not follow the landmarks"
    elif _median(after.norm(dim=1)) > WITHIN * max(stride for stride, _ in usual):
        reason = f"the usual rule: the answers scatter too far round the landmarks (error {change})"
    elif not _clearly_better(before.norm(dim=1), after.norm(dim=1)):
        reason = f"the usual rule: no other agrees clearly better with the landmarks (error {change})"
    else:
        measured = _fitted(places, units, space, grid)
        shift = ", ".join(f"{one:+.1f}" for one in _shift(measured, usual, grid))
        reason = f"measured on {probes[0]} landmarks: shift {shift} voxels; the error fell from {change}"
        return Placement(measured, usual, "measured", _medians(after), _medians(before), probes, reason)
    return Placement(usual, usual, "usual", _medians(before), _medians(before), probes, reason)


def _fitted(places: Tensor, units: Tensor, space: Sequence[int], grid: Sequence[int]) -> Centres:
    """Return the layer's own stride, and the half-pixel offset moved by as much as is sure."""
    centres = list(usual_centres(space, grid))
    for axis, (size, count) in enumerate(zip(space, grid, strict=True)):
        if count > 1:
            stride = _own_stride(size, count)
            away = places[:, axis] - (stride - 1) / 2 - stride * units[:, axis]
            shift = _median(away)
            # Of a median of normal values, whose deviation is 1.48 times their median distance from it.
            error = sqrt(torch.pi / 2 / len(away)) * 1.4826 * _median((away - shift).abs())
            shift = max(shift - error, 0.0) + min(shift + error, 0.0)
            centres[axis] = (stride, (stride - 1) / 2 + shift)
    return tuple(centres)


def _own_stride(size: int, count: int) -> float:
    """Return the power of two that gives `count` units when rounded up or down, else size / count."""
    stride = float(2 ** round(log2(size / count)))
    return stride if abs(size / stride - count) < 1 else size / count


def _errors(places: Tensor, units: Tensor, centres: Centres) -> Tensor:
    strides, offsets = torch.tensor(centres, dtype=places.dtype).unbind(dim=1)
    return torch.abs(places - (offsets + strides * units))


def _followed(places: Tensor, errors: Tensor, grid: Sequence[int]) -> bool:
    """Whether along every axis with units the error is below half of that of always saying the middle."""
    blind = _medians((places - places.median(dim=0).values).abs())
    pairs = zip(_medians(errors), blind, grid, strict=True)
    return all(2 * error < middle or count == 1 for error, middle, count in pairs)


def _clearly_better(before: Tensor, after: Tensor) -> bool:
    """Whether errors fell by a one-sided sign test at 5 %, and their median by enough to matter."""
    fell, of = int((after < before).sum()), len(before)
    return fell - of / 2 > 1.645 * sqrt(of) / 2 and _median(after) < CLEARLY * _median(before)


def _shift(centres: Centres, usual: Centres, grid: Sequence[int]) -> list[float]:
    """Return how far the middle of the grid lies from where the usual rule has it."""
    pairs = zip(centres, usual, grid, strict=True)
    return [(o - o0) + (s - s0) * (count - 1) / 2 for (s, o), (s0, o0), count in pairs]


def _medians(errors: Tensor) -> tuple[float, ...]:
    return tuple(_median(column) for column in errors.unbind(dim=1))


def _median(values: Tensor) -> float:
    return float(values.quantile(0.5))
