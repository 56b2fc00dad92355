"""How a layer is named: a submodule, and where needed which of its calls or which part of its output."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

import torch

from voxcam.errors import ExplainError

if TYPE_CHECKING:
    from torch import nn

_FORM = re.compile(r"(?P<module>[^@\[\]]+)(\[(?P<item>[^\[\]]+)\])?(@(?P<call>[1-9]\d*))?")


@dataclass(frozen=True)
class Address:
    """Where in a forward pass a layer's output is taken: ``"relu"``, ``"relu@2"``, ``"encoder[3]"``.

    Attributes
    ----------
    module
        Dotted name, as `network.get_submodule` takes it.
    item
        Which part of a tuple or list (a number) or of a mapping (a key) it puts out; None where it puts
        out one tensor.
    call
        Which of its calls in one forward pass, from 1; None where it is called once.
    """

    module: str
    item: str | None = None
    call: int | None = None

    def __str__(self) -> str:
        item = "" if self.item is None else f"[{self.item}]"
        call = "" if self.call is None else f"@{self.call}"
        return f"{self.module}{item}{call}"


def address_of(name: str) -> Address:
    """Read the name of a layer, or raise an `ExplainError` that shows how one is written."""
    read = _FORM.fullmatch(name)
    if read is None:
        raise ExplainError(
            f"cannot read the layer name {name!r}; expected a submodule such as 'layer4', 'relu@2' for its "
            "second call, 'encoder[3]' for a part of what it puts out"
        )
    call = read["call"]
    return Address(read["module"], read["item"], None if call is None else int(call))


def find_module(network: nn.Module, name: str) -> nn.Module:
    """Return the submodule called `name`, or raise an `ExplainError` that names the nearest ones."""
    modules: dict[str, nn.Module] = dict(network.named_modules(remove_duplicate=False))
    modules.pop("", None)
    if name not in modules:
        nearest = get_close_matches(name, modules, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(map(repr, nearest))}?" if nearest else ""
        hint = hint or "voxcam.cam.candidate_layers lists the layers that can carry a map"
        raise ExplainError(f"the network has no layer {name!r}; {hint}")
    refuse_torchscript(modules[name])
    return modules[name]


def refuse_torchscript(module: nn.Module) -> None:
    """Raise an `ExplainError` if `module` is TorchScript: its layers run outside Python, unseen by hooks."""
    if isinstance(module, torch.jit.ScriptModule):
        raise ExplainError(
            "expected an eager module, found TorchScript, whose layers cannot be observed; "
            "load the network from its Python class and its weights"
        )
