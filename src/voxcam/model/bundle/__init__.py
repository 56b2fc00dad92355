"""MONAI bundles, read as data."""

from voxcam.model.bundle.reading import Bundle, read_bundle, target_of

__all__ = ["Bundle", "read_bundle", "target_of"]
