"""Ways to run a network faster, each measured on the spot: what it gains, and what it changes."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from voxcam.errors import ClassifierError
from voxcam.model.assembly import laid_out

if TYPE_CHECKING:
    from collections.abc import Callable

    from voxcam.model.classifier import Classifier

ROUNDS = 5


@dataclass(frozen=True)
class Measured:
    """What a tuning does on this machine.

    Parameters
    ----------
    name
        Key of `TUNINGS`.
    speed
        How many times as fast as untuned: the median of interleaved rounds.
    change
        Largest difference of a logit, in logit units; NaN if it could not be run.
    failed
        Why it could not be run, or "".
    """

    name: str
    speed: float
    change: float
    failed: str = ""


def measure_tunings(classifier: Classifier, rounds: int = ROUNDS) -> tuple[Measured, ...]:
    """Return what every tuning gains on a window of noise, and what it changes."""
    generator = torch.Generator().manual_seed(0)
    batch = torch.rand(classifier.example_shape, generator=generator)
    plain = classifier.logits(classifier.placed(batch))
    return tuple(_measured(name, classifier, batch, plain, rounds) for name in TUNINGS)


def tuned(classifier: Classifier, *names: str) -> Classifier:
    """Return the classifier with tunings: keys of `TUNINGS`. Its network is a copy.

    Raises
    ------
    ClassifierError
        If there is no such tuning.
    """
    for name in names:
        if name not in TUNINGS:
            raise ClassifierError(f"no tuning is called {name!r}: there is {', '.join(TUNINGS)}")
    if not names or classifier.is_opaque:
        return classifier
    # Placements are measured in the untuned network's numbers: the tuned one measures its own.
    changed = replace(classifier, network=copy.deepcopy(classifier.network), placements={})
    for name in names:
        changed = TUNINGS[name](changed)
    return changed


def _channels_first(classifier: Classifier) -> Classifier:
    network = classifier.network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return replace(classifier, network=network, channels_last=False)


def _autocast(classifier: Classifier) -> Classifier:
    """Compute in bfloat16 where torch holds it safe: half the numbers' bits, the range of float32."""
    return replace(classifier, autocast=torch.bfloat16)


def _compiled(classifier: Classifier) -> Classifier:
    """Compile for scores: hooks of the engine are not called in compiled code, so maps come uncompiled."""
    return replace(classifier, compiled=torch.compile(classifier.network))


TUNINGS: dict[str, Callable[[Classifier], Classifier]] = {
    "channels-last": laid_out,
    "channels-first": _channels_first,
    "autocast": _autocast,
    "compile": _compiled,
}


def _measured(
    name: str, classifier: Classifier, batch: torch.Tensor, plain: torch.Tensor, rounds: int
) -> Measured:
    try:
        fast = tuned(classifier, name)
        change = float((fast.logits(fast.placed(batch)) - plain).abs().max())
        times = [(_timed(classifier, batch), _timed(fast, batch)) for _ in range(rounds)]
    except Exception as error:  # a compiler that is not there, an operation this device lacks
        return Measured(name, float("nan"), float("nan"), " ".join(str(error).split())[:120])
    before, after = (sorted(column)[rounds // 2] for column in zip(*times, strict=True))
    return Measured(name, before / after, change)


def _timed(classifier: Classifier, batch: torch.Tensor) -> float:
    placed = classifier.placed(batch)
    start = time.perf_counter()
    classifier.logits(placed).cpu()  # waits for the device
    return time.perf_counter() - start
