"""The errors a caller can act on; every one is a single line for a person.

VoxcamError
├── ReadError            a place, file or series cannot be understood
│   └── GridError        its slices do not form one regular grid
├── ClassifierError      a bundle cannot be loaded, or does not fit the volume
│   ├── UntrustedCodeError loading it would run code that came with the file
│   └── ChangedWeightsError its weights are not those seen before under its name
├── ExplainError         an unknown class, method or layer, or a map that cannot be made
└── ExportError          the place is taken, or cannot be written

A message says what was expected, what was found, where, and the way out. It never holds a patient's
name, id or birth date, nor a path.
"""

from __future__ import annotations


class VoxcamError(Exception):
    """An expected failure: shown as one line, exit code 1."""


class ReadError(VoxcamError):
    """A place, file or series cannot be understood."""


class GridError(ReadError):
    """The slices of a series do not form one regular grid."""


class ClassifierError(VoxcamError):
    """A classifier cannot be loaded, or does not fit the volume."""


class UntrustedCodeError(ClassifierError):
    """Loading the classifier would run code that came with its files."""


class ChangedWeightsError(ClassifierError):
    """The weights are not those seen before under the model's name.

    Parameters
    ----------
    found
        SHA-256 of those that were found: what a person would confirm.
    """

    def __init__(self, message: str, found: str) -> None:
        super().__init__(message)
        self.found = found


class ExplainError(VoxcamError):
    """A class, method or layer is unknown, or its map cannot be made."""


class UnplacedError(ExplainError):
    """No map can be placed on the study: its preprocessing cannot be followed. Scores are sound."""


class ExportError(VoxcamError):
    """A result cannot be written where it was asked."""


class Cancelled(Exception):  # noqa: N818 - not an error: the user asked for it
    """The user cancelled the work; nothing was written."""
