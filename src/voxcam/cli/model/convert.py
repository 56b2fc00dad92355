"""``voxcam model convert``: a safe bundle of any model that loads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from voxcam.cli.given import AcceptWeights, Network, TrustCode


def convert(
    model: Annotated[Path, typer.Argument(help="MONAI bundle, weights, or TorchScript.")],
    out: Annotated[Path, typer.Option("--out", help="New folder for the bundle.")],
    network: Network = None,
    trust_code: TrustCode = None,
    accept_weights: AcceptWeights = None,
) -> int:
    """Write MODEL as a bundle that loads without running anything: safetensors and JSON."""
    from voxcam.cli.answers import print_line
    from voxcam.core.landing import free_place
    from voxcam.model.converting import convert_model

    free_place(out)
    notes = convert_model(
        model, out, network=network, trust_code=trust_code or False, accept_weights=accept_weights
    )
    for note in notes:
        print_line(note)
    print_line(f"written to {out}; `voxcam model {out}` says what it is")
    return 0
