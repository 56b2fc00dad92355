"""From the description of a tensor in a pickle to its place in the file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from voxcam.model.weights.inert import Made, Named, Stored
from voxcam.model.weights.refusals import Refusal, damaged, shown
from voxcam.model.weights.tables import ITEM_BYTES, Entry

if TYPE_CHECKING:
    from collections.abc import Callable

    from voxcam.model.weights.archive import Record

_STORAGES = {
    "DoubleStorage": "F64",
    "FloatStorage": "F32",
    "HalfStorage": "F16",
    "BFloat16Storage": "BF16",
    "LongStorage": "I64",
    "IntStorage": "I32",
    "ShortStorage": "I16",
    "CharStorage": "I8",
    "ByteStorage": "U8",
    "BoolStorage": "BOOL",
    "UntypedStorage": "U8",
}
_REFUSED = {
    "_rebuild_qtensor": "quantised: expected plain floats; save the network before it was quantised",
    "_rebuild_sparse_tensor": "sparse: save it with .to_dense()",
    "_rebuild_meta_tensor_no_storage": "on the meta device, without numbers: save it from a real device",
    "_rebuild_device_tensor_from_numpy": "of a device VoxCAM does not read: save it with .cpu()",
}
_PARAMETERS = ("_rebuild_parameter", "_rebuild_parameter_with_state")
_TENSORS = ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3")
_DEEPEST = 4


@dataclass(frozen=True)
class Storage:
    """A block of numbers a pickle asks for: by its key, of `count` numbers of a type."""

    key: str
    dtype: str
    count: int


def is_tensor(value: object) -> bool:
    """Tell a tensor or parameter, of whatever kind, from everything else a pickle describes."""
    return isinstance(value, Made) and isinstance(value.by, Named) and _is_rebuilding(value.by)


def entry_of(name: str, tensor: Made, place: Callable[[Storage], Record]) -> Entry:
    """Return where the numbers of a described tensor lie.

    Parameters
    ----------
    name
        Of the weight.
    tensor
        For which `is_tensor` holds.
    place
        Tells where the block of a storage lies.

    Raises
    ------
    Refusal
        If it is sparse, quantised or of another kind without plain numbers, or badly described.
    """
    try:
        return _entry(name, _plain(name, tensor), place)
    except (ValueError, TypeError, IndexError, AttributeError):
        raise damaged(f"{shown(name)!r} is not described as a tensor is") from None


def storage_of(stored: object) -> Storage:
    """Return the storage that a pickle's persistent id asks for: ("storage", type, key, device, count, ...).

    The device is left out on purpose: numbers saved on a GPU come to the CPU.
    """
    if not isinstance(stored, Stored):
        raise TypeError
    word, kind, key, _device, count = stored.key[:5]
    if word not in ("storage", b"storage") or any(part is not None for part in stored.key[5:]):
        raise ValueError
    if type(count) is not int or not isinstance(key, str) or not isinstance(kind, Named):
        raise TypeError
    return Storage(key, _STORAGES.get(kind.name, kind.name), count)


def _is_rebuilding(by: Named) -> bool:
    return (by.module, by.name) == ("torch._tensor", "_rebuild_from_type_v2") or (
        by.module == "torch._utils" and by.name.startswith("_rebuild_")
    )


def _plain(name: str, tensor: Made) -> Made:
    """Return the tensor inside what wraps it: parameters, and subclasses that only add attributes."""
    for _ in range(_DEEPEST):
        kind = tensor.by.name
        if kind in _REFUSED:
            raise Refusal(f"holds {shown(name)!r} {_REFUSED[kind]}")
        if kind in _PARAMETERS or kind == "_rebuild_device_tensor_from_cpu_tensor":
            tensor = tensor.arguments[0]
        elif kind == "_rebuild_from_type_v2":
            tensor = Made(tensor.arguments[0], tensor.arguments[2])
        else:
            return tensor
    raise ValueError


def _entry(name: str, tensor: Made, place: Callable[[Storage], Record]) -> Entry:
    if tensor.by.module != "torch._utils" or tensor.by.name not in _TENSORS:
        raise ValueError
    stored, offset, shape, strides, *others = tensor.arguments
    storage = storage_of(stored)
    dtype = _dtype(others[2]) if tensor.by.name == "_rebuild_tensor_v3" else storage.dtype
    if others and others[-1] and isinstance(others[-1], dict) and tensor.by.name != "_rebuild_tensor":
        raise Refusal(f"holds {shown(name)!r} as a lazy view (conjugate or negative): save it with .clone()")
    block = place(storage)
    return Entry(name, dtype, block.start, block.size, block.crc, offset, _numbers(shape), _numbers(strides))


def _numbers(described: object) -> tuple[int, ...]:
    """Return a shape, which old files keep as a torch.Size."""
    if isinstance(described, Made) and described.by == Named("torch", "Size"):
        (described,) = described.arguments
    if not isinstance(described, tuple | list):
        raise TypeError
    return tuple(described)


def _dtype(named: Named) -> str:
    short = {"float": "F", "bfloat": "BF", "int": "I", "uint": "U"}
    kind, bits = named.name.rstrip("0123456789"), named.name.lstrip("abcdefghijklmnopqrstuvwxyz_")
    dtype = f"{short.get(kind, kind)}{bits}" if named.name != "bool" else "BOOL"
    return dtype if dtype in ITEM_BYTES else named.name
