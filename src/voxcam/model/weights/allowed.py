"""The names a checkpoint's pickle may hold: those that stand for data. None is ever imported or called.

Any other name is refused, harmless as its description would be: a file that asks for `posix.system` is an
attack, and one that asks for a network's class needs code that is not here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxcam.model.weights.inert import Made, Named, Stored
from voxcam.model.weights.kinds import AS_SAFETENSORS
from voxcam.model.weights.refusals import Refusal, shown

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

_ALLOWED: dict[str, tuple[str, ...]] = {
    # What torch.save writes of tensors, parameters, dtypes and devices.
    "torch._utils": (
        "_rebuild_tensor",
        "_rebuild_tensor_v2",
        "_rebuild_tensor_v3",
        "_rebuild_parameter",
        "_rebuild_parameter_with_state",
        "_rebuild_qtensor",
        "_rebuild_sparse_tensor",
        "_rebuild_meta_tensor_no_storage",
        "_rebuild_device_tensor_from_cpu_tensor",
        "_rebuild_device_tensor_from_numpy",
    ),
    "torch._tensor": ("_rebuild_from_type_v2",),
    "torch.nn.parameter": ("Parameter", "Buffer"),
    "torch.serialization": ("_get_layout",),
    "torch": (
        *("Size", "Tensor", "device"),
        *("DoubleStorage", "FloatStorage", "HalfStorage", "BFloat16Storage"),
        *("LongStorage", "IntStorage", "ShortStorage", "CharStorage", "ByteStorage", "BoolStorage"),
        *("ComplexDoubleStorage", "ComplexFloatStorage"),
        *("QUInt8Storage", "QInt8Storage", "QInt32Storage", "QUInt4x2Storage", "QUInt2x4Storage"),
        *("float64", "float32", "float16", "bfloat16", "complex64", "complex128"),
        *("int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8", "bool"),
        *("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu"),
        *("quint8", "qint8", "qint32", "quint4x2", "quint2x4"),
        *("per_tensor_affine", "per_tensor_symmetric", "per_channel_affine", "per_channel_symmetric"),
        "per_channel_affine_float_qparams",
    ),
    "torch.storage": ("UntypedStorage", "TypedStorage"),
    "torch.cuda": (
        "DoubleStorage",
        "FloatStorage",
        "HalfStorage",
        "BFloat16Storage",
        "LongStorage",
        "IntStorage",
    ),
    # What trainers keep beside them: histories, settings, versions.
    "collections": ("OrderedDict", "defaultdict", "Counter", "deque"),
    "builtins": ("dict", "list", "set", "frozenset", "tuple", "bytearray", "complex", "slice", "range"),
    "__builtin__": ("dict", "list", "set", "frozenset", "tuple", "bytearray", "complex", "slice", "xrange"),
    "_codecs": ("encode",),
    "argparse": ("Namespace",),
    "types": ("SimpleNamespace",),
    "datetime": ("date", "datetime", "time", "timedelta", "timezone"),
    "pathlib": ("Path", "PosixPath", "WindowsPath", "PurePath", "PurePosixPath", "PureWindowsPath"),
    "pathlib._local": ("Path", "PosixPath", "WindowsPath"),
    "numpy": ("dtype", "ndarray", "bool_", "float16", "float32", "float64", "int32", "int64"),
    "numpy.core.multiarray": ("scalar", "_reconstruct"),
    "numpy._core.multiarray": ("scalar", "_reconstruct"),
    "numpy.core.numeric": ("_frombuffer",),
    "numpy._core.numeric": ("_frombuffer",),
    "numpy.dtypes": ("Float32DType", "Float64DType", "Int32DType", "Int64DType", "BoolDType"),
    "lightning_fabric.utilities.data": ("AttributeDict",),
    "lightning.fabric.utilities.data": ("AttributeDict",),
    "pytorch_lightning.utilities.parsing": ("AttributeDict",),
    "pytorch_lightning.utilities.data": ("AttributeDict",),
}


def refuse_code(names: Iterable[Named], root: Any = None) -> None:
    """Refuse a pickle that names what is not data.

    Parameters
    ----------
    root
        What the pickle describes.

    Raises
    ------
    Refusal
        With the first such name.
    """
    foreign = next((name for name in names if name.name not in _ALLOWED.get(name.module, ())), None)
    if foreign is None:
        return
    if _is_module(root):
        raise Refusal(
            f"holds a whole pickled network ({_class_of(root)}), not its weights alone: reading it would run "
            f"code; on the machine that made it, {AS_SAFETENSORS}",
            runs_code=True,
        )
    raise Refusal(
        f"holds more than weights: reading it would run code ({shown(foreign)}); if you trust where it "
        f"is from, {AS_SAFETENSORS} on the machine that made it",
        runs_code=True,
    )


def _class_of(root: Made) -> str:
    # Before 2020 the class of a network lay outside the pickle: ("module", class, file, source).
    by = root.by.key[1] if isinstance(root.by, Stored) and len(root.by.key) > 1 else root.by
    return shown(by) if isinstance(by, Named) else "of a class without a name"


def _is_module(root: Any) -> bool:
    return isinstance(root, Made) and isinstance(root.state, dict) and "_modules" in root.state
