"""Hold a `lung_nodule_3d` against scans and tumours it has not seen, loaded and asked as any user does.

python -m training.lung_nodule.judge --sources DIR --out FIGURES.json
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from training import reading
from training.calibration import calibration, fit_temperature
from training.counts import confusion, share
from training.lung_nodule import questions
from training.lung_nodule.questions import Question, Reading, shifted
from training.lung_nodule.scans import Scan, read_scans
from training.reading import as_numbers
from training.roc import delong, over_clusters
from voxcam.core.localisation import Localisation, localise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voxcam.model.classifier import Classifier

SAMPLES = Path(__file__).parents[2] / "sample_scans"
BUNDLE = SAMPLES / "models" / "lung_nodule_3d"
DEMO_SCAN = SAMPLES / "lung_tumour_ct.nii.gz"
UNSEEN, SEEN = "lung2", ("aorta", "lung1")
NODULE = "nodule"
THRESHOLD = 0.5
OVERLAPS = (0.5, 0.25)
RANDOM_SEEDS = (0, 1, 2)
VALIDATION_SEED, TEST_SEED = 950, 1000
INVENTED = 400
Figures = dict[str, Any]


def judge(bundle: Path, scans: dict[str, Scan], weights: Path | None = None) -> Figures:
    """Return every figure of the model card; `scans` as `read_scans` gives them."""
    trained = reading.load_with(bundle, weights) if weights else reading.load(bundle)
    asked = {
        "invented_unseen_person": questions.with_invented([scans[UNSEEN]], INVENTED, TEST_SEED),
        "tumour_unseen_person": questions.with_tumour(scans[UNSEEN]),
        "tumour_person_seen_in_training": questions.with_tumour(scans["lung1"]),
    }
    demo = questions.read_file(DEMO_SCAN)
    nothing = questions.healthy_parts(scans[UNSEEN])
    figures: Figures = {
        "layer": trained.default_layer,
        "threshold": THRESHOLD,
        "people": {"trained_on": len(SEEN), "held_out": 1},
        "trained": on_patches(trained, asked) | on_scans(trained, demo, nothing),
        "temperature": tempered(trained, [scans[name] for name in SEEN], asked),
        "random_weights": [],
    }
    whole = {"whole_scan_unseen_person": UNSEEN, "whole_scan_person_seen_in_training": "lung1"}
    for name, person in whole.items():
        figures["trained"][name] = slid(trained, questions.whole(scans[person]), questions.SHIFTS_MM[:2])
    for seed in RANDOM_SEEDS:
        drawn = reading.load_untrained(bundle, seed)
        figures["random_weights"].append(on_patches(drawn, asked) | on_scans(drawn, demo, nothing))
    return figures


def on_patches(classifier: Classifier, asked: dict[str, Question]) -> Figures:
    """Answer each question."""
    return {name: answered(classifier, question) for name, question in asked.items()}


def on_scans(classifier: Classifier, demo: Reading, nothing: dict[str, Reading]) -> Figures:
    """Slide over the demo scan, and over parts of a scan with nothing there."""
    parts = {name: slid(classifier, part, questions.SHIFTS_MM[:1]) for name, part in nothing.items()}
    return {"demo_scan": slid(classifier, demo, questions.SHIFTS_MM), "nothing_there": parts}


def answered(classifier: Classifier, question: Question) -> Figures:
    """Return AUC, table, shares called, and where the maps of the patches with a nodule point."""
    odds, labels = margins(classifier, question), question.labels
    called = odds > np.log(THRESHOLD / (1 - THRESHOLD))
    table = confusion(called, labels)
    positive = np.flatnonzero(labels == 1)
    found = {int(n): look(classifier, question, int(n)) for n in positive}
    kinds = np.unique(question.kinds)
    holding = [str(kind) for kind in kinds if labels[question.kinds == kind].all()]
    return {
        "people": 1,
        "lesions": question.lesions,
        "with_nodule": len(positive),
        "healthy": int((labels == 0).sum()),
        "places": len(np.unique(question.places)),
        "auc": as_numbers(delong(odds[labels == 1], odds[labels == 0])),
        "auc_over_places": as_numbers(over_clusters(odds, labels, question.places)),
        "confusion": as_numbers(table),
        "sensitivity": as_numbers(table.sensitivity),
        "specificity": as_numbers(table.specificity),
        "called": {str(kind): as_numbers(share(called[question.kinds == kind])) for kind in kinds},
        "map": as_numbers(reading.pointed(list(found.values()))),
        "map_of": {
            kind: as_numbers(reading.pointed([found[int(n)] for n in positive if question.kinds[n] == kind]))
            for kind in holding
        },
    }


def margins(classifier: Classifier, question: Question) -> NDArray[np.float64]:
    """Return each patch's log odds of a nodule."""
    logits = reading.predicted(classifier, question.volumes)
    nodule = classifier.classes.index(NODULE)
    return np.asarray(logits[:, nodule] - logits[:, 1 - nodule])


