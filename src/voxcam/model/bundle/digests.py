"""SHA-256 of a bundle's parts, and the fingerprint over them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from voxcam.errors import ClassifierError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from voxcam.model.bundle.documents import Document


def digests_of(weights: Path, documents: Mapping[str, Document]) -> dict[str, str]:
    """Return the SHA-256 of the weights and of each document as it was read, and "fingerprint" over them."""
    try:
        with weights.open("rb") as stream:
            digests = {"weights": hashlib.file_digest(stream, "sha256").hexdigest()}
    except OSError as error:
        raise ClassifierError(f"{weights.name} cannot be read: {error.strerror}") from None
    digests |= {name: hashlib.sha256(document.data).hexdigest() for name, document in documents.items()}
    joined = "\n".join(f"{name} {digest}" for name, digest in digests.items())
    return digests | {"fingerprint": hashlib.sha256(joined.encode()).hexdigest()}
