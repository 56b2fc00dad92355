"""What a run found: tables of figures, and targets that were met or missed."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

Cell = str | float | int | None


@dataclass(frozen=True)
class Table:
    """Figures of one kind; a cell is a number, a word, or None where there is nothing to measure."""

    title: str
    columns: tuple[str, ...]
    rows: list[list[Cell]] = field(default_factory=list)
    note: str = ""

    def text(self) -> str:
        """Return the table in columns for a terminal."""
        lines = [list(self.columns), *([shown(cell) for cell in row] for row in self.rows)]
        widths = [max(len(line[c]) for line in lines) for c in range(len(self.columns))]
        body = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines
        ]
        return "\n".join(
            ["", self.title, *(line.rstrip() for line in body), *([self.note] if self.note else [])]
        )

    def markdown(self) -> str:
        """Return the table for a README."""
        lines = [
            self.columns,
            ["---"] * len(self.columns),
            *([shown(cell) for cell in row] for row in self.rows),
        ]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)


@dataclass(frozen=True)
class Target:
    """A promise, its limit, and what was measured: no more than the limit, or no less."""

    what: str
    measured: float
    limit: float
    at_most: bool = True

    @property
    def met(self) -> bool:
        """Whether the promise holds in this run."""
        return self.measured <= self.limit if self.at_most else self.measured >= self.limit

    def row(self) -> list[Cell]:
        """Return the target as a row of `targets_table`."""
        sign = "<=" if self.at_most else ">="
        return [self.what, f"{sign} {shown(self.limit)}", self.measured, "met" if self.met else "MISSED"]


@dataclass(frozen=True)
class Findings:
    """What one part of the run found."""

    part: str
    tables: list[Table]
    targets: list[Target] = field(default_factory=list)

    def as_dict(self) -> dict[str, object]:
        """Return everything, for JSON."""
        targets = [{**asdict(target), "met": target.met} for target in self.targets]
        return {"tables": [asdict(table) for table in self.tables], "targets": targets}


def targets_table(findings: Sequence[Findings]) -> Table:
    """Return the targets of all parts, missed ones first."""
    targets = sorted((target for part in findings for target in part.targets), key=lambda target: target.met)
    return Table("Targets", ("what", "limit", "measured", ""), [target.row() for target in targets])


def shown(cell: Cell) -> str:
    """Return a cell as text: three digits, powers of ten where a number is tiny."""
    if cell is None:
        return "-"
    if isinstance(cell, str):
        return cell
    if isinstance(cell, int):
        return f"{cell:,}"
    if cell == 0 or 1e-3 <= abs(cell) < 1e4:
        digits = 0 if abs(cell) >= 100 else 1 if abs(cell) >= 10 else 2 if abs(cell) >= 1 else 3
        return f"{cell:.{digits}f}"
    return f"{cell:.1e}"
