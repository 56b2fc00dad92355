"""Fill a model card with figures, and put both into a bundle."""

from __future__ import annotations

import csv
import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

ASKED = re.compile(r"\{([\w.* -]+)\}")


def filled(text: str, figures: dict[str, Any]) -> str:
    """Replace every ``{path.to.figure}``; a step ``*`` goes over a list and shows all, with commas.

    Raises
    ------
    KeyError
        If the card asks for a figure that is not there.
    """
    return ASKED.sub(lambda asked: shown(found(figures, asked[1].split("."))), text)


def found(figures: Any, path: Sequence[str]) -> Any:
    """Return the figure at a path."""
    for number, step in enumerate(path):
        if step == "*":
            return [found(one, path[number + 1 :]) for one in figures]
        if step not in figures:
            raise KeyError(f"the model card asks for a figure that is not there: {'.'.join(path)}")
        figures = figures[step]
    return figures


def shown(figure: Any) -> str:
    """Return a figure as text: an interval in brackets after its value, a list with commas, `-` for none."""
    if isinstance(figure, list):
        return ", ".join(shown(one) for one in figure)
    if figure is None:
        return "-"
    if isinstance(figure, dict) and "value" in figure:
        if figure["low"] is None:
            return shown(figure["value"])
        return f"{shown(figure['value'])} ({shown(figure['low'])} to {shown(figure['high'])})"
    return f"{figure:.3g}" if isinstance(figure, float) else str(figure)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return (
        "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
        .replace("| --- ", "|---")
        .replace("--- |", "---|")
    )


def curve_table(place: Path) -> str:
    """Return the ends of the rounds in a `training_curve.csv` as a Markdown table."""
    with place.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    ends = [
        row
        for row, after in zip(rows, [*rows[1:], None], strict=True)
        if not after or after["round"] != row["round"]
    ]
    steps = [sum(float(row["steps"]) for row in rows[: rows.index(end) + 1]) for end in ends]
    return table(
        ("after round", "steps in all", "validation loss (95 %)", "held-out loss (95 %)"),
        [
            (f"{float(end['round']):.0f}", f"{step:.0f}", _loss(end, "validation"), _loss(end, "held_out"))
            for end, step in zip(ends, steps, strict=True)
        ],
    )


def write(bundle: Path, card: str, figures: dict[str, Any]) -> None:
    """Write a bundle's model card and its `eval_metrics`; all else in it stays as it is."""
    (bundle / "docs" / "README.md").write_text(card, encoding="utf-8")
    place = bundle / "configs" / "metadata.json"
    metadata = json.loads(place.read_text(encoding="utf-8"))
    metadata["eval_metrics"] = figures
    place.write_text(json.dumps(metadata, indent=2) + "\n", encoding="utf-8")


def _loss(row: dict[str, str], kind: str) -> str:
    value, low, high = (float(row[f"{kind}_{name}"]) for name in ("loss", "low", "high"))
    return f"{value:.3f} ({low:.3f} to {high:.3f})"
