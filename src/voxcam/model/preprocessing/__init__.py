"""From a volume to the network's input, the affine followed all the way."""

from voxcam.model.preprocessing.steps import Prepared, Preprocessing, build_preprocessing

__all__ = ["Prepared", "Preprocessing", "build_preprocessing"]
