"""Judge a bundle: it should name the organs of an unseen person, and its maps point at them.

python -m training.ct_organs.judge --sources DIR --out FIGURES.json
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

import voxcam
from training import reading
from training.calibration import calibration, fit_temperature
from training.counts import confusion
from training.ct_organs import scans
from training.ct_organs.views import View, crops, whole_slices
from training.reading import as_numbers
from training.roc import Area, auc, delong, over_clusters, resampled
from voxcam.core.localisation import Localisation, localise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voxcam.model.classifier import Classifier

SAMPLES = Path(__file__).parents[2] / "sample_scans"
BUNDLE = SAMPLES / "models" / "ct_organs_2d"
STUDY, STUDY_LABELS = SAMPLES / "ct_abdomen_dicom", SAMPLES / "ct_abdomen_labels.nii.gz"
THRESHOLD = 0.5
RANDOM_SEEDS = (0, 1, 2)
VALIDATION_SEED, TEST_SEED = 950, 0
WHOLE = (-1, -1, 1)
Figures = dict[str, Any]


@dataclass(frozen=True)
class Answers:
    """What a classifier said of n pictures: `margins` (n, C) log odds; `labels` (n, C); `slices` (n,).

    `maps`: (picture, class) to where that class's map lies, for classes that are present.
    """

    margins: NDArray[np.float64]
    labels: NDArray[np.float32]
    slices: NDArray[np.int64]
    maps: dict[tuple[int, int], Localisation]

    @property
    def hits(self) -> NDArray[np.float64]:
        """(n, C): 1 where the map's peak lies in the organ, 0 where not, NaN where it is not present."""
        table = np.full(self.labels.shape, np.nan)
        for (n, c), found in self.maps.items():
            table[n, c] = bool(found.peak_in_mask)
        return table


def judge(bundle: Path, sources: Path, weights: Path | None = None) -> Figures:
    """Return every figure of the model card."""
    trained = reading.load_with(bundle, weights) if weights else reading.load(bundle)
    strangers = [reading.load_untrained(bundle, seed) for seed in RANDOM_SEEDS]
    abdomen, seen = scans.abdomen(sources), (scans.torso(sources), scans.chest(sources))
    spacing = in_plane_mm(bundle)
    unseen_crops, slices = crops(abdomen, spacing, TEST_SEED), whole_slices(abdomen)
    fresh = {one.person: crops(one, spacing, VALIDATION_SEED) for one in seen}
    figures: Figures = {
        "layer": trained.default_layer,
        "threshold": THRESHOLD,
        "people": {"trained_on": len(seen), "held_out": 1},
        "crops": on_views(as_wholes(trained), unseen_crops),
        "whole_slices": on_views(trained, slices),
        "study": on_study(trained),
        "temperature": tempered(trained, list(fresh.values()), unseen_crops),
    }
    figures["training_people_crops"] = {
        person: on_views(as_wholes(trained), views)["mean"] for person, views in fresh.items()
    }
    figures["random_weights"] = [
        {
            "crops": on_views(as_wholes(drawn), unseen_crops)["mean"],
            "whole_slices": on_views(drawn, slices)["mean"],
            "study": on_study(drawn),
        }
        for drawn in strangers
    ]
    return figures


def as_wholes(classifier: Classifier) -> Classifier:
    """Return the classifier without windows: crops smaller than its window are seen as they are."""
    return reading.with_tiling(classifier, size=WHOLE)


def in_plane_mm(bundle: Path) -> float:
    """Return the spacing the bundle's preprocessing asks for."""
    configuration = json.loads((bundle / "configs" / "inference.json").read_text(encoding="utf-8"))
    steps = configuration["preprocessing"]["transforms"]
    return float(next(step["pixdim"][0] for step in steps if step["_target_"] == "Spacingd"))


def on_views(classifier: Classifier, views: list[View]) -> Figures:
    """Return a table row per organ, and their mean."""
    said = asked(classifier, views)
    rows: Figures = {name: row(said, views, c) for c, name in enumerate(classifier.classes)}
    return rows | {"mean": mean_row(said, rows)}


def asked(classifier: Classifier, views: list[View], maps: bool = True) -> Answers:
    """Ask for every view's probabilities, and for the maps of the organs that are in it."""
    margins = reading.predicted(classifier, [view.volume for view in views])
    labels = np.stack([view.labels for view in views])
    slices = np.array([view.place[1] for view in views])
    found: dict[tuple[int, int], Localisation] = {}
    for n, view in enumerate(views if maps else ()):
        present = [name for c, name in enumerate(classifier.classes) if view.labels[c] == 1]
        if present:
            for name, where in look(classifier, view, present).items():
                found[n, classifier.classes.index(name)] = where
    return Answers(margins, labels, slices, found)


def look(classifier: Classifier, view: View, classes: list[str]) -> dict[str, Localisation]:
    """Return where the maps of some classes lie in a view."""
    explanation = reading.explained(classifier, view.volume, classifier.default_layer, classes)
    return {
        heatmap.class_name: localise(heatmap, view.mask(classifier.classes.index(heatmap.class_name)))
        for heatmap in explanation.heatmaps
    }


