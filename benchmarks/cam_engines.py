"""VoxCAM's engine beside MONAI, pytorch-grad-cam, torch-cam and captum, in one run.

    make bench                                               everything, in an environment of its own
    python -m benchmarks.cam_engines --only speed memory     some parts
    python -m benchmarks.cam_engines --readme --json figures.json

Contenders take turns, so that a busy machine slows them alike; figures are medians. Read the ratios.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.engines.readme import BEGIN, END, between_markers, has_markers, in_full, in_short
from benchmarks.engines.tables import targets_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.engines.tables import Findings

PARTS = ("parity", "defects", "speed", "perturbation", "memory", "traces")
PEERS = {"monai": "monai", "pytorch_grad_cam": "grad-cam", "torchcam": "torchcam", "captum": "captum"}
ROOT = Path(__file__).resolve().parents[1]
READMES = {ROOT / "README.md": in_short, ROOT / "benchmarks" / "README.md": in_full}


def main() -> int:
    """Measure the parts asked for; return 2 if the run cannot start."""
    chosen = arguments()
    problem = missing_peers() or (missing_markers() if chosen.readme else "")
    if problem:
        print(problem, file=sys.stderr)
        return 2
    os.environ["TQDM_DISABLE"] = "1"  # peers' progress bars cost time
    from benchmarks.engines import report
    from benchmarks.engines.contenders import versions

    report.quiet(chosen.threads)
    print(versions())
    found = [shown_when_done(part, report.PARTS[part], chosen.rounds) for part in chosen.only or PARTS]
    print(targets_table(found).text())
    if chosen.json:
        chosen.json.write_text(json.dumps(report.as_dict(versions(), found), indent=1))
    for readme, body in READMES.items() if chosen.readme else ():
        readme.write_text(between_markers(readme.read_text(), body(versions(), found)))
    return 0


def shown_when_done(part: str, measure: Callable[[int], Findings], rounds: int) -> Findings:
    """Measure one part and print its tables."""
    started = time.perf_counter()
    found = measure(rounds)
    for table in found.tables:
        print(table.text())
    print(f"({part}: {time.perf_counter() - started:.0f} s)", flush=True)
    return found


def arguments() -> argparse.Namespace:
    """Read the command line."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--only", nargs="+", choices=PARTS, help="these parts alone")
    options.add_argument("--rounds", type=int, default=3, help="rounds of the slow contenders")
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--json", type=Path, help="write every figure there")
    options.add_argument(
        "--readme", action="store_true", help="write the tables between the READMEs' markers"
    )
    return options.parse_args()


def missing_peers() -> str:
    """Name the libraries that are not installed, or return nothing."""
    missing = [package for module, package in PEERS.items() if importlib.util.find_spec(module) is None]
    return f"not installed: {', '.join(missing)}; `make bench` sets up what is needed" if missing else ""


def missing_markers() -> str:
    """Name the READMEs that have no place for the tables, or return nothing."""
    without = [str(path.relative_to(ROOT)) for path in READMES if not has_markers(path.read_text())]
    return f"expected the lines {BEGIN} and {END} in {', '.join(without)}; nothing was run" if without else ""


if __name__ == "__main__":
    sys.exit(main())
