"""The head as a function: what a network did after a layer, replayed on other activations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


@dataclass(frozen=True)
class _Slot:
    """Stands for a tensor that depends on a layer."""

    number: int


@dataclass(frozen=True, eq=False)
class _Step:
    """One operation; what does not depend on a layer is kept as it was."""

    operation: Callable[..., Any]
    arguments: tuple[Any, ...]
    form: TreeSpec
    results: tuple[_Slot | None, ...]
    mutates: bool


class Tape(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes every operation that depends on a layer, while it is entered, and replays them.

    It works below autograd on the operations themselves, so it sees through functional code and skip
    connections, and the trunk before the layer is never run again. Shapes are kept as they were:
    for more samples than were recorded, use `torch.func.vmap`.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._steps: list[_Step] = []
        self._numbers: dict[int, _Slot] = {}
        self._alive: list[Tensor] = []  # or Python would give an id away again
        self._layers: dict[str, _Slot] = {}
        self._logits: _Slot | None = None

    def begin(self, layer: str, output: Tensor) -> None:
        """Note that `output` is what `layer` put out: here a replay can start."""
        self._layers[layer] = self._slot(output)

    def end(self, logits: Tensor) -> None:
        """Note the result; operations that do not lead to it are dropped."""
        self._logits = self._numbers.get(id(logits))
        self._numbers.clear()
        self._alive.clear()
        if self._logits is not None:
            self._steps = list(_leading_to(self._logits, self._steps))

    def replay(self, layer: str, first: tuple[str, Tensor], output: Tensor) -> Tensor:
        """Return the logits (B, K) for another `output` of `layer`.

        Parameters
        ----------
        layer
            Whose output is replaced.
        first
            Name and recorded output of the earliest layer: what later layers skip starts there.
        output
            In the layer's own shape and order; left as it is.
        """
        if self._logits is None:
            raise RuntimeError("the logits do not depend on the layer")
        name, start = first
        target = self._layers[layer]
        values: dict[_Slot, Tensor] = {self._layers[name]: start.clone()}
        if target in values:
            values[target] = output.clone()
        for step in self._steps:
            if target not in step.results:
                _run(step, values)
            elif target not in values:
                values[target] = output.clone()
            else:  # an operation in place on the layer's own output
                _run(step, values)
        return values[self._logits]

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        flat, form = tree_flatten((args, kwargs or {}))
        noted = tuple(self._noted(part) for part in flat)
        outcome = func(*args, **(kwargs or {}))
        if any(isinstance(part, _Slot) for part in noted):
            results = tuple(
                self._slot(result) if isinstance(result, Tensor) else None
                for result in tree_flatten(outcome)[0]
            )
            mutates = bool(getattr(getattr(func, "_schema", None), "is_mutable", False))
            self._steps.append(_Step(func, noted, form, results, mutates))
        return outcome

    def _noted(self, part: Any) -> Any:
        return self._numbers.get(id(part), part) if isinstance(part, Tensor) else part

    def _slot(self, tensor: Tensor) -> _Slot:
        if id(tensor) not in self._numbers:
            self._numbers[id(tensor)] = _Slot(len(self._numbers))
            self._alive.append(tensor)
        return self._numbers[id(tensor)]


def _leading_to(result: _Slot, steps: Sequence[_Step]) -> Iterable[_Step]:
    """Return the steps whose results count; those that write in place always may."""
    needed, kept = {result}, []
    for step in reversed(steps):
        if step.mutates or needed.intersection(slot for slot in step.results if slot):
            needed.update(part for part in step.arguments if isinstance(part, _Slot))
            kept.append(step)
    return reversed(kept)


def _run(step: _Step, values: dict[_Slot, Tensor]) -> None:
    parts = [values[part] if isinstance(part, _Slot) else part for part in step.arguments]
    args, kwargs = tree_unflatten(parts, step.form)
    outcome = tree_flatten(step.operation(*args, **kwargs))[0]
    for slot, result in zip(step.results, outcome, strict=True):
        if slot is not None:
            values[slot] = result
