"""A resolved dict that knows where it is written."""

from __future__ import annotations

from typing import Any


class Section(dict[str, Any]):
    """A resolved dict that knows where it is written.

    Parameters
    ----------
    content
        Its entries.
    where
        "inference.json line 12 (network_def)".
    at
        The same apart: file, line, place.
    """

    def __init__(
        self, content: dict[str, Any] | None = None, where: str = "", at: tuple[str, int, str] = ("", 0, "")
    ) -> None:
        super().__init__(content or {})
        self.where = where
        self.at = at
