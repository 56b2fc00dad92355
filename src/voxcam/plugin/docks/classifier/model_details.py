"""About a model: what its files say of it, what they leave out, and what follows from that."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QDialog, QDialogButtonBox, QTextBrowser, QVBoxLayout, QWidget

from voxcam.core.answer import AGGREGATES
from voxcam.plugin.docks.parts import page_style, resize_to_letters, without_icons
from voxcam.plugin.docks.theme import colours, follow

if TYPE_CHECKING:
    from collections.abc import Iterable

    from voxcam.model.statement import Statement
    from voxcam.plugin.work.bundles import Description

CLASSES_SHOWN = 20
# What `Statement.missing` may name, and what follows for the reader.
FOLLOWS: dict[str, str] = {
    "class names": "classes are called output 0, output 1, and so on; what they mean is yours to find out",
    "activation": "scores are the network's raw outputs, no probabilities",
    "thresholds": "no class is called present or absent; there are scores alone",
    "modality": "a scan of another modality is not refused",
    "unit of the input": "a scan whose grey values are in another unit, not HU for example, is not refused",
    "range of the input": "grey values unlike those it learned from are not warned of",
    "spacing": "voxels much larger or smaller than those it learned from are not warned of",
    "intended use": "whom and what it was made for is yours to find out",
}
_ANSWERS: dict[str, str] = {
    "softmax": "probabilities that add up to 1: one class is true (softmax)",
    "sigmoid": "a probability of each class by itself (sigmoid)",
    "ordinal": "the probability of at least each grade (ordinal)",
    "regression": "a value (regression)",
    "not stated": "not stated: raw outputs",
}


class ModelDetails(QDialog):  # type: ignore[misc]
    """What a model's files say of it; its words can be searched, selected and copied."""

    def __init__(self, description: Description, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.description = description
        self.setWindowTitle("About this model")
        column = QVBoxLayout(self)
        self.text = QTextBrowser()
        self.text.setOpenLinks(False)  # what a model's files call a link leads nowhere
        self.text.setAccessibleName("About this model")
        column.addWidget(self.text)
        self.buttons = QDialogButtonBox(QDialogButtonBox.Close)
        self.buttons.rejected.connect(self.reject)
        without_icons(self.buttons)
        column.addWidget(self.buttons)
        resize_to_letters(self, 100, 40)
        follow(self, self._restyle)

    def _restyle(self) -> None:
        self.text.setStyleSheet(page_style())
        self.text.setHtml(details_as_html(self.description))


def details_as_html(description: Description) -> str:
    """Return what is known of a model as a page; nothing that came with the model is taken for markup."""
    look = colours()
    statement = description.statement
    title = escape(statement.name if statement is not None else description.place.name)
    page = [f"<h2>{title}</h2>"]
    if description.wrong:
        page.append(f'<p style="color:{look.error}">{escape(description.wrong)}</p>')
    page.append(f'<p style="color:{look.warning}">{code_words(description.runs_code)}</p>')
    page.append(_table(facts(description), look.quiet))
    missing = left_out(description)
    if missing:
        page.append(f'<h3 style="color:{look.warning}">Not stated, and what follows</h3>')
        page.append(_table(missing, look.quiet))
    page.append("<h3>Where it comes from</h3>")
    page.append(_table(origin(description), look.quiet))
    page.append(f'<p style="color:{look.quiet}">{_LAST}</p>')
    return "".join(page)


_AXES = ("first axis", "second axis", "third axis")
_LAST = "All of this is what the model's files say of it. None of it was checked."


def code_words(places: int) -> str:
    """Return what code of a model's own means for its reader; "" if there is none."""
    if not places:
        return ""
    return (
        f"In {places} place{'s' * (places != 1)} only running code that came with it could tell what it is. "
        "Nothing of it has run; before a run you are asked."
    )


def facts(description: Description) -> list[tuple[str, str]]:
    """Return what a model's files say, a title and a text each; what they do not say is left out."""
    rows = [("Is", description.kind)]
    if description.statement is not None:
        rows += _of_statement(description.statement)
    return [(title, text) for title, text in rows if text]


def origin(description: Description) -> list[tuple[str, str]]:
    """Return who made it, of what, and where it lies; and its digests, once a run has told them."""
    digests = [(f"SHA-256, {name}", digest) for name, digest in description.digests.items()]
    return [*description.card.items(), *digests, ("Lies in", str(description.place))]


def left_out(description: Description) -> list[tuple[str, str]]:
    """Return what a reader would want to know and the files do not say, each with what follows."""
    missing = () if description.statement is None else description.statement.missing
    return [(what, FOLLOWS[what]) for what in missing]


def _of_statement(statement: Statement) -> list[tuple[str, str]]:
    answer = statement.answer
    return [
        ("Version", statement.version),
        ("Description", statement.description),
        ("Intended use", statement.intended_use),
        ("Classes", _classes(statement)),
        ("If none", statement.negative),
        ("Answers", _ANSWERS[answer.activation] + (f", in {answer.unit}" if answer.unit else "")),
        ("Over the scan", AGGREGATES[answer.rule]),
        ("Called from", ", ".join(f"{name} {least:g}" for name, least in answer.thresholds.items())),
        ("Temperature", "" if answer.temperature == 1 else f"{answer.temperature:g}"),
        ("Modality", statement.modality),
        ("Grey values", _values(statement)),
        ("Voxels", _spacing(statement)),
        ("Reads", _input(statement)),
    ]


def _classes(statement: Statement) -> str:
    names = statement.classes
    more = len(names) - CLASSES_SHOWN
    return ", ".join(names[:CLASSES_SHOWN]) + (f", and {more} more" if more > 0 else "")


def _values(statement: Statement) -> str:
    if statement.value_range is None:
        return f"in {statement.unit}" if statement.unit else ""
    low, high = statement.value_range
    return f"{low:g} to {high:g} {statement.unit}".strip()


def _spacing(statement: Statement) -> str:
    axes = [f"{low:g}" if low == high else f"{low:g} to {high:g}" for low, high in statement.spacing_mm or ()]
    return f"{' x '.join(axes)} mm" if axes else ""


def _input(statement: Statement) -> str:
    shape = " x ".join(str(size) for size in statement.input_shape or ())
    along = (
        "" if statement.slices_along is None else f"slice by slice along its {_AXES[statement.slices_along]}"
    )
    parts = [
        f"the sequences {', '.join(statement.sequences)}" if statement.sequences else "",
        f"windows of {shape} voxels" if shape else "",
        along,
        f"{statement.neighbours} slices at once" if statement.neighbours > 1 else "",
    ]
    return ", ".join(filter(None, parts))


def _table(rows: Iterable[tuple[str, str]], quiet: str) -> str:
    lines = [
        f'<tr><td style="color:{quiet}; padding-right:1em; white-space:nowrap">{escape(title)}</td>'
        f"<td>{escape(text)}</td></tr>"
        for title, text in rows
    ]
    return f"<table cellspacing='0' cellpadding='3'>{''.join(lines)}</table>"
