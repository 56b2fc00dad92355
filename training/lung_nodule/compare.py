"""Hold other weights of `lung_nodule_3d` against the bundle's own, patch by patch of the unseen person.

python -m training.lung_nodule.compare --sources DIR --weights TRAINED/round_5.safetensors
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
from training.counts import confusion
from training.lung_nodule import questions
from training.lung_nodule.judge import BUNDLE, INVENTED, TEST_SEED, UNSEEN, margins
from training.lung_nodule.scans import read_scans
from training.paired import difference
from training.reading import as_numbers, rounded
from training.roc import auc

if TYPE_CHECKING:
    from numpy.typing import NDArray


def area(said: NDArray[np.float64], patches: NDArray[np.intp]) -> float:
    """Return the area under the curve of some patches; columns of `said` are log odds and labels."""
    odds, labels = said[patches].T
    return auc(odds[labels == 1], odds[labels == 0])


def nll(said: NDArray[np.float64], patches: NDArray[np.intp]) -> float:
    """Return the negative log likelihood of some patches."""
    return float(losses(*said[patches].T).mean())


def main() -> None:
    """Print both weights' figures, and the differences with their intervals over places."""
    parser = argparse.ArgumentParser(description="Hold other weights against the bundle's own.")
    parser.add_argument("--sources", type=Path, required=True, help="folder of unpacked source archives")
    parser.add_argument("--bundle", type=Path, default=BUNDLE)
    parser.add_argument("--weights", type=Path, required=True)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    scan = read_scans(asked.sources)[UNSEEN]
    ours, other = reading.load(asked.bundle), reading.load_with(asked.bundle, asked.weights)
    tests = {
        "invented": questions.with_invented([scan], INVENTED, TEST_SEED),
        "tumour": questions.with_tumour(scan),
    }
    for name, question in tests.items():
        before, after = (
            np.column_stack([margins(each, question), question.labels]) for each in (ours, other)
        )
        for whose, said in (("bundle", before), ("other", after)):
            every = np.arange(len(said))
            table = as_numbers(confusion(said[:, 0] > 0, question.labels))
            print(f"{name}, {whose}: AUC {area(said, every):.3f}, NLL {nll(said, every):.3f}, {table}")
        for what, statistic in (("AUC", area), ("NLL", nll)):
            grown = as_numbers(difference(statistic, before, after, question.places))
            print(f"{name}, other less bundle: {what} {shown(rounded(grown))}", flush=True)


if __name__ == "__main__":
    main()
