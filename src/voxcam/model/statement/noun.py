"""What a model states of itself; what it leaves out stays not stated."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from voxcam.core.answer import Answer
from voxcam.errors import ClassifierError

NOT_STATED = "not stated"


@dataclass(frozen=True)
class Statement:
    """What a model states of itself.

    Parameters
    ----------
    name, version, description, intended_use
        As it calls itself.
    classes
        Names in the order of the outputs; () if not stated.
    negative
        Of a single output: what it means when it is low; "" if not stated.
    answer
        How outputs are read.
    default_layer
        Module whose maps are shown unless another is asked for; "" if not stated.
    modality, unit
        Of what it was trained on; "" if not stated.
    value_range
        Lowest and highest value it was trained on, in `unit`.
    spacing_mm
        Of each axis the smallest and largest voxel it was trained on.
    channels
        Channels of the network's input; None if not stated.
    input_shape
        Spatial shape of the network's input; None if it takes any, or none is stated.
    sequences
        Names of its input channels where these are series of a study: ("T1", "FLAIR").
    slices_along
        Axis along which a 2D network reads a volume; None if not stated.
    neighbours
        Slices it reads at once as channels, the middle one is judged; odd.
    """

    name: str = "unnamed"
    version: str = ""
    description: str = ""
    intended_use: str = ""
    classes: tuple[str, ...] = ()
    negative: str = ""
    answer: Answer = field(default_factory=Answer)
    default_layer: str = ""
    modality: str = ""
    unit: str = ""
    value_range: tuple[float, float] | None = None
    spacing_mm: tuple[tuple[float, float], ...] | None = None
    channels: int | None = None
    input_shape: tuple[int, ...] | None = None
    sequences: tuple[str, ...] = ()
    slices_along: int | None = None
    neighbours: int = 1

    @property
    def missing(self) -> tuple[str, ...]:
        """What a reader would want to know and the model does not say."""
        answer = self.answer
        said = {
            "class names": self.classes != _unnamed(len(self.classes)),
            "activation": answer.activation != NOT_STATED,
            "thresholds": answer.thresholds or answer.activation == "regression",
            "modality": self.modality,
            "unit of the input": self.unit,
            "range of the input": self.value_range,
            "spacing": self.spacing_mm,
            "intended use": self.intended_use,
        }
        return tuple(what for what, is_said in said.items() if not is_said)

    def of_outputs(self, count: int) -> Statement:
        """Return the statement with a name for each of the network's `count` outputs.

        One output with two names asks for the second of them; K - 1 ordinal outputs with K names ask
        "at least the second", and so on.

        Raises
        ------
        ClassifierError
            If the names cannot be those of the outputs.
        """
        names, ordinal = self.classes, self.answer.activation == "ordinal"
        if not names:
            return replace(self, classes=_unnamed(count))._checked()
        if len(names) == count + 1 and ordinal:
            return replace(self, classes=tuple(f"at least {name}" for name in names[1:]))._checked()
        if len(names) == 2 and count == 1:
            return replace(self, classes=names[1:], negative=self.negative or names[0])._checked()
        if len(names) != count:
            raise ClassifierError(
                f"the network answers {count} outputs, its statement names {len(names)} classes "
                f"({', '.join(names[:5])}{', ...' if len(names) > 5 else ''})"
            )
        return self._checked()

    def _checked(self) -> Statement:
        answer = self.answer
        if answer.background is not None and answer.background >= len(self.classes):
            raise ClassifierError(f"background {answer.background} is no index of {self.classes}")
        for name in answer.thresholds:
            if name not in self.classes:
                there = ", ".join(self.classes)
                raise ClassifierError(f"a threshold is stated for {name!r}: there is {there}")
        if answer.activation == "softmax" and len(self.classes) == 1:
            raise ClassifierError("a softmax of one output is always 1: state the activation sigmoid")
        if answer.aggregate == "clearest" and answer.background is None:
            raise ClassifierError('the aggregate "clearest" needs a background class: state "background"')
        return self


def _unnamed(count: int) -> tuple[str, ...]:
    return tuple(f"output {n}" for n in range(count))
