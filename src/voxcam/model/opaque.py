"""A network that can be called but not looked into: TorchScript, or a function of a library user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable


class Opaque(nn.Module):
    """A callable as a network without layers.

    Scores, occlusion, integrated gradients and SmoothGrad work on it; a map at a layer does not, for no
    layer of it can be observed (a hook on a ScriptModule raises).

    Parameters
    ----------
    called
        Takes (n, channels, *space), returns logits (n, classes).
    kind
        What it is, for the reader: "TorchScript", "a function".
    """

    def __init__(self, called: Callable[[Tensor], Tensor], kind: str) -> None:
        super().__init__()
        # Not registered as a submodule: the engine would look into it, which TorchScript refuses.
        self.__dict__["called"] = called
        self.kind = kind

    def forward(self, inputs: Tensor) -> Tensor:
        """Return what the callable answers."""
        answer: Tensor = self.__dict__["called"](inputs)
        return answer

    def to(self, *args: Any, **kwargs: Any) -> Opaque:
        """Move the callable where it can be moved."""
        if isinstance(self.__dict__["called"], nn.Module):
            self.__dict__["called"].to(*args, **kwargs)
        return self
