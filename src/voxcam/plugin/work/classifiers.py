"""The classifiers loaded last, and explaining with one."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from voxcam.errors import UnplacedError, UntrustedCodeError, VoxcamError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from voxcam.core.explanation import Explanation
    from voxcam.core.volume import Volume
    from voxcam.model.classifier import Classifier
    from voxcam.model.trusted import Code
    from voxcam.model.warm import Warm

    Progress = Callable[[int, int], None]


class Classifiers:
    """The classifiers loaded last, kept warm, and what can be asked of the one in use."""

    def __init__(self) -> None:
        self.layers: tuple[str, ...] = ()
        self.methods: tuple[str, ...] = ()
        self._warm: Warm | None = None
        self._used: Classifier | None = None

    def load(self, bundle: Path, device: str, cancelled: Callable[[], bool], **allowed: Any) -> Classifier:
        """Return the classifier in `bundle` on `device`; `allowed` is what its reader allowed."""
        from voxcam.model.warm import Warm

        self._warm = self._warm or Warm()
        classifier = self._warm.load(bundle, device, cancelled, **allowed)
        if classifier is not self._used:
            self._used, self.methods, self.layers = classifier, _methods_of(classifier), ()
            with suppress(VoxcamError):  # the list is a convenience: without it the default layer is left
                self.layers = tuple(layer.name for layer in classifier.layers())
            self.layers = self.layers or tuple(filter(None, [classifier.default_layer]))
        return classifier


def _methods_of(classifier: Classifier) -> tuple[str, ...]:
    """Return what can be asked of it; methods that join several layers are for the command line."""
    from voxcam.cam import FUSION, METHODS, looks_inside

    return tuple(
        method
        for method in METHODS
        if method not in FUSION and not (classifier.is_opaque and looks_inside(method))
    )


def code_that_would_run(bundle: Path, error: UntrustedCodeError) -> Code:
    """Return the code that loading a model would run; raise `error` if it is something else."""
    from voxcam.model.trusted import code_of

    code = code_of(bundle)
    if code is None or not code.would_run:
        raise error
    return code


def explain_study(
    volume: Volume,
    classifier: Classifier,
    methods: tuple[str, ...],
    layers: tuple[str, ...] | None,
    progress: Progress,
    announce: Callable[[str], object] | None = None,
    **asked: Any,
) -> Explanation:
    """Return the explanation of all classes, at the default layer and those given."""
    from voxcam.cam import looks_inside
    from voxcam.explain import explain

    if classifier.is_opaque:
        methods = tuple(method for method in methods if not looks_inside(method)) or ("occlusion",)
        layers = None
    at = tuple(dict.fromkeys((classifier.default_layer, *layers))) if layers else None
    try:
        return explain(volume, classifier, methods, None, at, progress, announce=announce, **asked)
    except UnplacedError as unplaced:
        scores = explain(volume, classifier, (), None, None, progress, announce=announce, **asked)
        why = str(unplaced).partition("; scores alone")[0]
        told = [*scores.provenance.get("warnings", ()), why]
        return replace(scores, provenance={**scores.provenance, "warnings": told})
