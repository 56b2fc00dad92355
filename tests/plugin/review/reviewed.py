"""Another study to open in a review, and the lines that a review says."""

from __future__ import annotations

import numpy as np

from voxcam.core.geometry import Geometry
from voxcam.core.volume import Volume


def another(shape=(9, 8, 7)):
    return Volume(np.zeros(shape, np.int16), Geometry(shape, np.eye(4)), "MR")


def heard(review):
    lines = []
    review.said.connect(lambda line, wrong: lines.append((line, wrong)))
    return lines
