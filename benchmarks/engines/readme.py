"""What goes into README.md (the short of it) and into benchmarks/README.md (every table), between markers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.engines.tables import Cell, Findings, Table, shown, targets_table

if TYPE_CHECKING:
    from collections.abc import Sequence

BEGIN, END = "<!-- engines:begin -->", "<!-- engines:end -->"


def has_markers(text: str) -> bool:
    """Whether there is a place to write to."""
    return BEGIN in text and END in text.split(BEGIN, 1)[1]


def between_markers(text: str, body: str) -> str:
    """Return `text` with `body` between its markers."""
    before, rest = text.split(BEGIN, 1)
    return f"{before}{BEGIN}\n{body}\n{END}{rest.split(END, 1)[1]}"


def in_full(versions: str, found: Sequence[Findings]) -> str:
    """Return every table."""
    tables = [table for part in found for table in part.tables] + [targets_table(found)]
    return "\n\n".join(
        [f"{versions}.", *(f"**{t.title}.** {t.note}".rstrip() + f"\n\n{t.markdown()}" for t in tables)]
    )


def in_short(versions: str, found: Sequence[Findings]) -> str:
    """Return one line an engine, the methods that ask again, and how many targets were met."""
    tables = {part.part: part.tables[0] for part in found}
    targets = [target for part in found for target in part.targets]
    missed = [target for target in targets if not target.met]
    lines = [by_engine(tables).markdown()]
    if "perturbation" in tables:
        lines.append(asking_again(tables["perturbation"]).markdown())
    lines += sentences(tables)
    lines.append(f"{len(targets) - len(missed)} of {len(targets)} targets met in this run. {versions}.")
    return "\n\n".join(lines)


def by_engine(tables: dict[str, Table]) -> Table:
    """Return time and peak memory in units of one plain forward pass, network by network, and the traces."""
    rows = [row for part in ("speed", "memory") if part in tables for row in tables[part].rows]
    networks, engines = dict.fromkeys(row[0] for row in rows), dict.fromkeys(row[1] for row in rows)
    times, peaks = figures(tables, "speed", 3), figures(tables, "memory", 3)
    left = {row[0]: row for row in tables["traces"].rows} if "traces" in tables else {}
    body: list[list[Cell]] = [
        [
            engine,
            *(f"{shown(times.get((n, engine)))} / {shown(peaks.get((n, engine)))}" for n in networks),
            traces(left.get(engine)),
        ]
        for engine in engines
    ]
    columns = ("time / peak memory, x one forward", *map(str, networks), "hooks, .grad, flags left; MB grown")
    return Table("", columns, body)


def figures(tables: dict[str, Table], part: str, column: int) -> dict[tuple[Cell, Cell], Cell]:
    """Return one column of a table by network and engine."""
    return {(row[0], row[1]): row[column] for row in tables[part].rows} if part in tables else {}


def traces(row: list[Cell] | None) -> Cell:
    """Return what an engine leaves behind, in one cell."""
    return None if row is None else f"{', '.join(map(shown, row[2:5]))}; {shown(row[5])}"


def asking_again(table: Table) -> Table:
    """Return the methods that ask the network again, in times faster than the peer."""
    rows = [[row[0], row[1], row[4], row[6]] for row in table.rows]
    return Table("", ("method", "beside", "peer / VoxCAM, 1 class", "14 classes"), rows)


def sentences(tables: dict[str, Table]) -> list[str]:
    """Return parity and defects in a sentence each."""
    said = []
    if "parity" in tables:
        errors = [cell for row in tables["parity"].rows for cell in row[2:] if isinstance(cell, float)]
        methods = {str(row[0]).split(" (")[0] for row in tables["parity"].rows}
        said.append(
            f"{len(methods)} methods in {len(errors)} comparisons with peers and closed forms: the largest "
            f"difference is {shown(max(errors))} of a map's range."
        )
    if "defects" in tables:
        said.append(
            f"{len(tables['defects'].rows)} ways in which peers' maps are wrong, each measured in this run, "
            "are in [benchmarks](benchmarks/README.md)."
        )
    return said
