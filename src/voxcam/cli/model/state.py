"""``voxcam model state``: what a model states, written beside it for its user to complete."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from voxcam.cli.given import Network


def state(
    model: Annotated[Path, typer.Argument(help="MONAI bundle, or weights.")],
    network: Network = None,
) -> int:
    """Write what MODEL states to MODEL.voxcam.json; what is null there it does not state."""
    from voxcam.cli.answers import print_line
    from voxcam.model.loading import load_classifier
    from voxcam.model.statement.beside import write_beside

    statement = load_classifier(model, "cpu", network=network).statement
    place = write_beside(model, statement)
    print_line(f"{place.name} is written beside the model: edit it, it goes before what the model states")
    missing = ", ".join(statement.missing)
    print_line(f"not stated: {missing}" if missing else "nothing is left out")
    return 0
