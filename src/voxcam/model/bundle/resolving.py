"""A section of a configuration as plain data: references followed, expressions worked out, nothing run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voxcam.errors import ClassifierError
from voxcam.model.bundle.bounded import Steps, is_component, is_finite
from voxcam.model.bundle.documents import DEPTH, NODES, in_short, place_of
from voxcam.model.bundle.expressions import NotStaticError, WrongExpressionError, evaluate
from voxcam.model.bundle.needs import Need
from voxcam.model.bundle.references import LeavesBundleError, is_reference
from voxcam.model.bundle.section import Section

if TYPE_CHECKING:
    from collections.abc import Callable

    from voxcam.model.bundle.references import Sources, Spot

# Of a section with a "_target_"; other keys between underscores are instructions we do not know.
_DIRECTIVES = ("_target_", "_disabled_", "_desc_", "_requires_", "_mode_")


class _Disabled:
    """Stands for a component that is switched off: it falls out of what it lies in."""


class _UnresolvedError(Exception):
    """What an expression refers to could not be resolved, and was noted."""


class Resolver:
    """One walk over a section.

    Parameters
    ----------
    sources
        The documents.
    on_need
        Gets what only running code could tell; where it returns, None stands in the value's place.
    """

    def __init__(self, sources: Sources, on_need: Callable[[Need], None]) -> None:
        self._sources = sources
        self._on_need = on_need
        self._met: list[Spot] = []  # the spots of the references on the way to here
        self._depth = 0
        self._nodes = 0
        self._needs = 0
        self.keys: set[str] = set()  # top-level keys of the configuration that were met
        self._steps = Steps()

    def resolved(self, id_: str) -> Any:
        """Return the value that an id names, all below it resolved; None for a component switched off.

        Raises
        ------
        ClassifierError
            A reference leads nowhere or in a circle, or a value is too deep, too large or not finite.
        """
        try:
            spot = self._sources.spot(id_)
            found = self._followed(spot, spot)
        except RecursionError:
            raise ClassifierError(f"{self._sources.main.name} ({id_}): references nest too deep") from None
        return None if isinstance(found, _Disabled) else found

    def _followed(self, spot: Spot, asking: Spot) -> Any:
        """Return the value where a reference leads, unless the way there comes from there."""
        if any(met.document is spot.document and met.path == spot.path for met in self._met):
            raise ClassifierError(f"{asking.where} refers to itself through {place_of(spot.path)}")
        self._met.append(spot)
        if spot.document is self._sources.main and spot.path:
            self.keys.add(str(spot.path[0]))
        found = self._value(spot)
        self._met.pop()
        return found

    def _value(self, spot: Spot) -> Any:
        self._nodes += 1
        self._depth += 1
        if self._nodes > NODES or self._depth > DEPTH:
            raise ClassifierError(f"{spot.where}: references lead too deep or to more than {NODES:,} values")
        found = self._by_kind(spot)
        self._depth -= 1
        return found

    def _by_kind(self, spot: Spot) -> Any:
        if isinstance(spot.value, dict):
            return self._mapping(spot)
        if isinstance(spot.value, list):
            entries = [self._value(spot.below(number)) for number in range(len(spot.value))]
            return [entry for entry in entries if not isinstance(entry, _Disabled)]
        if isinstance(spot.value, str):
            return self._text(spot)
        return self._checked(spot.value, spot)

    def _mapping(self, spot: Spot) -> Section | _Disabled:
        keys = list(spot.value)
        if "_target_" in spot.value:
            if self._is_disabled(spot):
                return _Disabled()
            keys = [key for key in keys if self._is_argument(key, spot)]
        content = {key: self._value(spot.below(key)) for key in keys}
        kept = {key: value for key, value in content.items() if not isinstance(value, _Disabled)}
        return Section(kept, spot.where, spot.at)

    def _is_disabled(self, spot: Spot) -> bool:
        if "_disabled_" not in spot.value:
            return False
        said = self._value(spot.below("_disabled_"))
        if is_component(said):
            self._need(spot.below("_disabled_"), "an object that decides whether another is there")
        return said.lower().strip() == "true" if isinstance(said, str) else bool(said)

    def _is_argument(self, key: Any, spot: Spot) -> bool:
        """Whether a key of a component is its target or an argument; instructions are noted or dropped."""
        if not (isinstance(key, str) and key.startswith("_") and key.endswith("_") and len(key) > 2):
            return True
        value = spot.value[key]
        harmless = {"_requires_": not value, "_mode_": value == "default"}.get(key, key in _DIRECTIVES)
        if not harmless:
            what = {"_requires_": "a requirement that runs first", "_mode_": "a mode of MONAI's"}
            self._need(spot.below(key), what.get(key, f"an instruction {in_short(key)!r}"))
        return key == "_target_"

    def _text(self, spot: Spot) -> Any:
        text: str = spot.value
        if text.startswith("$"):
            return self._expression(spot)
        if text.startswith("%"):
            return self._macro(spot)
        return self._referred(text[1:], spot) if is_reference(text) else text

    def _referred(self, id_: str, spot: Spot) -> Any:
        try:
            target = self._sources.spot(id_, spot)
        except LeavesBundleError:
            return self._need(spot, "a reference into a file outside the bundle's configs")
        found = self._followed(target, spot)
        return None if isinstance(found, _Disabled) else found

    def _macro(self, spot: Spot) -> Any:
        try:
            target = self._sources.macro(spot.value[1:], spot)
        except LeavesBundleError:
            return self._need(spot, "a macro to a file outside the bundle's configs")
        return self._followed(target, spot)

    def _expression(self, spot: Spot) -> Any:
        def look_up(id_: str) -> Any:
            before = self._needs
            found = self._referred(id_, spot)
            if self._needs > before:
                raise _UnresolvedError
            return found

        try:
            return self._checked(evaluate(spot.value[1:], look_up, self._steps), spot)
        except _UnresolvedError:
            return None
        except NotStaticError as error:
            return self._need(spot, f"an expression with {error}")
        except WrongExpressionError as error:
            raise ClassifierError(
                f"{spot.where}: the expression {in_short(spot.value)!r} has no value ({error})"
            ) from None

    def _checked(self, value: Any, spot: Spot) -> Any:
        if not is_finite(value):
            raise ClassifierError(f"{spot.where}: expected a number, found {value}")
        if isinstance(value, list | tuple):
            return type(value)(self._checked(entry, spot) for entry in value)
        if isinstance(value, dict) and not getattr(value, "where", ""):
            return Section({k: self._checked(v, spot) for k, v in value.items()}, spot.where, spot.at)
        return list(value) if isinstance(value, range) else value

    def _need(self, spot: Spot, what: str) -> None:
        self._needs += 1
        self._on_need(Need(*spot.at, what, in_short(str(spot.value))))
