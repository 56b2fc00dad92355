"""The key sheet: every key of the room, by group, to look at and to print."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QDialog, QDialogButtonBox, QTextBrowser, QVBoxLayout, QWidget

from voxcam.plugin.docks.parts import page_style, resize_to_letters, without_icons
from voxcam.plugin.docks.theme import colours, follow
from voxcam.plugin.keys import grouped

if TYPE_CHECKING:
    from voxcam.plugin.keys import Key

_PAPER = ("#000000", "#444444", "#999999")  # words, steps back, lines
_DRAWING = "While a layer that is drawn on is selected (labels, shapes, points), its own keys go first."


class KeySheet(QDialog):  # type: ignore[misc]
    """Every key of the room; stays open beside the picture, so that a key can be tried."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Keys of the reading room")
        column = QVBoxLayout(self)
        self.text = QTextBrowser()
        self.text.setAccessibleName("Keys of the reading room")
        column.addWidget(self.text)
        self.buttons = QDialogButtonBox(QDialogButtonBox.Close)
        self.printing = self.buttons.addButton("Print…", QDialogButtonBox.ActionRole)
        self.printing.setVisible(can_print())
        self.printing.clicked.connect(lambda _=False: self.ask_printer())
        self.buttons.rejected.connect(self.reject)
        without_icons(self.buttons)
        column.addWidget(self.buttons)
        resize_to_letters(self, 90, 54)
        follow(self, self._restyle)

    def ask_printer(self) -> None:
        """Ask for a printer, and print."""
        from qtpy.QtPrintSupport import QPrintDialog, QPrinter

        printer = QPrinter()
        if QPrintDialog(printer, self).exec() == QDialog.Accepted:
            self.print_on(printer)

    def print_on(self, printer: object) -> None:
        """Print the sheet, black on white whatever the theme."""
        from qtpy.QtGui import QTextDocument

        page = QTextDocument()
        page.setHtml(keys_as_html(*_PAPER))
        draw = getattr(page, "print_", None) or page.print
        draw(printer)

    def _restyle(self) -> None:
        look = colours()
        self.text.setStyleSheet(page_style())
        self.text.setHtml(keys_as_html(look.text, look.quiet, look.line))


def can_print() -> bool:
    """Whether this Qt knows of printers; a small installation does not."""
    try:
        import qtpy.QtPrintSupport  # noqa: F401
    except ImportError:
        return False
    return True


def keys_as_html(text: str, quiet: str, line: str) -> str:
    """Return the key sheet as a page, in these colours."""
    page = [f'<div style="color:{text}">']
    for group, keys in grouped().items():
        page.append(f"<h3>{escape(group)}</h3><table cellspacing='0' cellpadding='3' width='100%'>")
        page += [_row(key, quiet, line) for key in keys]
        page.append("</table>")
    page.append(f'<p style="color:{quiet}">{escape(_DRAWING)}</p></div>')
    return "".join(page)


def _row(key: Key, quiet: str, line: str) -> str:
    whose = "" if key.by != "napari" else f' <span style="color:{quiet}">(napari)</span>'
    edge = f"border-bottom:1px solid {line}"
    return (
        f"<tr><td width='30%' style='{edge}'><b>{escape(key.shown)}</b></td>"
        f"<td style='{edge}'>{escape(key.words)}{whose}</td></tr>"
    )
