"""From the headers of a place to its DICOM series."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from voxcam.io.dicom.dimensions import incomplete_of
from voxcam.io.dicom.grid import arrange, axes_of
from voxcam.io.dicom.kinds import SCOUTS
from voxcam.io.dicom.sparse import sparse_findings, sparse_grid
from voxcam.io.dicom.steps import same_place
from voxcam.io.identity import content_sample, salted
from voxcam.io.study import Finding, Series

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from voxcam.core.geometry import Geometry
    from voxcam.io.dicom.grid import Grid
    from voxcam.io.dicom.headers import Header
    from voxcam.io.left_out import LeftOut

SPACING_TOLERANCE_MM = 1e-3
ORIENTATION_TOLERANCE = 1e-4
# Times a stored number, and as a whole number, it still fits into what values are computed in.
_LARGEST_RESCALE = 2.0**60


def series_of(headers: Iterable[Header], left_out: Sequence[LeftOut]) -> list[Series]:
    """Return the series, images before localizers, then by SeriesNumber; one grid each.

    One SeriesInstanceUID becomes several where patient, frame of reference, size, pixel spacing, plane,
    polarity or kind (scout, magnitude, phase, ...) differ. A file without a place in the patient is a
    series alone: nothing says how two of them would stack.
    """
    headers = list(headers)
    drawn = [header for header in headers if header.kind == "structures"]
    headers = [header for header in headers if header.kind != "structures"]
    lost = [item for item in left_out if item.damaged and item.series_uid]
    several = _studies_of_several(headers)
    found = [
        _series(part, lost, [*more, *several.get(part[0].study_uid, ())])
        for group in _groups(headers)
        for part, more in _parts(group)
    ]
    series = [one for _, one in sorted(found, key=lambda pair: pair[0])]
    return series + [_structures(header, series) for header in drawn]


def place_findings(headers: Sequence[Header], series: Sequence[Series]) -> list[Finding]:
    """Return what is odd about the DICOM files of a place taken together."""
    findings = []
    studies, patients = {h.study_uid for h in headers}, {h.patient for h in headers}
    if len(studies) > 1 or len(patients) > 1:
        of = "one patient" if len(patients) == 1 else f"{len(patients)} patients"
        text = f"the place holds {len(studies)} {'study' if len(studies) == 1 else 'studies'} of {of}"
        findings.append(Finding("several-studies", text, len(studies)))
    uids = Counter(s.uid for s in series if s.uid and s.headers and s.headers[0].placed)
    for count in sorted(count for count in uids.values() if count > 1):
        text = f"one series was taken apart into {count}: its images differ in plane, size or kind"
        findings.append(Finding("taken-apart", text, count))
    return findings


def _studies_of_several(headers: Iterable[Header]) -> dict[str, list[Finding]]:
    """Return, by StudyInstanceUID, what stops a study whose images name more than one patient."""
    patients: dict[str, set[str]] = defaultdict(set)
    for header in headers:
        patients[header.study_uid].add(header.patient)
    text = "images of one study name {} patients: it is not known whose they are; export the study again"
    return {
        study: [Finding("several-patients", text.format(len(names)), len(names), stops=True)]
        for study, names in patients.items()
        if study and len(names) > 1
    }


def _groups(headers: Iterable[Header]) -> list[list[Header]]:
    alike: dict[tuple[object, ...], list[list[Header]]] = defaultdict(list)
    for header in sorted(headers, key=lambda h: str(h.file)):
        groups = alike[_alike(header)]
        near = next((g for g in groups if _same_plane(g[0], header)), None)
        if near is None:
            groups.append([header])
        else:
            near.append(header)
    return [group for groups in alike.values() for group in groups]


def _alike(header: Header) -> tuple[object, ...]:
    """Return what images of one series share, but for what needs a tolerance."""
    # Without a UID, the folder is what holds slices together; what lies nowhere only with its own frames.
    identity = header.series_uid or str(header.file.parent)
    place = header.frame_of_reference if header.placed else str(header.file)
    kind = (header.kind, header.modality, header.stored.photometric, header.apart, header.spacing_from)
    return (identity, header.patient, place, header.rows, header.columns, header.stack, *kind)


def _same_plane(a: Header, b: Header) -> bool:
    return _near(a.spacing_mm, b.spacing_mm, SPACING_TOLERANCE_MM) and _near(
        a.orientation, b.orientation, ORIENTATION_TOLERANCE
    )


def _near(a: Sequence[float] | None, b: Sequence[float] | None, tolerance: float) -> bool:
    if a is None or b is None or a == b:
        return a == b
    return all(abs(x - y) <= tolerance for x, y in zip(a, b, strict=True))


def _parts(group: list[Header]) -> list[tuple[list[Header], list[Finding]]]:
    """Return a group, or what it falls into where an acquisition in time was cut off: nothing is dropped."""
    axes = axes_of(group[0].orientation) if group[0].placed and group[0].orientation else None
    if axes is None or group[0].kind == "segmentation":
        return [(group, [])]
    places = same_place(group, axes[2])
    if len({len(here) for here in places}) == 1 or (parts := incomplete_of(places)) is None:
        return [(group, [])]
    text = "part of a series whose positions hold different numbers of images: set apart, nothing is left out"
    return [(part, [Finding("incomplete-axis", text, len(part))]) for part in parts]


def _series(
    group: list[Header], lost: Sequence[LeftOut], more: Sequence[Finding] = ()
) -> tuple[tuple[object, ...], Series]:
    """Return the series of a group, with what it is sorted by."""
    grid = arrange(group)
    ordered = [header for here in grid.slices for header in here]
    first = ordered[0]
    shape, geometry, odd = _seen_as(grid, first)
    spacing = geometry.spacing_mm
    series = Series(
        uid=first.series_uid,
        key=_key(ordered),
        modality=first.modality,
        description=first.description,
        shape=shape,
        spacing_mm=(float(spacing[0]), float(spacing[1]), float(spacing[2])),
        files=tuple(dict.fromkeys(header.file for header in ordered)),
        format="dicom",
        findings=(*_lost(first, lost), *more, *odd, *_value_findings(ordered)),
        localizer=any(word in first.apart for word in SCOUTS),
        headers=tuple(ordered),
        kind=first.kind,
        geometry=grid.geometry,
    )
    numbers = [h.instance_number or 0 for h in ordered]
    number = first.series_number if first.series_number is not None else 2**31
    return (series.localizer, number, series.uid, min(numbers), series.key), series


def _seen_as(grid: Grid, first: Header) -> tuple[tuple[int, ...], Geometry, tuple[Finding, ...]]:
    """Return shape, geometry and findings of what reading the grid gives."""
    if first.kind != "segmentation":
        shape = (*grid.geometry.shape, *((grid.moments,) if grid.fourth else ()))
        return shape, grid.geometry, grid.findings
    found = sparse_grid(grid)
    geometry = grid.geometry if found is None else found[0]
    return geometry.shape, geometry, sparse_findings(grid)


def _structures(header: Header, series: Sequence[Series]) -> Series:
    """Return a structure set with the images it was drawn on, if they are here: their grid is its own."""
    images = [s for s in series if s.kind == "image" and s.headers[0].placed and s.readable]
    drawn_on = [s for s in images if s.uid == header.stack] or [
        s
        for s in images
        if header.frame_of_reference and s.headers[0].frame_of_reference == header.frame_of_reference
    ]
    text = "the images that the structure set was drawn on are not here: put both in one folder"
    under = max(drawn_on, key=lambda s: s.shape[2], default=None)
    return Series(
        uid=header.series_uid,
        key=_key([header]),
        modality=header.modality,
        description=header.description,
        shape=under.shape if under else (1, 1, 1),
        spacing_mm=under.spacing_mm if under else (1.0, 1.0, 1.0),
        files=(header.file,),
        format="dicom",
        findings=() if under else (Finding("no-images", text, stops=True),),
        headers=(header, *(under.headers if under else ())),
        kind=header.kind,
        geometry=under.geometry if under else None,
    )


def _key(ordered: Sequence[Header]) -> str:
    """Hash of the images that make up the series; of their bytes where they have no UID."""
    images = sorted({_image(h) for h in ordered})
    return salted([ordered[0].series_uid, *images])


def _image(header: Header) -> str:
    part = f" {header.frame} {header.tile}" if header.frame or header.tile else ""
    return (header.instance_uid or salted([content_sample(header.file)])) + part


def _lost(header: Header, lost: Sequence[LeftOut]) -> list[Finding]:
    count = sum(item.series_uid == header.series_uid for item in lost)
    if not count:
        return []
    files = "1 file of this series is" if count == 1 else f"{count} files of this series are"
    return [Finding("incomplete", f"{files} damaged or cut short: copy the series again", count, stops=True)]


def _value_findings(ordered: Sequence[Header]) -> list[Finding]:
    """Return what is odd about how stored pixels become values, and values grey."""
    findings = []
    first = ordered[0]
    if any(h.slope == 0 for h in ordered):
        findings.append(Finding("no-slope", "rescale slope is 0: taken as 1", len(ordered)))
    if any(abs(number or 0) > _LARGEST_RESCALE for h in ordered for number in (h.slope, h.intercept)):
        text = "rescale slope or intercept is larger than values can be: export the series again"
        findings.append(Finding("rescale", text, stops=True))
    if first.modality == "CT" and first.intercept is None and not first.has_modality_lut:
        findings.append(
            Finding("no-rescale", "CT without rescale: stored values are not known to be HU", len(ordered))
        )
    if any(h.burned_in for h in ordered):
        findings.append(Finding("burned-in", "the file says that text is burned into the picture"))
    return findings
