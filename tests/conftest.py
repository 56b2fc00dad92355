from __future__ import annotations

from hypothesis import settings

# No deadline: a busy machine is no fault of the code. More examples: pytest --hypothesis-profile=thorough
settings.register_profile("quick", max_examples=40, deadline=None)
settings.register_profile("thorough", max_examples=1000, deadline=None)
settings.load_profile("quick")
