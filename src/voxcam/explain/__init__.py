"""Volume, classifier, methods and layers to an `Explanation`: where core, cam and model meet.

The package can be called: ``voxcam.explain(volume, classifier)``, whether or not it was imported before.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from voxcam.explain.names import check_names
from voxcam.explain.verb import explain

__all__ = ["check_names", "explain"]


class _Verb(ModuleType):
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return explain(*args, **kwargs)


sys.modules[__name__].__class__ = _Verb
