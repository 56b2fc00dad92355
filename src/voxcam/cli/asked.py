"""What the words after an option mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def asked_classes(text: str) -> list[str] | int | None:
    """Return what `voxcam.explain` takes for "all", "top3" or "liver,spleen"."""
    from voxcam.errors import ExplainError

    if text == "all":
        return None
    names = names_in(text)
    if not names or text in ("top", "top0"):
        raise ExplainError(f"no classes asked for by {text!r}: expected all, top3, or names with commas")
    return int(text[3:]) if text.startswith("top") and text[3:].isdigit() else names


def asked_methods(names: Sequence[str] | None) -> tuple[str, ...]:
    """Return the methods asked for: Grad-CAM if none is named; none at all for "none"."""
    methods = tuple(names or ("grad-cam",))
    return () if methods == ("none",) else methods


def asked_moment(text: str | None) -> int | str | None:
    """Return what `voxcam.explain` takes for a moment: "3", "all", or None."""
    from voxcam.errors import ExplainError

    if text is None or text == "all":
        return text
    if not text.isdigit():
        raise ExplainError(f"a moment is a whole number from 0, or all; found {text!r}")
    return int(text)


def asked_options(texts: Sequence[str]) -> dict[str, dict[str, object]]:
    """Return the options of methods for texts such as "occlusion.size=16": numbers, or words."""
    from voxcam.errors import ExplainError

    options: dict[str, dict[str, object]] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        method, dot, option = name.partition(".")
        if not (equals and dot and method and option and value):
            raise ExplainError(
                f"cannot read the option {text!r}: expected METHOD.NAME=VALUE, as occlusion.size=16"
            )
        options.setdefault(method, {})[option] = _number_or_word(value)
    return options


def asked_sequences(texts: Sequence[str]) -> dict[str, str]:
    """Return series by name for texts such as "FLAIR=2" or "T1=1.2.840...".

    Raises
    ------
    ReadError
        If a text is not of that form, or a name comes twice.
    """
    from voxcam.errors import ReadError

    series: dict[str, str] = {}
    for text in texts:
        name, _, which = text.partition("=")
        if not name or not which or name in series:
            raise ReadError(
                f"cannot read the sequence {text!r}: expected NAME=SERIES, each name once, as FLAIR=2"
            )
        series[name] = which
    return series


def names_in(text: str) -> list[str]:
    """Return the names in "png, nifti"."""
    return [name.strip() for name in text.split(",") if name.strip()]


def _number_or_word(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
