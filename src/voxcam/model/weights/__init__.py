"""Weights, read as numbers alone."""

from voxcam.model.weights.loading import load_weights

__all__ = ["load_weights"]
