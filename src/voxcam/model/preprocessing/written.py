"""What a bundle's ``preprocessing`` section asks to be done to the image, as data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from voxcam.errors import ClassifierError, UntrustedCodeError
from voxcam.model.bundle import target_of
from voxcam.model.preprocessing.catalogue import CATALOGUE, REFUSED, Entry, array_form, refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

# Of dictionary forms: where items lie and what is noted beside them; nothing of it changes the image.
BESIDE = frozenset(
    "keys allow_missing_keys meta_keys meta_key_postfix overwrite overwriting image_only start_coord_key "
    "end_coord_key ensure_same_shape device".split()
)
# Of dictionary forms: one value for each key, or one for all.
PER_KEY = frozenset(
    "mode padding_mode align_corners dtype scale_extent anti_aliasing anti_aliasing_sigma".split()
)
# Arguments that would bring in another item, or put the result elsewhere.
OTHER_ITEMS = frozenset("mask_key factor_key new_key_prefix dst_keys mask_data mask select_fn".split())
# For the nearest of them where a name is unknown.
KNOWN = frozenset(name + ending for name in CATALOGUE for ending in ("", "d"))
# Transforms of items, not of what they hold.
ITEMS = frozenset(["ConcatItems", "CopyItems", "DeleteItems", "SelectItems"])
# Of reading steps: the values with which our own reading is the same; others would make another image.
SAME_READING: dict[str, tuple[str, ...]] = {
    "dtype": ("float32", "float64", "float", "None"),
    # Last, as pictures in colour have it: our reader puts those first itself.
    "channel_dim": ("None", "no_channel", "-1", "2"),
    "swap_ij": ("True",),
    "reverse_indexing": ("True",),
    "affine_lps_to_ras": ("True",),
    "as_closest_canonical": ("False",),
}

# Transforms whose resampling MONAI can put off and join.
LAZY = frozenset(
    name
    for name, entry in CATALOGUE.items()
    if entry.kind in ("exact", "interpolating") and name != "Transpose"
)


@dataclass(frozen=True)
class Written:
    """One step of the section that changes the image.

    Parameters
    ----------
    name
        MONAI's array form.
    arguments
        For the array form.
    lazy
        Whether the section asks MONAI to join its resampling with that of its neighbours.
    apart
        Whether a step of MONAI that needs the image stands before it, so that it joins none of the earlier.
    joined
        Steps that are resampled at once; then the name is "Compose".
    """

    name: str
    arguments: dict[str, Any]
    lazy: bool = False
    apart: bool = False
    joined: tuple[Written, ...] = ()

    @property
    def entry(self) -> Entry:
        """What the catalogue says of it."""
        if not self.joined:
            return CATALOGUE[self.name]
        return Entry("interpolating", "single" if self.joined[0].name == "CropForeground" else "together")


def written_steps(section: Any) -> tuple[Written, ...]:
    """Return the steps of a bundle's ``preprocessing`` that change the image, in their order.

    Raises
    ------
    UntrustedCodeError
        If it names anything but a transform of MONAI, or one that would run code.
    ClassifierError
        If a transform is refused, or its arguments ask for what VoxCAM does not do.
    """
    if section is None:
        return ()
    target_of(section, {"Compose"}, "preprocessing")
    found = list(_transforms(section, None))
    image = _image_key([section for section, _ in found])
    steps: list[Written] = []
    apart = False
    for section, lazy in found:
        name, arguments = _known(section)
        if not _concerns(name, _keys(arguments), image):
            continue
        step = _step(name, arguments, image, lazy)
        if step is not None:
            steps.append(replace(step, apart=apart))
        apart = step is None
    return tuple(steps)


def _transforms(compose: dict[str, Any], lazy: bool | None) -> Iterator[tuple[Any, bool | None]]:
    """Yield the transforms of a Compose and of those within it, and the `lazy` that is set for them."""
    for key in ("overrides", "unpack_items"):
        if compose.get(key):
            raise ClassifierError(f"Compose of the preprocessing has {key!r}, which VoxCAM does not follow")
    lazy = compose.get("lazy", lazy)
    listed = compose.get("transforms", [])
    for section in listed if isinstance(listed, list | tuple) else [listed]:
        if _name_in(section) == "Compose":
            target_of(section, {"Compose"}, "preprocessing")
            yield from _transforms(section, lazy)
        elif not (isinstance(section, dict) and str(section.get("_disabled_", "")).lower() == "true"):
            yield section, lazy


def _image_key(sections: list[Any]) -> str:
    """Return the name of the item that is the image: the first that is loaded, if none is called "image"."""
    for section in sections:
        if _name_in(section).startswith("LoadImage"):
            keys = _keys(section)
            return "image" if not keys or "image" in keys else keys[0]
    return "image"


def _name_in(section: Any) -> str:
    target = section.get("_target_") if isinstance(section, dict) else None
    return target.rpartition(".")[2] if isinstance(target, str) else ""


def _keys(section: dict[str, Any]) -> list[str]:
    keys = section.get("keys", [])
    return [str(key) for key in keys] if isinstance(keys, list | tuple) else [str(keys)]


def _concerns(name: str, keys: list[str], image: str) -> bool:
    return not keys or image in keys or name in ITEMS


def _step(name: str, arguments: dict[str, Any], image: str, lazy: bool | None) -> Written | None:
    """Return one step, or None if it does nothing to the image that has not been done."""
    keys = _keys(arguments)
    if name in ITEMS:
        _check_items(name, arguments, image)
        return None
    reason = refusal(name)
    if reason is not None:
        kind = UntrustedCodeError if "runs code" in reason else ClassifierError
        raise kind(f"transform {name} of the preprocessing is refused: {reason}")
    if CATALOGUE[name].kind == "reading":
        _check_reading(name, arguments, keys.index(image) if keys else 0)
        return None
    return _for_array_form(name, arguments, keys.index(image) if keys else None, lazy)


def _known(section: Any) -> tuple[str, dict[str, Any]]:
    written = _name_in(section)
    name = array_form(written)
    _, arguments = target_of(section, KNOWN if name is None else {written}, "transform")
    if any(isinstance(value, dict) and "_target_" in value for value in arguments.values()):
        raise UntrustedCodeError(
            f"transform {written} has an argument that would be built: write its value out"
        )
    return str(name), {key: value for key, value in arguments.items() if key not in ("_desc_", "_disabled_")}


def _check_items(name: str, arguments: dict[str, Any], image: str) -> None:
    keys, names = _keys(arguments), arguments.get("names", arguments.get("name", []))
    lost = {"SelectItems": image not in keys, "DeleteItems": image in keys}.get(name, image in list(names))
    if isinstance(names, str):
        lost = lost or names == image
    if lost or (name == "ConcatItems" and image in keys):
        reason = REFUSED.get(name, f"it removes or replaces the item {image!r}, which is the image")
        raise ClassifierError(f"transform {name} of the preprocessing is refused: {reason}")


def _check_reading(name: str, arguments: dict[str, Any], place: int) -> None:
    for argument, same in SAME_READING.items():
        value = arguments.get(argument, same[0])
        if isinstance(value, list | tuple):
            value = _for_key(name, argument, list(value), place)
        if str(value).strip("<>'").rpartition(".")[2] not in same:
            raise ClassifierError(
                f"{name} of the preprocessing has {argument}={value}, expected {' or '.join(same)}: "
                "VoxCAM reads the volume itself and would read another one"
            )


def _for_array_form(name: str, arguments: dict[str, Any], place: int | None, lazy: bool | None) -> Written:
    kept = {key: value for key, value in arguments.items() if key not in BESIDE}
    own = bool(kept.pop("lazy", False))
    if kept.pop("source_key", None) not in (None, *_keys(arguments)[place or 0 :][:1]):
        raise ClassifierError(f"{name} of the preprocessing looks at another item: {REFUSED['ConcatItems']}")
    for key in OTHER_ITEMS & set(kept):
        if kept.pop(key) not in (None, [None]):
            raise ClassifierError(f"{name} of the preprocessing has {key!r}: {REFUSED['ConcatItems']}")
    if kept.pop("normalized", False):
        raise ClassifierError("Affine of the preprocessing is normalized, which MONAI itself misplaces")
    for key in PER_KEY & set(kept):
        if place is not None and isinstance(kept[key], list | tuple):
            kept[key] = _for_key(name, key, list(kept[key]), place)
    return Written(name, kept, own if lazy is None else bool(lazy))


def _for_key(name: str, argument: str, values: list[Any], place: int) -> Any:
    if place >= len(values):
        raise ClassifierError(
            f"{name} of the preprocessing has {len(values)} values of {argument!r}, expected one for each key"
        )
    return values[place]


def joined(steps: tuple[Written, ...]) -> tuple[Written, ...]:
    """Return the steps with those that MONAI is to resample at once made one.

    A crop to the foreground looks at the image and so begins anew.
    """
    found: list[Written] = []
    for step in steps:
        if not (step.lazy and step.name in LAZY):
            found.append(step)
        elif found and found[-1].joined and not step.apart and step.name != "CropForeground":
            found[-1] = replace(found[-1], joined=(*found[-1].joined, step))
        else:
            found.append(Written("Compose", {}, joined=(step,)))
    return tuple(found)
