"""Several images at one place: what tells them apart, and what the fourth axis they make counts.

PS3.3 has no single attribute for it. The first one is taken that differs among all images of a place, and
takes the same values at every place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from voxcam.core.volume import Axis

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voxcam.io.dicom.attributes import Attributes
    from voxcam.io.dicom.headers import Header

    Places = Sequence[Sequence[Header]]

Mark = float | str | tuple[float, ...] | None


@dataclass(frozen=True)
class Splitter:
    """An attribute that may tell images at one place apart."""

    attribute: str
    name: str
    unit: str = ""


# In the order they are asked. `Header.marks` holds one value for each.
SPLITTERS = (
    Splitter("TemporalPositionIdentifier (0020,0100)", "time point"),
    Splitter("TemporalPositionIndex (0020,9128)", "time point"),
    Splitter("DiffusionBValue (0018,9087) and gradient", "b-value", "s/mm²"),
    Splitter("EchoTime (0018,0081)", "echo time", "ms"),
    Splitter("EchoNumbers (0018,0086)", "echo"),
    Splitter("TriggerTime (0018,1060)", "cardiac phase", "ms"),
    Splitter("NominalCardiacTriggerDelayTime (0020,9153)", "cardiac phase", "ms"),
    Splitter("AcquisitionNumber (0020,0012)", "acquisition"),
    Splitter("AcquisitionTime (0008,0032)", "time", "s"),
    Splitter("ContentTime (0008,0033)", "time", "s"),
    Splitter("ImageType (0008,0008)", "image type"),
    Splitter("InversionTime (0018,0082)", "inversion time", "ms"),
    Splitter("FlipAngle (0018,1314)", "flip angle", "degrees"),
    Splitter("dimension index (0020,9157)", "dimension"),
)
_BY_NUMBER = Splitter("order of InstanceNumber (0020,0013)", "repeat")
_DAY_S = 86_400.0
_CLOCKS = ("AcquisitionTime (0008,0032)", "ContentTime (0008,0033)")


def marks_of(attributes: Attributes) -> tuple[Mark, ...]:
    """Return what a single image says for each of `SPLITTERS`; None where it says nothing."""
    return (
        attributes.number("TemporalPositionIdentifier"),
        attributes.number("TemporalPositionIndex"),
        _diffusion(attributes),
        attributes.number("EchoTime"),
        attributes.number("EchoNumbers"),
        attributes.number("TriggerTime"),
        attributes.number("NominalCardiacTriggerDelayTime"),
        attributes.number("AcquisitionNumber"),
        seconds(attributes.text("AcquisitionTime") or attributes.text("AcquisitionDateTime")[8:]),
        seconds(attributes.text("ContentTime")),
        "\\".join(attributes.codes("ImageType")) or None,
        attributes.number("InversionTime"),
        attributes.number("FlipAngle"),
        None,
    )


def seconds(clock: str) -> float | None:
    """Return the second of the day of a time HHMMSS.FFFFFF (PS3.5 VR TM), None if it is none."""
    found = re.match(r"(\d{2})(\d{2})(\d{2}(?:\.\d{1,6})?)", clock)
    return int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3]) if found else None


def _diffusion(attributes: Attributes) -> Mark:
    """b-value, then the gradient's direction if stated; GE adds multiples of 10^9 or 10^6 to it."""
    b = attributes.number("DiffusionBValue")
    gradient = attributes.numbers("DiffusionGradientOrientation", 3)
    if b is None:
        b, gradient = attributes.number("SiemensBValue"), attributes.numbers("SiemensGradient", 3)
    if b is None:
        b = attributes.number("PhilipsBValue")
    if b is None and (ge := attributes.first_number("GEBValue")) is not None:
        b = ge % 100_000
    if b is None:
        return None
    return (b, *(gradient or ()))


def fourth_of(places: Places) -> tuple[tuple[tuple[Header, ...], ...], Axis] | None:
    """Return the places with their images in order of the fourth axis, and that axis.

    None if places hold different numbers of images, or one each, or copies of one.
    """
    counts = {len(here) for here in places}
    if len(counts) != 1 or counts == {1} or any(copies(here) for here in places):
        return None
    for splitter, key in _candidates(places):
        if _splits(places, key):
            ordered = tuple(tuple(sorted(here, key=lambda h: _order(_mark(h, key)))) for here in places)
            if splitter.attribute in _CLOCKS:
                return _from_the_first(ordered, splitter, key[0])
            return ordered, _axis(splitter, [_mark(h, key) for h in ordered[0]])
    if not all(_numbered(here) for here in places):
        return None
    ordered = tuple(tuple(sorted(here, key=lambda h: (h.instance_number or 0, h.frame))) for here in places)
    if len({header.file for here in places for header in here}) == 1:
        return ordered, cine_axis(ordered[0])
    return ordered, Axis(_BY_NUMBER.name, stated_by=_BY_NUMBER.attribute)


