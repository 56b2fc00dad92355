"""The functions and dotted names an expression may use, and what each stands for here."""

from __future__ import annotations

import math
import posixpath
import re
from typing import TYPE_CHECKING, Any

from voxcam.model.bundle import bounded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


# Element types become the names that MONAI's transforms take as well as the types.
_ELEMENT_TYPES = {
    "bool": "bool",
    "uint8": "uint8",
    "int8": "int8",
    "int16": "int16",
    "int32": "int32",
    "int64": "int64",
    "float16": "float16",
    "float32": "float32",
    "float64": "float64",
}
_OF_TORCH = {
    "half": "float16",
    "float": "float32",
    "double": "float64",
    "short": "int16",
    "int": "int32",
    "long": "int64",
}
# monai.utils.CommonKeys.
_COMMON_KEYS = {"IMAGE": "image", "LABEL": "label", "PRED": "pred", "LOSS": "loss", "METADATA": "metadata"}

VALUES: dict[str, Any] = {
    **{f"{module}.{name}": name for module in ("torch", "np", "numpy") for name in _ELEMENT_TYPES},
    **{f"torch.{name}": stands for name, stands in _OF_TORCH.items()},
    **{f"{module}.pi": math.pi for module in ("torch", "np", "numpy")},
    **{
        f"monai.utils.{path}CommonKeys.{name}": key
        for path in ("", "enums.")
        for name, key in _COMMON_KEYS.items()
    },
}


# A place a network can be put; which one is not the bundle's to say.
DEVICE = re.compile(r"(cpu|cuda|mps)(:\d{1,3})?")
# A call with named arguments that says no more than a section with a "_target_" does.
OBJECT = re.compile(r"monai\.(networks\.nets|inferers|transforms)\.\w+")
# Methods of a network that leave it the network it is.
MOVES = ("to", "cuda", "cpu", "eval")


def _device(*place: Any) -> str:
    """``torch.device(...)``: the transforms run on the CPU, the network where the user says."""
    if not place or not all(isinstance(part, str | int) for part in place):
        raise TypeError
    return "cpu"


def _listed(values: Any = ()) -> list[Any]:
    return bounded.listed(values)


def _tuple(values: Any = ()) -> tuple[Any, ...]:
    return tuple(bounded.listed(values))


def _dict(values: Any = (), **named: Any) -> dict[Any, Any]:
    pairs = (
        bounded.mapping(values) if isinstance(values, dict) else dict(map(bounded.listed, _listed(values)))
    )
    return pairs | named


def _zip(*values: Any, strict: Any = False) -> list[Any]:
    return list(zip(*map(bounded.listed, values), strict=bool(strict)))


def _enumerate(values: Any, start: Any = 0) -> list[Any]:
    if not isinstance(start, int):
        raise TypeError
    return list(enumerate(bounded.listed(values), start))


def _any(values: Any) -> bool:
    return any(bounded.plain(bounded.listed(values)))


def _all(values: Any) -> bool:
    return all(bounded.plain(bounded.listed(values)))


def _joined(*parts: Any) -> str:
    """``os.path.join`` of texts: no file is looked for."""
    return str(posixpath.join(*parts))


def _itself(value: Any) -> Any:
    return value


def _no() -> bool:
    return False


def _none() -> int:
    return 0


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "abs": bounded.magnitude,
    "all": _all,
    "any": _any,
    "bool": bounded.truth,
    "dict": _dict,
    "enumerate": _enumerate,
    "float": bounded.real,
    "int": bounded.whole,
    "len": bounded.length,
    "list": _listed,
    "max": bounded.extreme(max),
    "min": bounded.extreme(min),
    "range": bounded.counted_range,
    "round": bounded.rounded,
    "sorted": bounded.ordered,
    "str": bounded.text,
    "sum": bounded.summed,
    "tuple": _tuple,
    "zip": _zip,
    "os.path.join": _joined,
    "copy.copy": _itself,
    "copy.deepcopy": _itself,
    "torch.device": _device,
    "torch.cuda.is_available": _no,
    "torch.cuda.device_count": _none,
}
