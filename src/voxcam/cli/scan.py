"""``voxcam scan``: what lies at a place, by headers only."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from voxcam.io import Finding, Series, Study


_MOST_NAMED = 10  # refused files, in the table


def scan(
    place: Annotated[Path, typer.Argument(help="A file, a folder of files, or a zip archive.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> int:
    """List the series at PLACE and what is odd or missing. Reads headers only."""
    from voxcam.cli.answers import print_json
    from voxcam.cli.progress import shown
    from voxcam.io import scan as scan_place

    with shown("scanning") as progress:
        study = scan_place(place, progress=progress)
    if place.name.upper() == "DICOMDIR" and place.is_file():
        place = place.parent  # it stands for the medium it is the index of
    if not study.series:
        study.choose()  # says what was found instead
    if as_json:
        print_json(_document(study, place))
        return 0
    _print(study, place)
    return 0


def _print(study: Study, place: Path) -> None:
    """Print the table of series, what is odd about them, and what was refused."""
    from voxcam.cli.answers import print_line, print_table

    rows = [
        (
            number,
            _what(series),
            " x ".join(str(n) for n in series.shape),
            " x ".join(f"{mm:.3g}" for mm in series.spacing_mm) if series.spacing_known else "unknown",
            series.description,
            _whereabouts(series, place),
        )
        for number, series in enumerate(study.series)
    ]
    print_table("", ("#", "modality", "voxels", "spacing mm", "description", "files"), rows)
    for number, series in enumerate(study.series):
        for finding in series.findings:
            print_line(f"series {number}: {finding.text}")
    for finding in study.findings:
        print_line(finding.text)
    for file, why in study.left_out[:_MOST_NAMED]:
        print_line(f"refused: {_below(file, place)}: {why}")
    if len(study.left_out) > _MOST_NAMED:
        print_line(f"and {len(study.left_out) - _MOST_NAMED} more refused (--json names all)")
    print_line(
        f"{study.found} files found: {study.loaded} loaded, {study.skipped} skipped, {study.refused} refused"
    )


def _below(file: Path, place: Path) -> str:
    """Name a file below `place`; of an archive's, whose names are ours, only that it is one."""
    if file == place:
        return file.name
    return str(file.relative_to(place)) if file.is_relative_to(place) else "in an archive"


def _what(series: Series) -> str:
    """Name the modality, and the kind where it is no image."""
    what = [series.modality or series.format]
    what += [] if series.kind == "image" else [series.kind]
    what += ["localizer"] if series.localizer else []
    what += [] if series.readable else ["(unreadable)"]
    return " ".join(what)


def _whereabouts(series: Series, place: Path) -> str:
    """Name the series' file below `place`, or its folder and how many files it has."""
    first = series.files[0]
    if not first.is_relative_to(place):  # unpacked: its names are ours
        return f"{len(series.files)} in an archive"
    inside = first.relative_to(place) if first != place else Path(first.name)
    return str(inside) if len(series.files) == 1 else f"{len(series.files)} in {inside.parent}"


def _document(study: Study, place: Path) -> dict[str, Any]:
    return {
        "series": [
            {
                "index": number,
                "uid": series.uid,
                "modality": series.modality,
                "description": series.description,
                "format": series.format,
                "kind": series.kind,
                "localizer": series.localizer,
                "readable": series.readable,
                "shape": list(series.shape),
                "spacing_mm": list(series.spacing_mm),
                **_geometry(series),
                "files": len(series.files),
                "findings": _findings(series.findings),
            }
            for number, series in enumerate(study.series)
        ],
        "findings": _findings(study.findings),
        "found": study.found,
        "loaded": study.loaded,
        "skipped": study.skipped,
        "refused": study.refused,
        "refused_files": [{"file": _below(file, place), "reason": why} for file, why in study.left_out],
    }


def _geometry(series: Series) -> dict[str, Any]:
    """Return where the voxels lie: affine to RAS+ mm, where i, j, k grow to, and how far they are turned."""
    geometry = series.geometry
    if geometry is None:
        return {}
    known = geometry.frame == "patient"
    return {
        "frame": geometry.frame,
        "affine": geometry.affine.tolist(),
        "axes": geometry.codes if known else None,
        "obliquity_deg": round(geometry.obliquity_deg, 3) if known else None,
    }


def _findings(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    return [{"kind": f.kind, "text": f.text, "count": f.count, "stops": f.stops} for f in findings]
