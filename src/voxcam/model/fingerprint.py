"""One digest over the parts of a model."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "fingerprint"


def fingerprinted(parts: Mapping[str, str]) -> dict[str, str]:
    """Return digests by part (weights, config, metadata, statement, ...) with "fingerprint" over them.

    A part without a digest ("") is left out.
    """
    digests = {part: digest for part, digest in parts.items() if digest and part != NAME}
    joined = "\n".join(f"{part} {digest}" for part, digest in digests.items())
    return digests | {NAME: hashlib.sha256(joined.encode()).hexdigest()}
