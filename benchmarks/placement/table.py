"""Write the tables of docs/placement.md from results.json.

python -m benchmarks.placement.table
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from statistics import fmean, geometric_mean
from typing import Any

RESULTS = Path(__file__).with_name("results.json")
PAGE = Path(__file__).parents[2] / "docs" / "placement.md"
RULES = (
    "theory", "gradient energy", "line, energy", "line, evidence", "shift, energy", "shift, evidence",
    "default", "default, one image", "default, no image",
)  # fmt: skip
Case = dict[str, Any]


def main() -> None:
    PAGE.write_text(filled(PAGE.read_text(), json.loads(RESULTS.read_text())))


def filled(page: str, results: list[Case]) -> str:
    """Return the page with what stands between its marks written anew."""
    for name, table in tables(results).items():
        mark = rf"(<!-- {name}, by benchmarks/placement/table.py -->\n).*?(\n<!-- end -->)"
        page, count = re.subn(
            mark, lambda found, table=table: found[1] + table + found[2], page, flags=re.DOTALL
        )
        if count != 1:
            raise SystemExit(f"expected one place for {name} in {PAGE.name}, found {count}")
    return page


def tables(results: list[Case]) -> dict[str, str]:
    return {"rules": rules(results), "families": families(results), "networks": networks(results)}


def rules(results: list[Case]) -> str:
    """Each rule's error as a share of the usual rule's, over all networks, layers and sizes of input."""
    head = ["rule"]
    for rank in (2, 3):
        cases = sum(case["rank"] == rank for case in results)
        head += [f"{rank}D, {cases} cases: mean", "worst", "worse by over 5 %", "mean, by the peak"]
    rows = []
    for rule in RULES:
        row = [f"**{rule}**" if rule == "default" else rule]
        for rank in (2, 3):
            chosen = [case for case in results if case["rank"] == rank]
            ratios = [ratio(case, rule) for case in chosen]
            peaks = [ratio(case, rule, "peak") for case in chosen]
            row += [f"{geometric_mean(ratios):.2f}", f"{max(ratios):.2f}"]
            row += [str(sum(one > 1.05 for one in ratios)), f"{geometric_mean(peaks):.2f}"]
        rows.append(row)
    return markdown(head, rows)


def families(results: list[Case]) -> str:
    """The default family by family: how often taken, and its error as a share of the usual rule's."""
    head = ["family", "layer", "cases", "taken", "usual, voxels", "default, voxels", "ratio", "best", "worst"]
    rows = []
    for key in dict.fromkeys((case["rank"], case["family"], case["depth"]) for case in results):
        cases = [case for case in results if (case["rank"], case["family"], case["depth"]) == key]
        ratios = [ratio(case, "default") for case in cases]
        taken = fmean(case["taken"] / len(case["reasons"]) for case in cases)
        rank, family, depth = key
        rows.append(
            [
                f"{family} {rank}D", depth, str(len(cases)), f"{100 * taken:.0f} %",
                *(f"{fmean(mean(case, rule) for case in cases):.1f}" for rule in ("usual", "default")),
                *(f"{one:.2f}" for one in (geometric_mean(ratios), min(ratios), max(ratios))),
            ]
        )  # fmt: skip
    return markdown(head, rows)


def networks(results: list[Case]) -> str:
    """Every case: errors in voxels by the usual rule, some that lost and the default."""
    some = ("theory", "gradient energy", "line, evidence", "shift, evidence")
    head = [
        "network", "named", "layer", "input", "units", "bias of usual", "usual", *some, "default", "taken",
        "default less usual, 95 %",
    ]  # fmt: skip
    rows = []
    for case in results:
        low, high = case["default_less_usual_95"]
        rows.append(
            [
                case["network"], f"{100 * case['accuracy']:.0f} %", case["depth"],
                sizes(case["shape"]), sizes(case["grid"]),
                ", ".join(f"{one:+.1f}" for one in case["bias_of_usual"]),
                *(f"{mean(case, rule):.1f}" for rule in ("usual", *some)), f"**{mean(case, 'default'):.1f}**",
                f"{case['taken']} of {len(case['reasons'])}", f"{low:+.1f} to {high:+.1f}",
            ]
        )  # fmt: skip
    return markdown(head, rows)


def mean(case: Case, rule: str, place: str = "centroid") -> float:
    """The median error over images in voxels, its mean over the repeats."""
    return fmean(case[place][rule])


def ratio(case: Case, rule: str, place: str = "centroid") -> float:
    return mean(case, rule, place) / mean(case, "usual", place)


def sizes(shape: list[int]) -> str:
    return " x ".join(map(str, shape))


def markdown(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---", *["---:" for _ in head[1:]]], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    main()
