"""Voxels that are computed as asked: a stack of slices, a part of it, and what needs only some of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from itertools import product
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import ArrayLike, DTypeLike, NDArray

# What is kept of slices already read, and how much of a stack is held at once to put it into C order.
CACHE_BYTES = 1 << 28
BLOCK_BYTES = 1 << 29


class Lazy(ABC):
    """An array to numpy, whose voxels exist only where somebody asks by numpy's basic indexing.

    `slice_axis` is the axis along which a plane of voxels costs least.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @abstractmethod
    def __getitem__(self, key: Any) -> NDArray[Any]:
        """Return the asked part: whole numbers, slices, ellipsis."""

    @property
    def slice_axis(self) -> int:
        """k, of voxels along i, j, k."""
        return min(2, self.ndim - 1)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of voxels."""
        return int(np.prod(self.shape))

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[...], dtype=dtype)

    def transpose(self, *axes: Any) -> Part:
        """Return the same voxels with axes in another order, still computed as asked."""
        order = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes
        return Part(self, ..., order or range(self.ndim)[::-1])


class Stacked(Lazy):
    """Slices stacked along k, each read when first needed; the last read are kept. Threads may share it.

    Parameters
    ----------
    slice_at
        Returns the slice at k, or at (k, t), shape `plane`. Called again for a slice no longer kept.
    plane
        Voxels along i, j.
    count
        Slices, or (slices, moments).
    dtype
        Of every slice.
    cache_bytes
        Slices are kept up to this size together.
    """

    def __init__(
        self,
        slice_at: Callable[..., ArrayLike],
        plane: tuple[int, int],
        count: int | tuple[int, int],
        dtype: DTypeLike,
        *,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self.slice_at, self.cache_bytes = slice_at, cache_bytes
        self.shape = (*plane, *((count,) if isinstance(count, int) else count))
        self.dtype = np.dtype(dtype)
        self._forget()

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """Return a copy of the asked part; of every slice it touches, the whole is read."""
        asked = spelled_out(key, self.shape)
        i, j, *places = (range(one, one + 1) if isinstance(one, int) else one for one in asked)
        # In memory the slices follow one another: they are written, and mostly read, one by one.
        part = np.empty([len(one) for one in (*places, i, j)], self.dtype)
        within = as_key(i), as_key(j)
        for where in product(*(range(len(one)) for one in places)):
            at = tuple(one[n] for one, n in zip(places, where, strict=True))
            part[where] = self._slice(at)[within]
        part = np.moveaxis(part, (-2, -1), (0, 1))
        return part[tuple(0 if isinstance(one, int) else slice(None) for one in asked)]

    def _slice(self, at: tuple[int, ...]) -> NDArray[Any]:
        with self._lock:
            if at in self._kept:
                self._kept.move_to_end(at)
                return self._kept[at]
        read = np.asarray(self.slice_at(*at)).astype(self.dtype, copy=False)
        if read.shape != self.shape[:2]:
            raise ValueError(f"slice {at} is {read.shape}, the stack is of {self.shape[:2]}")
        with self._lock:
            self._kept[at] = read
            self._kept.move_to_end(at)
            most = self.cache_bytes // max(read.nbytes, 1)
            while len(self._kept) > most:
                self._kept.popitem(last=False)
        return read

    def _forget(self) -> None:
        self._lock = Lock()
        self._kept: OrderedDict[tuple[int, ...], NDArray[Any]] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        """Travel to another process without lock and slices."""
        return {name: value for name, value in vars(self).items() if name not in ("_lock", "_kept")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._forget()


class Part(Lazy):
    """``voxels[key].transpose(axes)``, computed as asked.

    Parameters
    ----------
    voxels
        An array, or array-like by basic indexing.
    key
        Whole numbers drop an axis, slices cut or flip it.
    axes
        Order of the axes that are left; () leaves it.
    """

    def __init__(self, voxels: Any, key: Any, axes: Sequence[int] = ()) -> None:
        self.voxels, self.dtype = voxels, voxels.dtype
        self._asked = spelled_out(key, voxels.shape)
        left = [axis for axis, one in enumerate(self._asked) if isinstance(one, range)]
        if axes and sorted(axes) != list(range(len(left))):
            raise ValueError(f"axes {tuple(axes)} are no order of {len(left)} axes")
        self._axes = [left[axis] for axis in axes] if axes else left
        self.shape = tuple(len(self._asked[axis]) for axis in self._axes)  # type: ignore[arg-type]

    @property
    def slice_axis(self) -> int:
        """The axis of ours that is the source's; the last if that is held at one slice."""
        theirs = getattr(self.voxels, "slice_axis", min(2, len(self._asked) - 1))
        return self._axes.index(theirs) if theirs in self._axes else self.ndim - 1

    def __getitem__(self, key: Any) -> NDArray[Any]:
        asked = list(self._asked)
        for axis, one in zip(self._axes, spelled_out(key, self.shape), strict=True):
            whole = asked[axis]
            asked[axis] = whole[as_key(one)] if isinstance(whole, range) else whole
        part = np.asarray(self.voxels[tuple(as_key(one) for one in asked)])
        left = [axis for axis, one in enumerate(asked) if isinstance(one, range)]
        return part.transpose([left.index(axis) for axis in self._axes if axis in left])


