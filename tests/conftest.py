from __future__ import annotations

import os

import pytest
from hypothesis import settings

# No deadline: a busy machine is no fault of the code. More examples: pytest --hypothesis-profile=thorough
settings.register_profile("quick", max_examples=40, deadline=None)
settings.register_profile("thorough", max_examples=1000, deadline=None)
settings.load_profile("quick")


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory):
    """What scans remember stays out of the user's own cache."""
    os.environ["VOXCAM_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    del os.environ["VOXCAM_CACHE"]


@pytest.fixture(autouse=True, scope="session")
def no_register():
    """Weights of small bundles of one name differ from test to test: none are remembered."""
    os.environ["VOXCAM_MODELS"] = "off"
    yield
    del os.environ["VOXCAM_MODELS"]
