"""napari opens scans through VoxCAM. Light until something is read: no torch, no napari, no decoder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from voxcam.io import Series

    Paths = str | os.PathLike[str] | Sequence[str]
    LayerData = tuple[Any, dict[str, Any], str]

_ENDINGS = (
    *(".dcm", ".dicom", ".ima", ".zip"),
    *(".nii", ".nii.gz", ".hdr", ".nrrd", ".nhdr", ".mha", ".mhd", ".mgh", ".mgz"),
)
# A folder of many series is opened up to here; the rest is named in the first layer's metadata.
MOST_SERIES = 8
_LOOKED_AT = 64


def get_reader(path: Paths) -> Callable[[Paths], list[LayerData]] | None:
    """Return a function that reads `path`, or None if it is nothing for VoxCAM. Never raises.

    Files are told by their ending, or by the letters DICM after the preamble; folders by their first
    files.
    """
    try:
        paths = _paths(path)
        if paths and all(_is_scan(one) for one in paths):
            return read
    except (OSError, TypeError, ValueError):
        return None
    return None


def read(path: Paths) -> list[LayerData]:
    """Return the layers of the series at `path`: the largest first and visible, the others hidden.

    Localizers come last. Of more than 8 series the first layer's metadata says how many were left
    ("series_left_out"), and the findings of the scan are in "findings".

    Raises
    ------
    ReadError
        If nothing there can be read.
    """
    from voxcam.errors import ReadError
    from voxcam.io import scan

    found, findings = [], []
    for one in _paths(path):
        study = scan(one)
        found += [series for series in study.series if series.can_be_read(gaps="mark")]
        findings += [str(finding) for finding in study.findings]
    if not found:
        raise ReadError(
            f"expected an image series, found none{': ' if findings else ''}{'; '.join(findings)}"
        )
    ranked = sorted(found, key=lambda s: (s.localizer, s.kind != "image", -_size(s.shape)))
    layers = [layer for series in ranked[:MOST_SERIES] for layer in _layers(series)]
    for number, (_, attributes, _) in enumerate(layers):
        attributes["visible"] = number == 0
    layers[0][1]["metadata"] |= {
        "findings": tuple(findings),
        "series_left_out": max(0, len(ranked) - MOST_SERIES),
    }
    # napari selects, and shows on top, the last one.
    return layers[::-1]


def _layers(series: Series) -> list[LayerData]:
    """Return the layer of a series, and what is drawn over its images, if anything, as a layer of its own."""
    from voxcam.io import read as read_series
    from voxcam.io import read_overlays

    layers = [as_layer(read_series(series, gaps="mark"))]
    drawn = read_overlays(series)
    return layers if drawn is None else [*layers, as_layer(drawn, "overlays of the file")]


def as_layer(volume: Any, name: str | None = None) -> LayerData:
    """Return a volume as napari's layer data tuple, on the display frame."""
    from voxcam.plugin.canvas.appearance import appearance, volume_name

    voxels, attributes = appearance(volume)
    attributes["name"] = name or volume_name(volume)
    attributes.pop("contrast_range", None)
    if volume.unit == "label":
        return voxels, attributes, "labels"
    return voxels, {"rgb": False, **attributes, "multiscale": False}, "image"


def _paths(path: Paths) -> list[Path]:
    return [Path(path)] if isinstance(path, str | os.PathLike) else [Path(one) for one in path]


def _is_scan(path: Path) -> bool:
    if path.is_dir():
        files = (Path(entry.path) for entry in os.scandir(path) if entry.is_file())
        return any(_is_scan(file) for _, file in zip(range(_LOOKED_AT), files, strict=False))
    return path.name.lower().endswith(_ENDINGS) or _has_dicom_magic(path)


def _has_dicom_magic(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def _size(shape: Sequence[int]) -> int:
    product = 1
    for count in shape:
        product *= count
    return product
