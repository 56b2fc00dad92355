"""Hold other weights of `ct_organs_2d` against the bundle's own, crop by crop of the unseen person.

python -m training.ct_organs.compare --sources DIR --weights TRAINED/round_1.safetensors
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from training import reading
from training.calibration import losses
from training.cards import shown
from training.ct_organs import scans
from training.ct_organs.judge import (
    BUNDLE,
    TEST_SEED,
    Answers,
    as_wholes,
    asked,
    in_plane_mm,
    mean_auc,
    mean_hits,
)
from training.ct_organs.views import crops
from training.paired import difference
from training.reading import as_numbers, rounded

if TYPE_CHECKING:
    from numpy.typing import NDArray


def nll(said: Answers, pictures: NDArray[np.intp]) -> float:
    """Return the negative log likelihood of some pictures, over every organ whose label is known."""
    margins, labels = said.margins[pictures], said.labels[pictures]
    known = ~np.isnan(labels)
    return float(losses(margins[known], labels[known]).mean())


STATISTICS = {"mean AUC": mean_auc, "mean peak in the organ": mean_hits, "NLL": nll}


def main() -> None:
    """Print both weights' figures, and the differences with their intervals over slices."""
    parser = argparse.ArgumentParser(description="Hold other weights against the bundle's own.")
    parser.add_argument(
        "--sources", type=Path, required=True, help="tests/reference_files of TotalSegmentator 2.18.0"
    )
    parser.add_argument("--bundle", type=Path, default=BUNDLE)
    parser.add_argument("--weights", type=Path, required=True)
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    views = crops(scans.abdomen(wanted.sources), in_plane_mm(wanted.bundle), TEST_SEED)
    classifiers = reading.load(wanted.bundle), reading.load_with(wanted.bundle, wanted.weights)
    before, after = (asked(as_wholes(each), views) for each in classifiers)
    every = np.arange(len(views))
    for name, statistic in STATISTICS.items():
        grown = as_numbers(difference(statistic, before, after, before.slices))
        was, now = statistic(before, every), statistic(after, every)
        print(f"{name}: {was:.3f} to {now:.3f}, difference {shown(rounded(grown))}", flush=True)


if __name__ == "__main__":
    main()
