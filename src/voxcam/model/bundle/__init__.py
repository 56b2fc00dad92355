"""MONAI bundles, read as data."""

from voxcam.model.bundle.needs import Need
from voxcam.model.bundle.reading import Bundle, read_bundle
from voxcam.model.bundle.section import Section
from voxcam.model.bundle.targets import target_of

__all__ = ["Bundle", "Need", "Section", "read_bundle", "target_of"]
