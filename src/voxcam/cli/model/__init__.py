"""``voxcam model``: what a model is, a safe copy of it, a statement beside it, how fast it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typer.core import TyperGroup

from voxcam.cli.model import convert, show, speed, state

if TYPE_CHECKING:
    from collections.abc import Callable

USUAL = "show"
COMMANDS: dict[str, Callable[..., int]] = {
    USUAL: show.show,
    "convert": convert.convert,
    "state": state.state,
    "speed": speed.speed,
}


class ModelGroup(TyperGroup):
    """Takes ``voxcam model BUNDLE`` for ``voxcam model show BUNDLE``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the usual command before what is none."""
        if args and args[0] not in COMMANDS and args[0] not in ("-h", "--help"):
            args = [USUAL, *args]
        return super().parse_args(ctx, args)