def cine_axis(frames: Sequence[Header]) -> Axis:
    """Return the axis that frames of one file make where nothing else tells them apart: time."""
    step = frames[0].frame_time_ms
    if step is None or step <= 0:
        return Axis("frame", stated_by="NumberOfFrames (0028,0008)")
    values = tuple(round(number * step, 6) for number in range(len(frames)))
    return Axis("time", "ms", values, "FrameTime (0018,1063)")


def incomplete_of(places: Places) -> list[list[Header]] | None:
    """Return the images parted by what tells them apart, the parts that lie at every place together first.

    For places that hold different numbers of images: an acquisition that was cut off, say. None if
    nothing tells all images of a place apart.
    """
    fullest = max(places, key=len)
    for _, key in _candidates([fullest]):
        marks = {_mark(header, key) for here in places for header in here}
        if len(marks) == len(fullest) and all(_apart(here, key) for here in places):
            return _parted(places, key)
    return None


def copies(here: Sequence[Header]) -> bool:
    """Whether images are one and the same, met twice: they share their UID (and frame)."""
    images = {(header.instance_uid, header.frame, header.tile) for header in here}
    return len(here) > 1 and len(images) == 1 and here[0].instance_uid != ""


def _parted(places: Places, key: tuple[int, ...]) -> list[list[Header]]:
    by_mark: dict[tuple[Mark, ...], list[Header]] = {}
    for here in places:
        for header in here:
            by_mark.setdefault(_mark(header, key), []).append(header)
    whole = [h for group in by_mark.values() if len(group) == len(places) for h in group]
    parts = [group for _, group in sorted(by_mark.items(), key=lambda pair: _order(pair[0]))]
    rest = [group for group in parts if len(group) != len(places)]
    return [whole, *rest] if whole else rest


def _candidates(places: Places) -> list[tuple[Splitter, tuple[int, ...]]]:
    """Return single attributes, then pairs of those that differ at all: several echoes of several times."""
    single = [(splitter, (index,)) for index, splitter in enumerate(SPLITTERS)]
    differing = [i for i in range(len(SPLITTERS)) if len({_mark(h, (i,)) for h in places[0]}) > 1]
    return single + [(_pair(SPLITTERS[a], SPLITTERS[b]), (a, b)) for a, b in combinations(differing, 2)]


def _pair(a: Splitter, b: Splitter) -> Splitter:
    return Splitter(f"{a.attribute} and {b.attribute}", f"{a.name}, {b.name}")


def _splits(places: Places, key: tuple[int, ...]) -> bool:
    """Whether the marks differ within each place, and are the same set at all of them."""
    first = {_mark(h, key) for h in places[0]}
    return all(_apart(here, key) and {_mark(h, key) for h in here} == first for here in places)


def _apart(here: Sequence[Header], key: tuple[int, ...]) -> bool:
    marks = [_mark(h, key) for h in here]
    return len(set(marks)) == len(marks) and all(None not in mark for mark in marks)


def _numbered(here: Sequence[Header]) -> bool:
    """Whether every image has a number of its own."""
    numbers = {(header.instance_number, header.frame) for header in here}
    return len(numbers) == len(here) and all(number is not None for number, _ in numbers)


def _mark(header: Header, key: tuple[int, ...]) -> tuple[Mark, ...]:
    return tuple(header.marks[index] for index in key)


def _order(mark: tuple[Mark, ...]) -> tuple[tuple[float, ...] | str, ...]:
    return tuple(m if isinstance(m, str) else m if isinstance(m, tuple) else (m or 0.0,) for m in mark)


def _axis(splitter: Splitter, marks: list[tuple[Mark, ...]]) -> Axis:
    return Axis(splitter.name, splitter.unit, tuple(_value(mark) for mark in marks), splitter.attribute)


def _from_the_first(
    ordered: tuple[tuple[Header, ...], ...], splitter: Splitter, index: int
) -> tuple[tuple[tuple[Header, ...], ...], Axis]:
    """Return places in order of a clock, and seconds since the first: the hour itself is nobody's business.

    Times over half a day apart were taken across midnight: the first is the one after the longest pause.
    """
    clock = [float(header.marks[index]) for header in ordered[0]]  # type: ignore[arg-type]
    pauses = [after - before for before, after in zip(clock, [*clock[1:], clock[0] + _DAY_S], strict=True)]
    across = clock[-1] - clock[0] > _DAY_S / 2
    first = (pauses.index(max(pauses)) + 1) % len(clock) if across else 0
    turned = tuple((*here[first:], *here[:first]) for here in ordered)
    values = tuple(round((time - clock[first]) % _DAY_S, 6) for time in (*clock[first:], *clock[:first]))
    return turned, Axis(splitter.name, splitter.unit, values, splitter.attribute)


def _value(mark: tuple[Mark, ...]) -> float | str:
    if len(mark) > 1:
        return " / ".join(f"{_value((one,))}" for one in mark)
    one = mark[0]
    if isinstance(one, tuple):
        return one[0] if len(one) == 1 or not any(one[1:]) else _spelt(one)
    return "" if one is None else one


def _spelt(diffusion: tuple[float, ...]) -> str:
    direction = ", ".join(f"{part:.3f}" for part in diffusion[1:])
    return f"{diffusion[0]:g} ({direction})"
