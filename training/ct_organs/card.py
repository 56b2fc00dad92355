"""Write the model card and the figures of the `ct_organs_2d` bundle.

python -m training.ct_organs.card --figures FIGURES.json
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from training import cards
from training.cards import shown, table
from training.ct_organs.judge import BUNDLE

CARD = Path(__file__).with_name("model_card.md")
CURVE = Path(__file__).with_name("training_curve.csv")
Figures = dict[str, Any]


def card(figures: Figures) -> str:
    """Return the model card: the text of `model_card.md` with its figures and tables filled in."""
    tables = {
        "crops_named": named(figures["crops"]),
        "crops_pointed": pointed(figures["crops"], [one["crops"] for one in figures["random_weights"]]),
        "slices_named": named(figures["whole_slices"]),
        "slices_pointed": pointed(
            figures["whole_slices"], [one["whole_slices"] for one in figures["random_weights"]]
        ),
        "study": study(figures["study"], [one["study"] for one in figures["random_weights"]]),
        "curve": cards.curve_table(CURVE),
    }
    return cards.filled(CARD.read_text(encoding="utf-8"), figures | {"tables": tables})


def named(rows: Figures) -> str:
    """Return how well each organ is named: areas, and the counts at the threshold."""
    header = (
        "organ", "present, absent", "AUC (DeLong 95 %)", "AUC's 95 % over slices", "called of present",
        "called of absent", "sensitivity (95 %)", "specificity (95 %)",
    )  # fmt: skip
    return table(
        header,
        [
            (
                organ,
                f"{row['present']}, {row['absent']}",
                shown(row["auc"]),
                _reach(row["auc_over_slices"]),
                str(row["confusion"]["true_positive"]),
                str(row["confusion"]["false_positive"]),
                shown(row["sensitivity"]),
                shown(row["specificity"]),
            )
            for organ, row in _organs(rows).items()
        ],
    )


def pointed(rows: Figures, drawn: list[Figures]) -> str:
    """Return how well each organ's map points at it, and the means of trained and random weights."""
    header = (
        "organ", "pictures", "peak in the organ (95 %)", "organ's share of the picture",
        "energy in the organ", "organ's share of the body", "mean AUC (95 %)",
    )  # fmt: skip
    organs = [
        (
            organ,
            str(row["map"]["peak_in_mask"]["of"]),
            shown(row["map"]["peak_in_mask"]),
            shown(row["map"]["mask_share"]),
            shown(row["map"]["energy_in_mask"]),
            shown(row["body_share"]),
            "",
        )
        for organ, row in _organs(rows).items()
        if "map" in row
    ]
    strangers = [_mean(f"mean, random weights, seed {n}", one) for n, one in enumerate(drawn)]
    return table(header, [*organs, _mean("**mean, over slices**", rows["mean"]), *strangers])


def study(rows: Figures, drawn: list[Figures]) -> str:
    """Return what the whole series' highest windows say, and where the maps over it peak."""
    header = ("organ", "score", "in the scan", "peak in it", "peak off by", "scores with random weights")
    return table(
        header,
        [
            (
                organ,
                shown(row["score"]),
                _yes(row["in_the_scan"]),
                _yes(row["peak_in_mask"]) if row["in_the_scan"] else "-",
                f"{shown(row['peak_distance_mm'])} mm" if row["in_the_scan"] else "-",
                shown([one[organ]["score"] for one in drawn]),
            )
            for organ, row in rows.items()
        ],
    )


def _organs(rows: Figures) -> Figures:
    return {organ: row for organ, row in rows.items() if organ != "mean"}


def _mean(name: str, row: Figures) -> tuple[str, ...]:
    shares = (row["mask_share"], row["energy_in_mask"], row["body_share"])
    peak, area = shown(row["peak_in_mask_over_slices"]), shown(row["auc_over_slices"])
    return (name, "", peak, *map(shown, shares), area)


def _reach(area: Figures) -> str:
    return "-" if area["low"] is None else f"{shown(area['low'])} to {shown(area['high'])}"


def _yes(true: bool | None) -> str:
    return "yes" if true else "no"


def main() -> None:
    """Write both into the bundle."""
    parser = argparse.ArgumentParser(description="Write the figures of ct_organs_2d into its bundle.")
    parser.add_argument("--figures", type=Path, required=True, help="the file judge wrote")
    parser.add_argument("--bundle", type=Path, default=BUNDLE)
    asked = parser.parse_args()
    figures = json.loads(asked.figures.read_text(encoding="utf-8"))
    cards.write(asked.bundle, card(figures), figures)


if __name__ == "__main__":
    main()