def row(said: Answers, views: list[View], c: int) -> Figures:
    """Return one organ's figures."""
    margins, labels = said.margins[:, c], said.labels[:, c]
    known = ~np.isnan(labels)
    present, absent = margins[labels == 1], margins[labels == 0]
    table = confusion(margins > np.log(THRESHOLD / (1 - THRESHOLD)), labels)
    figures: Figures = {
        "present": len(present),
        "absent": len(absent),
        "auc": as_numbers(delong(present, absent)),
        "auc_over_slices": as_numbers(over_clusters(margins[known], labels[known], said.slices[known])),
        "confusion": as_numbers(table),
        "sensitivity": as_numbers(table.sensitivity),
        "specificity": as_numbers(table.specificity),
    }
    holding = [n for n in range(len(views)) if (n, c) in said.maps]
    if holding:
        figures["map"] = as_numbers(reading.pointed([said.maps[n, c] for n in holding]))
        figures["body_share"] = float(np.mean([views[n].share_of_body(c) for n in holding]))
    return figures


def mean_row(said: Answers, rows: Figures) -> Figures:
    """Return means over the organs, each organ counting alike, with intervals over slices."""
    maps = [one for one in rows.values() if "map" in one]
    return {
        "auc_over_slices": as_numbers(over_slices(said, mean_auc)),
        "peak_in_mask_over_slices": as_numbers(over_slices(said, mean_hits)),
        "mask_share": float(np.mean([one["map"]["mask_share"] for one in maps])),
        "energy_in_mask": float(np.mean([one["map"]["energy_in_mask"] for one in maps])),
        "body_share": float(np.mean([one["body_share"] for one in maps])),
    }


def over_slices(said: Answers, statistic: Any) -> Area:
    """Return a statistic of some pictures with a bootstrap interval that draws whole slices."""
    every = np.arange(len(said.slices))
    drawn = [statistic(said, pictures) for pictures in resampled(said.slices)]
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return Area(statistic(said, every), float(low), float(high))


def mean_auc(said: Answers, pictures: NDArray[np.intp]) -> float:
    """Return the mean area over the organs that are in some of the pictures and not in others."""
    margins, labels = said.margins[pictures], said.labels[pictures]
    areas = [
        auc(margins[labels[:, c] == 1, c], margins[labels[:, c] == 0, c]) for c in range(labels.shape[1])
    ]
    return _mean_of_known(np.array(areas))


def mean_hits(said: Answers, pictures: NDArray[np.intp]) -> float:
    """Return the mean over the organs of how often the map's peak lies in the organ."""
    hits = said.hits[pictures]
    asked_of = (~np.isnan(hits)).sum(0)
    return _mean_of_known(np.nansum(hits, 0)[asked_of > 0] / asked_of[asked_of > 0])


def on_study(classifier: Classifier) -> Figures:
    """Read the held-out person's DICOM series and its labels as a user does: each organ's score and map."""
    volume = voxcam.read(voxcam.scan(STUDY).series[0])
    labels = voxcam.read(voxcam.scan(STUDY_LABELS).series[0])
    found = reading.explained(classifier, volume, classifier.default_layer, classifier.classes)
    figures: Figures = {}
    for number, name in enumerate(classifier.classes):
        mask = scans.organ_masks(np.asarray(labels.voxels))[number]
        figures[name] = {"score": found.scores[name], "in_the_scan": bool(mask.any())}
        if mask.any():
            where = localise(found.heatmap(name), reading.marked(mask, labels))
            figures[name] |= as_numbers(where)
    return figures


def tempered(classifier: Classifier, seen: list[list[View]], unseen: list[View]) -> Figures:
    """Fit one temperature on crops of the people trained on, and try it on those of the other."""
    whole = as_wholes(classifier)
    margins, labels = known_pairs(asked(whole, [view for views in seen for view in views], maps=False))
    temperature = fit_temperature(margins, labels)
    held_out = known_pairs(asked(whole, unseen, maps=False))
    return {
        "temperature": temperature,
        "fitted_on": "crops of the people seen in training, all organs",
        "validation": _both(margins, labels, temperature),
        "unseen_person": _both(*held_out, temperature),
        "best_for_the_unseen_person": fit_temperature(*held_out),
    }


def known_pairs(said: Answers) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Return margins and labels of every picture and organ of which the label is known."""
    known = ~np.isnan(said.labels)
    return said.margins[known], said.labels[known]


def _both(margins: NDArray[np.float64], labels: NDArray[np.float32], temperature: float) -> Figures:
    return {
        "before": as_numbers(calibration(margins, labels)),
        "after": as_numbers(calibration(margins, labels, temperature)),
    }


def _mean_of_known(values: NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def main() -> None:
    """Judge a bundle and random weights, and write the figures as JSON."""
    parser = argparse.ArgumentParser(description="Judge ct_organs_2d on a person it has not seen.")
    parser.add_argument(
        "--sources", type=Path, required=True, help="tests/reference_files of TotalSegmentator 2.18.0"
    )
    parser.add_argument("--bundle", type=Path, default=BUNDLE)
    parser.add_argument("--weights", type=Path, help="a .safetensors file in place of the bundle's own")
    parser.add_argument("--out", type=Path, required=True)
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    figures = judge(wanted.bundle, wanted.sources, wanted.weights)
    wanted.out.write_text(json.dumps(reading.rounded(figures), indent=1) + "\n")


if __name__ == "__main__":
    main()
