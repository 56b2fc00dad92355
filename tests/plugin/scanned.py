"""Series and studies as a scan of a place finds them, without files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

from voxcam.io import Finding, Series, Study

PLACE = Path("here") / "scans"
ODD = Finding("overlap", "slices <b>overlap</b>")
GAP = Finding("missing-slices", "2 slices are missing", 2, stops=True)
LOST = Finding("incomplete", "a file is damaged", 1, stops=True)


def series(number, modality="CT", description="", study="1.1", patient="p", **changes):
    """A CT of three slices, told apart by its number; a header for each slice tells study and patient."""
    shape = changes.pop("shape", (512, 512, 3))
    made = Series(
        uid=f"1.2.{number}",
        key=f"key{number}",
        modality=modality,
        description=description,
        shape=shape,
        spacing_mm=(0.7, 0.7, 1.25),
        files=(PLACE / f"IM{number}",),
        format="dicom",
        headers=(SimpleNamespace(study_uid=study, patient=patient),) * shape[2],
    )
    return replace(made, **changes)


def study_of(*found, **changes):
    """What a scan brings that found these series, a file each."""
    return replace(Study(tuple(found), (), len(found), len(found), 0, 0), **changes)
