"""The list of models to choose from, and the menu of what else can be done with one."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QMenu, QPushButton, QSizePolicy, QWidget

from voxcam.plugin.work.bundles import RECENT, Offer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

BROWSE_BUNDLE, BROWSE_FILE = "Browse for a MONAI bundle…", "Browse for a file: zip, weights, TorchScript…"
_GONE = "not there"
_ASKS = Qt.UserRole + 1  # of the entries that open a dialog: which


class ModelBox(QWidget):  # type: ignore[misc]
    """The list of models, those chosen before first, and a menu beside it."""

    bundle_asked = Signal(object)  # a path, or None to browse
    file_asked = Signal()
    forget_asked = Signal(object)  # a path
    about_asked = Signal()
    options_asked = Signal()

    def __init__(self, offers: Sequence[Offer]) -> None:
        super().__init__()
        self.offers = tuple(offers)
        self.chosen: Path | None = None
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        self.bundles = QComboBox()
        self.bundles.setPlaceholderText("choose a classifier")
        self.bundles.setAccessibleName("Classifier")
        self.bundles.setSizePolicy(QSizePolicy.Ignored, QSizePolicy.Fixed)
        self.bundles.activated.connect(self._on_chosen)
        row.addWidget(self.bundles, 1)
        self.more = QPushButton("More")
        self.more.setToolTip("About this model, options of the run, other models")
        self.more.setAccessibleName("More about the classifier")
        self.more.setMenu(self._menu())
        row.addWidget(self.more)
        self._fill()

    def show_offers(self, offers: Sequence[Offer]) -> None:
        """Show the models to choose from."""
        self.offers = tuple(offers)
        self._fill()

    def show_chosen(self, model: Path | None) -> None:
        """Show which of them is chosen; one that is not on the list is put there."""
        self.chosen = model
        self._fill()

    def _fill(self) -> None:
        offers = self.offers
        if self.chosen is not None and all(offer.place != self.chosen for offer in offers):
            offers = (Offer(self.chosen.name, self.chosen, RECENT), *offers)
        self.bundles.clear()
        titles, group = _titles(offers), ""
        for offer in sorted(offers, key=lambda offer: offer.group != RECENT):
            if offer.group != group:
                group = offer.group
                self._add_heading(group)
            self._add(offer, titles[offer])
        self.bundles.insertSeparator(self.bundles.count())
        for words, asks in ((BROWSE_BUNDLE, "bundle"), (BROWSE_FILE, "file")):
            self.bundles.addItem(words)
            self.bundles.setItemData(self.bundles.count() - 1, asks, _ASKS)
        # Compared here: Qt compares paths by identity.
        places = [self.bundles.itemData(n) for n in range(self.bundles.count())]
        self.bundles.setCurrentIndex(-1 if self.chosen is None else places.index(self.chosen))
        self._fill_forgettable()

    def _add_heading(self, group: str) -> None:
        self.bundles.addItem(group)
        font = self.bundles.font()
        font.setItalic(True)
        self.bundles.setItemData(self.bundles.count() - 1, font, Qt.FontRole)
        self._disable(self.bundles.count() - 1)

    def _add(self, offer: Offer, title: str) -> None:
        self.bundles.addItem(title if offer.there else f"{title}  ({_GONE})", offer.place)
        at = self.bundles.count() - 1
        self.bundles.setItemData(at, str(offer.place), Qt.ToolTipRole)
        if not offer.there:
            self._disable(at)

    def _disable(self, at: int) -> None:
        model: Any = self.bundles.model()
        model.item(at).setEnabled(False)

    def _menu(self) -> QMenu:
        menu = QMenu(self)
        self.about = menu.addAction("&About this model…")
        self.about.setEnabled(False)
        self.about.triggered.connect(lambda _=False: self.about_asked.emit())
        self.ask_options = menu.addAction("&Options of the run…")
        self.ask_options.triggered.connect(lambda _=False: self.options_asked.emit())
        menu.addSeparator()
        menu.addAction(BROWSE_BUNDLE).triggered.connect(lambda _=False: self.bundle_asked.emit(None))
        menu.addAction(BROWSE_FILE).triggered.connect(lambda _=False: self.file_asked.emit())
        self.forgettable = menu.addMenu("&Forget")
        return menu

    def _fill_forgettable(self) -> None:
        self.forgettable.clear()
        before = [offer for offer in self.offers if offer.group == RECENT]
        titles = _titles(self.offers)
        for offer in before:
            action = self.forgettable.addAction(titles[offer].replace("&", "&&"))
            action.setToolTip(str(offer.place))
            action.triggered.connect(lambda _=False, place=offer.place: self.forget_asked.emit(place))
        self.forgettable.setEnabled(bool(before))

    def _on_chosen(self, number: int) -> None:
        asks = self.bundles.itemData(number, _ASKS)
        if asks == "file":
            self.file_asked.emit()
        elif asks == "bundle":
            self.bundle_asked.emit(None)
        else:
            self.bundle_asked.emit(self.bundles.itemData(number))


def _titles(offers: Sequence[Offer]) -> dict[Offer, str]:
    """Return a title for each; those of one name get the folder they lie in."""
    count = Counter(offer.title for offer in offers)
    return {
        offer: offer.title if count[offer.title] == 1 else f"{offer.title} in {offer.place.parent.name}"
        for offer in offers
    }