class Mapped(Lazy):
    """Voxels each made into another by itself, computed as asked.

    Parameters
    ----------
    voxels
        An array-like by basic indexing.
    work
        Takes and returns an array of one shape.
    dtype
        Of what `work` returns.
    """

    def __init__(self, voxels: Any, work: Callable[[NDArray[Any]], NDArray[Any]], dtype: DTypeLike) -> None:
        self.voxels, self.work = voxels, work
        self.shape, self.dtype = tuple(voxels.shape), np.dtype(dtype)

    @property
    def slice_axis(self) -> int:
        """The source's."""
        return int(getattr(self.voxels, "slice_axis", min(2, self.ndim - 1)))

    def __getitem__(self, key: Any) -> NDArray[Any]:
        return self.work(np.asarray(self.voxels[key]))


def part_of(voxels: Any, key: Any, axes: Sequence[int] = ()) -> Any:
    """Return ``voxels[key].transpose(axes)``: a view of an array, a `Part` of anything else."""
    if not isinstance(voxels, np.ndarray):
        return Part(voxels, key, axes)
    part = voxels[key]
    return part.transpose(axes) if axes else part


def sampled(values: ArrayLike, slices: int) -> NDArray[Any]:
    """Return an array of `values`; of voxels computed as asked, `slices` slices at most, evenly spread."""
    shape: tuple[int, ...] = getattr(values, "shape", ())
    if isinstance(values, np.ndarray) or len(shape) < 3:
        return np.asarray(values)
    axis = getattr(values, "slice_axis", 2)
    others = range(3, len(shape)) if axis == 2 else ()
    ends = [np.linspace(0, shape[a] - 1, min(slices, shape[a])) for a in (axis, *others)]
    most = max(len(end) for end in ends)
    read = []
    for n in range(most):  # along a fourth axis the moment goes on with the slice
        key: list[Any] = [slice(None)] * len(shape)
        for a, end in zip((axis, *others), ends, strict=True):
            key[a] = round(end[n * len(end) // most])
        read.append(np.asarray(values[tuple(key)]))  # type: ignore[index]
    return np.stack(read)


def in_c_order(voxels: Any, block_bytes: int = BLOCK_BYTES) -> Iterator[NDArray[Any]]:
    """Yield the voxels block by block, so that the blocks' bytes are those of the whole array in C order.

    A stack is read once for each block, since in C order its slices lie interleaved.
    """
    each = max(1, int(np.prod(voxels.shape[1:])) * voxels.dtype.itemsize)
    thick = max(1, block_bytes // each)
    for start in range(0, voxels.shape[0], thick):
        yield np.ascontiguousarray(voxels[start : start + thick])


def spelled_out(key: Any, shape: tuple[int, ...]) -> list[int | range]:
    """Return a basic index as one whole number or range of positions for each axis.

    Raises
    ------
    IndexError
        If it is no basic index, or reaches out of `shape`.
    """
    keys = list(key) if isinstance(key, tuple) else [key]
    for at in [at for at, one in enumerate(keys) if one is Ellipsis][:1]:
        keys[at : at + 1] = [slice(None)] * (len(shape) - len(keys) + 1)
    keys += [slice(None)] * (len(shape) - len(keys))
    if len(keys) != len(shape):
        raise IndexError(f"too many indices for {len(shape)} axes: {key}")
    asked: list[int | range] = []
    for axis, one in enumerate(keys):
        if isinstance(one, bool) or not isinstance(one, int | np.integer | slice):
            raise IndexError(f"an index here is a whole number, a slice or an ellipsis, found {one!r}")
        if not isinstance(one, slice) and not -shape[axis] <= one < shape[axis]:
            raise IndexError(f"index {one} is out of bounds for axis {axis} of {shape[axis]}")
        asked.append(range(shape[axis])[one])
    return asked


def as_key(one: int | range) -> Any:
    """Return a range as the slice that picks it."""
    if isinstance(one, int):
        return one
    if len(one) == 0:
        return slice(0, 0)
    # Downwards to the first position there is no number to stop at.
    return slice(one.start, one.stop if one.stop >= 0 else None, one.step)
