"""``voxcam model speed``: what each way of running faster gains here, and what it changes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from voxcam.cli.given import Network, TrustCode


def speed(
    model: Annotated[Path, typer.Argument(help="MONAI bundle, or weights.")],
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    network: Network = None,
    trust_code: TrustCode = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> int:
    """Measure channels-last, autocast and compile for MODEL on this machine."""
    from dataclasses import asdict

    from voxcam.cli.answers import print_json, print_line, print_table
    from voxcam.cli.given import How, classifiers
    from voxcam.model.tuning import measure_tunings

    (classifier,) = classifiers([model], How(device, network, trust_code))
    found = measure_tunings(classifier)
    if as_json:
        print_json({"device": str(classifier.device), "tunings": [asdict(one) for one in found]})
        return 0
    rows = [
        (one.name, "", one.failed) if one.failed else (one.name, f"{one.speed:.2f} x", f"{one.change:.2g}")
        for one in found
    ]
    print_table(f"on {classifier.device}", ("--tune", "speed", "largest change of a logit"), rows)
    print_line("Interleaved, medians; on one window of noise. Take what is faster by more than its noise.")
    return 0
