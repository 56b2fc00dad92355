"""The verb: what a classifier, or several, say of a volume, and the evidence for it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from voxcam import cam
from voxcam.errors import ExplainError
from voxcam.explain.joining import joined
from voxcam.explain.moments import still
from voxcam.explain.names import check_names
from voxcam.explain.view import Asked, explained, views_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from voxcam.core.explanation import Explanation
    from voxcam.core.volume import Volume
    from voxcam.model.classifier import Classifier

    Progress = Callable[[int, int], None]


def explain(  # noqa: PLR0913 - the one verb; what is rarely asked is keyword-only
    volume: Volume,
    classifier: Classifier | Sequence[Classifier],
    methods: str | Sequence[str] = ("grad-cam",),
    classes: Sequence[str] | int | None = None,
    layers: Sequence[str] | None = None,
    progress: Progress | None = None,
    *,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    placement: str = "measured",
    seed: int = 0,
    announce: Callable[[str], object] | None = None,
    moment: int | str | None = None,
    augment: Sequence[str] = (),
) -> Explanation:
    """Return what `classifier` says of `volume`, and the evidence for it.

    Each window (or slice) runs through the trunk once; every class, method and layer comes from that
    one pass. Maps of overlapping windows are joined by a weighted mean (`voxcam.core.stitching`).

    Parameters
    ----------
    classifier
        One, or several of the same classes: an ensemble. Scores and maps are then their means, and the
        spread between them is told (`Explanation.spread`, `Heatmap.spread`).
    methods
        Names in ``voxcam.cam.METHODS``; () for scores alone.
    classes
        Class names; a whole number n for the n classes with the highest scores (the network then runs once
        more, for the scores alone); None for all.
    layers
        Names of modules of the network; None for each classifier's default layer.
    progress
        Called with (passes done, passes in all), of a window or landmark through the network; an exception
        it raises (`Cancelled`) ends the work.
    options
        By method, its own options: ``{"occlusion": {"size": 16}}``; see ``voxcam.cam.options_of``.
    placement
        Where a layer's units look: "measured" on this volume with landmarks (kept only where that is
        better than the usual rule, see ``voxcam.cam.measure_placement``), or "usual", the half-pixel rule.
    seed
        Of what a method draws.
    announce
        Told what the reader should know before the long work: in what the volume differs from what the
        model states, how often methods that ask again will run the network, and about how long.
    moment
        Of a study in time: which volume, from 0; or "all": every one is scored, and the one that speaks
        most clearly is explained.
    augment
        Mirror axes of the network's input, "i", "j", "k" or several at once, "ij": each is one more view,
        joined as an ensemble's.

    Raises
    ------
    ExplainError
        If a class, method or layer is unknown, or a map cannot be made there.
    ClassifierError
        If the volume does not fit the classifier.
    """
    members = tuple(classifier) if isinstance(classifier, list | tuple) else (classifier,)
    _require_alike(members)
    _require_whole(volume)
    methods = (methods,) if isinstance(methods, str) else tuple(methods)
    if methods:
        check_names(methods, tuple(cam.METHODS), "method")
    cam.known_options(methods, options or {})
    views = views_of(augment)
    chosen, moments = still(volume, members[0], moment, progress)
    asked = Asked(
        methods,
        _classes(chosen, members[0], classes),
        tuple(layers) if layers is not None else None,
        options or {},
        placement,
        seed,
        announce,
    )
    runs = [(member, axes) for member in members for axes in views]
    parts = []
    for number, (member, axes) in enumerate(runs):
        part = explained(chosen, member, axes, asked, _share(progress, number, len(runs)))
        parts.append(part)
    whole = joined(parts, [f"{member.name}, {_view_words(axes)}" for member, axes in runs])
    return replace(whole, provenance={**whole.provenance, **moments})


def _classes(volume: Volume, classifier: Classifier, classes: Sequence[str] | int | None) -> tuple[str, ...]:
    if isinstance(classes, int):
        ranked = classifier.predict(volume).scores
        return tuple(sorted(ranked, key=lambda name: -ranked[name])[: max(1, classes)])
    chosen = tuple(classes) if classes is not None else classifier.classes
    check_names(chosen, classifier.classes, "class")
    return chosen


def _require_alike(members: Sequence[Classifier]) -> None:
    if not members:
        raise ExplainError("no classifier was given")
    for member in members[1:]:
        if member.classes != members[0].classes:
            raise ExplainError(
                f"an ensemble answers the same classes in the same order: {members[0].name!r} has "
                f"{', '.join(members[0].classes)}, {member.name!r} has {', '.join(member.classes)}"
            )
        if member.answer.activation != members[0].answer.activation:
            raise ExplainError(
                f"an ensemble's outputs are read alike: {members[0].name!r} by "
                f"{members[0].answer.activation}, {member.name!r} by {member.answer.activation}"
            )


def _require_whole(volume: Volume) -> None:
    if volume.empty:
        raise ExplainError(
            f"{len(volume.empty)} of {volume.shape[2]} slices are empty, only marked as missing: "
            "read the series with gaps interpolated (--gaps interpolate) to explain it all the same"
        )


def _view_words(axes: str) -> str:
    return f"mirrored along {axes}" if axes else "as it is"


def _share(progress: Progress | None, number: int, count: int) -> Progress | None:
    """Return a progress for view `number` of `count`, as if all took as many passes as this one."""
    if progress is None or count == 1:
        return progress

    def report(done: int, total: int) -> None:
        progress(number * total + done, count * total)

    return report
