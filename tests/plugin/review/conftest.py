from __future__ import annotations

from pathlib import Path

import pytest

from voxcam.plugin.review.review import Review


@pytest.fixture
def review(scan):
    """A review with a scan on the screen and a classifier chosen."""
    review = Review()
    review.open(scan)
    review.choose(Path("bundle"))
    return review
