"""Answers on standard output: one JSON document, or a table for a person."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from voxcam.core.explanation import Explanation

_WIDE = 240


def print_json(document: Any) -> None:
    """Print one JSON document and nothing else; numbers that are not finite become null."""
    sys.stdout.write(json.dumps(_finite(document), indent=1, allow_nan=False) + "\n")


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table, as wide as the terminal allows."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title or None, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*[str(cell) for cell in row])
    # A file or pipe has no width to fit into: rows stay whole there.
    width = None if sys.stdout.isatty() else _WIDE
    Console(soft_wrap=False, highlight=False, width=width).print(table)


def print_line(text: str) -> None:
    """Print one line for a person."""
    sys.stdout.write(text + "\n")


def explanation_document(explanation: Explanation) -> dict[str, Any]:
    """Return what `explain` and `demo` answer as JSON."""
    return {
        "top_class": explanation.top_class,
        "scores": dict(explanation.scores),
        "logits": dict(explanation.logits),
        "heatmaps": [
            {
                "class": heatmap.class_name,
                "method": heatmap.method,
                "layer": heatmap.layer,
                "positive_evidence": not heatmap.is_empty,
                "largest": heatmap.largest,
                "unit": heatmap.evidence.unit,
                "peak_mm_ras": None if heatmap.peak_mm is None else heatmap.peak_mm.round(3).tolist(),
                "grid": list(heatmap.evidence.shape),
            }
            for heatmap in explanation.heatmaps
        ],
        "provenance": dict(explanation.provenance),
    }


def print_explanation(explanation: Explanation) -> None:
    """Print scores and evidence for a person, the most probable class first."""
    rows = []
    for name in sorted(explanation.scores, key=lambda name: -explanation.scores[name]):
        evidence, peak = "not explained", ""
        for heatmap in [h for h in explanation.heatmaps if h.class_name == name][:1]:
            evidence = "none positive" if heatmap.is_empty else f"{heatmap.largest:.3g}"
            peak = "" if heatmap.peak_mm is None else "{:.1f}, {:.1f}, {:.1f}".format(*heatmap.peak_mm)
        rows.append((name, _probability(explanation.scores[name]), evidence, peak))
    first = explanation.heatmaps[0]
    highest = f"highest {first.method} ({first.unit_words})"
    print_table("", ("class", "probability", highest, "its place, RAS mm"), rows)
    more = len({(h.method, h.layer) for h in explanation.heatmaps}) - 1
    if more:
        print_line(f"At {first.layer}; explanation.json holds {more} more, by other methods or layers.")
    for layer, alike in explanation.provenance.get("one_map", {}).items():
        print_line(f"At {layer} {', '.join(alike)} are one map (cam: times its places).")
    print_line("Research use only, not for diagnosis. Evidence of the model, not of disease.")


def _probability(p: float) -> str:
    """Return `p` in words that never round to certainty."""
    if p > 0.995:
        return "> 0.99"
    return "< 0.01" if p < 0.005 else f"{p:.2f}"


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    if isinstance(value, dict):
        return {str(key): _finite(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return value
