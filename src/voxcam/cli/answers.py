"""Answers on standard output: one JSON document, or a table for a person."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
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
        "spread": dict(explanation.spread),
        "called": list(explanation.answer.called(explanation.scores)),
        "answer": asdict(explanation.answer),
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
    """Print scores and evidence for a person, the highest score first."""
    rows = []
    for name in sorted(explanation.scores, key=lambda name: -explanation.scores[name]):
        evidence, peak = "not explained", ""
        for heatmap in [h for h in explanation.heatmaps if h.class_name == name][:1]:
            evidence = "none positive" if heatmap.is_empty else f"{heatmap.largest:.3g}"
            peak = "" if heatmap.peak_mm is None else "{:.1f}, {:.1f}, {:.1f}".format(*heatmap.peak_mm)
        called = " *" if name in explanation.answer.called(explanation.scores) else ""
        rows.append((name + called, explanation.score_words(name), evidence, peak))
    _print_rows(explanation, rows)
    for layer, alike in explanation.provenance.get("one_map", {}).items():
        print_line(f"At {layer} {', '.join(alike)} are one map (cam: times its places).")
    print_line("Research use only, not for diagnosis. Evidence of the model, not of disease.")


def _print_rows(explanation: Explanation, rows: Sequence[Sequence[str]]) -> None:
    answer = explanation.answer
    columns = ("class", answer.noun)
    if not explanation.heatmaps:
        print_table("", columns, [row[:2] for row in rows])
    else:
        first = explanation.heatmaps[0]
        highest = f"highest {first.method} ({first.unit_words})"
        print_table("", (*columns, highest, "its place, RAS mm"), rows)
        more = len({(h.method, h.layer) for h in explanation.heatmaps}) - 1
        if more:
            print_line(f"At {first.layer}; explanation.json holds {more} more, by other methods or layers.")
    if answer.thresholds:
        print_line("* from its stated threshold on.")
    if not answer.is_probability and answer.activation != "regression":
        print_line("The model does not state how outputs are read: raw outputs are shown.")
    moments = explanation.provenance.get("moments")
    if moments:
        count = len(next(iter(moments["scores"].values())))
        print_line(f"Of {count} moments number {moments['shown']} speaks most clearly, and is shown.")


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    if isinstance(value, dict):
        return {str(key): _finite(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return value
