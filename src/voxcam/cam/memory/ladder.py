"""What to do when memory runs out: ask for less at a time, exact remedies before inexact ones."""

from __future__ import annotations

import gc
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch

from voxcam.cam.engine import class_maps
from voxcam.cam.memory.budget import free_bytes, is_out_of_memory, predict_bytes
from voxcam.cam.memory.piecewise import Asked, Portions, maps_in_portions
from voxcam.cam.methods import FUSION
from voxcam.errors import ExplainError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor, nn

    from voxcam.cam.maps import Maps

MOST_BYTES_A_VOXEL = 8192
"""What a pass may hold a voxel of input at the most: a ResNet-50 in 2D keeps 6.8 kB with its full graph."""


@dataclass(eq=False)
class Ladder:
    """Makes maps in the memory there is; remembers, for the next batch, how little had to be asked at a time.

    Each time memory runs out it goes one rung down and tries again. The first rungs give the same maps:
    the cache is freed; four classes at a time, then one; one sample; one layer. Then the forward pass is
    rounded (bfloat16), and last, unrounded again, all is done on the CPU. A rung that cannot help is
    passed over.

    Attributes
    ----------
    run
        What makes the maps, called as `class_maps`.
    rung
        How far down it is; 0 is a plain call.
    steps
        How the maps were made, where not by a plain call: sentences for the provenance.
    """

    run: Callable[..., Maps] = class_maps
    rung: int = 0
    steps: list[str] = field(default_factory=list)

    def maps(
        self,
        network: nn.Module,
        inputs: Tensor,
        layer: str | Sequence[str] | None = None,
        methods: str | Sequence[str] = ("grad-cam",),
        classes: Any = None,
        **options: Any,
    ) -> Maps:
        """Return `class_maps` of the same arguments; any error but one of memory passes as it is.

        Raises
        ------
        ExplainError
            Memory ran out on the last rung, or as `class_maps`.
        """
        asked = Asked(network, inputs, layer, methods, classes, options)
        while True:
            maps = self._tried(asked)
            if maps is not None:
                return maps
            self._step_down(asked)

    def foresee(
        self, network: nn.Module, inputs: Tensor, layers: Sequence[str], classes: Sequence[int] | None = None
    ) -> None:
        """Begin as far down as the predicted need asks for; a CPU's memory may end the process unasked.

        Only rungs that leave the maps exact are taken so. Nothing is predicted for inputs that need little
        whatever the network.
        """
        free = free_bytes(inputs.device)
        if free is None or inputs.numel() * MOST_BYTES_A_VOXEL < free:
            return
        asked = Asked(network, inputs, tuple(layers), (), classes, {})
        for rung in range(len(_RUNGS)):
            portions = self._portions(asked, rung)
            if portions.by_layer or portions.bfloat16 or portions.on_cpu:
                return
            some = inputs[:1] if portions.by_sample else inputs
            need = predict_bytes(network, some, layers, classes, portions.chunk)
            self.rung = rung
            if need.total - need.parameters < free:
                return

    def _portions(self, asked: Asked, rung: int) -> Portions:
        portions = Portions(asked.options.get("chunk"))
        for remedy in _RUNGS[:rung]:
            if remedy.helps(asked):
                portions = replace(portions, **remedy.change)
        return portions

    def _tried(self, asked: Asked) -> Maps | None:
        """Return the maps, or None where memory ran out."""
        portions = self._portions(asked, self.rung)
        if self.rung:
            _empty_cache(asked.inputs.device)
        try:
            maps = maps_in_portions(self.run, asked, portions)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            maps = None
        # Not before here is the error gone, and with it the frames that hold the tensors of the failed try.
        if maps is not None:
            rungs = [rung for rung in _RUNGS[: self.rung] if rung.helps(asked)]
            done = [rung.step for rung in rungs if rung.is_in(portions)]
            self.steps += [step for step in done if step not in self.steps]
        return maps

    def _step_down(self, asked: Asked) -> None:
        gc.collect()
        for down, rung in enumerate(_RUNGS[self.rung :], start=self.rung + 1):
            if rung.helps(asked):
                self.rung = down
                return
        tried = [rung.step for rung in _RUNGS if rung.helps(asked)]
        raise ExplainError(_out_of_memory(asked, tried))


@dataclass(frozen=True)
class _Rung:
    """One remedy: what to say of it, where it can help, and what it changes."""

    step: str
    helps: Callable[[Asked], bool]
    change: Mapping[str, Any]

    def is_in(self, portions: Portions) -> bool:
        """Whether no later rung changed the same again."""
        return all(getattr(portions, name) == value for name, value in self.change.items())


def _has_more_classes_than(count: int, asked: Asked) -> bool:
    """Whether more may be differentiated together; None for either number says nothing against it."""
    chunk = asked.options.get("chunk")
    classes = None if asked.classes is None else torch.as_tensor(asked.classes).shape[-1]
    return all(number is None or number > count for number in (chunk, classes))


def _takes_bfloat16(asked: Asked) -> bool:
    device = asked.inputs.device.type
    if device not in ("cpu", "cuda") or (device == "cuda" and not torch.cuda.is_bf16_supported()):
        return False
    return asked.inputs.dtype == torch.float32 and not torch.is_autocast_enabled(device)


def _can_go_by_layer(asked: Asked) -> bool:
    return len(asked.layers) > 1 and not any(method in FUSION for method in asked.method_names)


_RUNGS = (
    _Rung("too little memory: the cache was freed", lambda _: True, {}),
    _Rung(
        "too little memory: gradients of four classes at a time",
        lambda a: _has_more_classes_than(4, a),
        {"chunk": 4},
    ),
    _Rung(
        "too little memory: gradients of one class at a time",
        lambda a: _has_more_classes_than(1, a),
        {"chunk": 1},
    ),
    _Rung("too little memory: one sample at a time", lambda a: len(a.inputs) > 1, {"by_sample": True}),
    _Rung("too little memory: one layer at a time", _can_go_by_layer, {"by_layer": True}),
    _Rung(
        "too little memory: in bfloat16, which keeps 2 to 3 digits, so these maps are not exact",
        _takes_bfloat16,
        {"bfloat16": True},
    ),
    _Rung(
        "too little memory: on the CPU",
        lambda a: a.inputs.device.type != "cpu",
        {"bfloat16": False, "on_cpu": True},
    ),
)


def _empty_cache(device: torch.device) -> None:
    """Give back what torch keeps for later; what it keeps in small pieces may fit nothing any more."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    if device.type == "mps":
        torch.mps.empty_cache()


def _out_of_memory(asked: Asked, tried: Sequence[str]) -> str:
    device, shape = asked.inputs.device, tuple(asked.inputs.shape)
    steps = "; ".join(step.removeprefix("too little memory: ") for step in tried)
    return (
        f"memory ran out on {device} with inputs {shape}{_least(asked)}, after all was tried ({steps}); "
        "take a smaller window, fewer layers, or a device with more memory"
    )


def _least(asked: Asked) -> str:
    """Say how much is needed at the least, and how much there is, as far as that can be told."""
    try:
        one = asked.inputs[:1]
        parts = [[name] for name in asked.layers] if _can_go_by_layer(asked) else [asked.layers]
        needed = max(predict_bytes(asked.network, one, part, chunk=1).total for part in parts)
    except Exception:  # the network does not run even so: the reason is known already
        return ""
    free = free_bytes(asked.inputs.device)
    found = "" if free is None else f" where {free / 2**30:.1f} GiB are free"
    return f", which need about {needed / 2**30:.1f} GiB at the least{found}"