def look(classifier: Classifier, question: Question, number: int) -> Localisation:
    """Return where the map of one patch lies."""
    explanation = reading.explained(classifier, question.volumes[number], classifier.default_layer, (NODULE,))
    return localise(explanation.heatmaps[0], question.masks[number])


def slid(classifier: Classifier, scan: Reading, shifts_mm: tuple[tuple[float, ...], ...]) -> Figures:
    """Explain a whole scan with overlaps 0.5 and 0.25, and with the windows' grid shifted by some mm."""
    runs = [
        run(reading.with_tiling(classifier, overlap=overlap), shifted(scan, shift)) | {"shift_mm": shift}
        for overlap in OVERLAPS
        for shift in shifts_mm
    ]
    figures: Figures = {
        "called": as_numbers(share(np.array([one["probability"] > THRESHOLD for one in runs])))
    }
    if scan.mask is not None:
        inside = np.array([bool(one["peak_in_mask"]) for one in runs])
        figures["peak_in_mask"] = as_numbers(share(inside))
        figures["peak_to_mask_mm_worst"] = max(one["peak_to_mask_mm"] for one in runs)
        figures["energy_in_mask_mean"] = float(np.mean([one["energy_in_mask"] for one in runs]))
        figures["mask_share"] = float(np.mean([one["mask_share"] for one in runs]))
    return figures | {"runs": runs}


def run(classifier: Classifier, scan: Reading) -> Figures:
    """Explain one scan once."""
    found = reading.explained(classifier, scan.volume, classifier.default_layer, (NODULE,))
    assert found.windows is not None
    windows = found.windows.scores[:, classifier.classes.index(NODULE)]
    figures: Figures = {
        "overlap": classifier.tiling.overlap,
        "probability": found.scores[NODULE],
        "windows": len(windows),
        "windows_called": int((windows > THRESHOLD).sum()),
    }
    if scan.mask is not None:
        where = localise(found.heatmaps[0], scan.mask)
        figures |= {"peak_in_mask": where.peak_in_mask, "peak_to_mask_mm": where.peak_distance_mm}
        figures |= {"energy_in_mask": where.energy_in_mask, "mask_share": where.mask_share}
    return figures


def tempered(classifier: Classifier, seen: list[Scan], asked: dict[str, Question]) -> Figures:
    """Fit a temperature on fresh patches of the people trained on, and try it on the others."""
    validation = questions.with_invented(seen, INVENTED, VALIDATION_SEED)
    odds = margins(classifier, validation)
    temperature = fit_temperature(odds, validation.labels)
    figures: Figures = {"temperature": temperature, "fitted_on": "invented nodules, people seen in training"}
    figures["validation"] = _both(odds, validation.labels, temperature)
    for name, question in asked.items():
        figures[name] = _both(margins(classifier, question), question.labels, temperature)
    return figures


def _both(odds: NDArray[np.float64], labels: NDArray[np.int64], temperature: float) -> Figures:
    return {
        "before": as_numbers(calibration(odds, labels)),
        "after": as_numbers(calibration(odds, labels, temperature)),
    }


def main() -> None:
    """Judge a bundle and random weights, and write the figures as JSON."""
    parser = argparse.ArgumentParser(description="Judge lung_nodule_3d on what it has not seen.")
    parser.add_argument("--sources", type=Path, required=True, help="folder of unpacked source archives")
    parser.add_argument("--bundle", type=Path, default=BUNDLE)
    parser.add_argument("--weights", type=Path, help="a .safetensors file in place of the bundle's own")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    figures = judge(asked.bundle, read_scans(asked.sources), asked.weights)
    asked.out.write_text(json.dumps(reading.rounded(figures), indent=1) + "\n")


if __name__ == "__main__":
    main()
