"""How long it will take: how often methods ask the network, times what it takes to ask it once."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import mean
from typing import TYPE_CHECKING

import torch

from voxcam.cam.asking.inquiry import Inquiry, autocast_state
from voxcam.cam.asking.subject import Subject
from voxcam.cam.layers import candidate_layers, default_layer
from voxcam.cam.methods import FUSION, GRADIENT, LAYER, known_methods, known_options, passes_of
from voxcam.cam.tracing.as_found import as_found, plain
from voxcam.cam.tracing.gradients import known_classes
from voxcam.cam.tracing.recording import logits_in, recorded, single_or_better

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from torch import Tensor, nn

    from voxcam.cam.tracing.recording import Recording

    Classes = Sequence[int] | Sequence[Sequence[int]] | Tensor | None

AT_THE_INPUT = ("integrated-gradients", "smooth-grad", "guided-grad-cam")
"""Methods whose passes are followed by one backward pass a class, through the whole network."""

AT_THE_LAYER = ("smooth-grad-cam++",)
"""Methods whose passes are followed by the gradients of all classes back to the layer."""

ENOUGH_ON_CPU = 4
"""Samples timed together there, where more at a time are hardly faster; an accelerator gets a full batch."""


@dataclass(frozen=True)
class Plan:
    """How often methods will ask the network, and about how long that will take.

    Attributes
    ----------
    passes
        By method: samples sent through the network beyond the first pass, as `progress` counts them.
    seconds_a_pass
        By method that asks again: measured, with the gradients it takes; of one sample in its batch.
    seconds
        In all, with the first pass. What runs on the recorded pass alone is not in it: the gradients and
        algebra of the methods without passes, the head that `ablation-cam` runs for each channel.
    device
        Where.
    """

    passes: Mapping[str, int]
    seconds_a_pass: Mapping[str, float]
    seconds: float
    device: str

    @property
    def sentence(self) -> str:
        """What will happen, for a person: ``"score-cam: 512 passes, about 40 s on cpu"``."""
        parts = []
        for method, count in self.passes.items():
            if count:
                took = _spoken(count * self.seconds_a_pass[method])
                parts.append(f"{method}: {count} pass{'es' * (count > 1)}, {took} on {self.device}")
            else:
                parts.append(f"{method}: no pass of the network beyond the first")
        return "; ".join(parts)


def plan(
    network: nn.Module,
    inputs: Tensor,
    layer: str | Sequence[str] | None = None,
    methods: str | Sequence[str] = ("grad-cam",),
    classes: Classes = None,
    *,
    options: Mapping[str, Mapping[str, Any]] | None = None,
) -> Plan:
    """Say what `class_maps` would cost with the same arguments, from a few passes of the network.

    A batch as the methods send it runs three times, of which the first is a warm-up; where a method asks
    for gradients, so does a pass with these. The network is left as it was found.

    Raises
    ------
    ExplainError
        As `class_maps` would, where a method, option, layer or class is unknown or unfit.
    """
    asked, chosen = known_methods((methods,) if isinstance(methods, str) else methods), options or {}
    known_options(asked, chosen)
    autocast, layers = autocast_state(inputs.device), _layers(network, inputs, layer, asked)
    with ExitStack() as held:
        if layers:
            recording = held.enter_context(recorded(network, inputs, layers))
            logits, channels = recording.logits, [recording.layouts[name].channels for name in layers]
        else:
            recording, channels = None, []
            held.enter_context(as_found(network, inputs.device))
            logits = logits_in(network(plain(inputs)), len(inputs))
        known, all_logits = known_classes(logits, classes), single_or_better(logits.detach())
        inquiry = Inquiry(network, plain(inputs), all_logits, known, 0, lambda _: None, autocast)
        size = (len(inputs), known.shape[1], tuple(inputs.shape[2:]))
        passes = passes_of(asked, *size, channels, chosen)
        forward, each = _timed(inquiry, recording, passes)
    seconds = len(inputs) * forward + sum(count * each.get(method, 0.0) for method, count in passes.items())
    return Plan(passes, each, seconds, str(inputs.device))


def _layers(
    network: nn.Module, inputs: Tensor, layer: str | Sequence[str] | None, methods: Sequence[str]
) -> tuple[str, ...]:
    """Return the layers that `class_maps` would take; none where no method needs one."""
    if not any(method in kind for method in methods for kind in (GRADIENT, LAYER, FUSION)):
        return ()
    if layer is None:
        layer = default_layer(candidate_layers(network, inputs[:1])).name
    return (layer,) if isinstance(layer, str) else tuple(dict.fromkeys(layer))


def _timed(
    inquiry: Inquiry, recording: Recording | None, passes: Mapping[str, int]
) -> tuple[float, dict[str, float]]:
    """Return the seconds that one sample takes: forwards alone, and by method that asks again."""
    inputs, asking = inquiry.inputs, [method for method, count in passes.items() if count]
    most = max((passes[method] for method in asking if not _differentiates(method)), default=len(inputs))
    together = min(most, inquiry.at_once, ENOUGH_ON_CPU if inputs.device.type == "cpu" else most)
    batch = inputs[:1].expand(together, *inputs.shape[1:]).clone()
    forward = _warm_seconds(inputs, lambda: inquiry.again(batch)) / together
    each = dict.fromkeys(asking, forward)
    if found := [method for method in asking if method in AT_THE_INPUT]:
        took = _warm_seconds(inputs, lambda: inquiry.input_gradients(inputs)) / len(inputs)
        each.update(dict.fromkeys(found, took))
    if recording is not None and (found := [method for method in asking if method in AT_THE_LAYER]):
        subject = Subject(inquiry, recording, next(iter(recording.outputs)))
        took = _warm_seconds(inputs, lambda: subject.captured(inputs)) / len(inputs)
        each.update(dict.fromkeys(found, took))
    return forward, each


def _differentiates(method: str) -> bool:
    return method in AT_THE_INPUT or method in AT_THE_LAYER


def _warm_seconds(inputs: Tensor, work: Callable[[], object]) -> float:
    """Return how long `work` takes, with what it leaves to the device: the mean of two, after a first."""
    took = []
    for _ in range(3):
        _wait_for(inputs.device)
        start = time.perf_counter()
        work()
        _wait_for(inputs.device)
        took.append(time.perf_counter() - start)
    return mean(took[1:])


def _wait_for(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize()


def _spoken(seconds: float) -> str:
    if seconds < 1:
        return "less than a second"
    if seconds < 120:
        return f"about {seconds:.0f} s"
    minutes = seconds / 60
    return f"about {minutes:.0f} min" if minutes < 120 else f"about {minutes / 60:.0f} h"
