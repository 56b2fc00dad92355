"""Digests are SHA-256, streamed."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pytest

from voxcam.errors import Cancelled, ClassifierError
from voxcam.model.weights import digest
from voxcam.model.weights.digests import digest_of, plain_digest


@pytest.mark.parametrize("size", [0, 1, (4 << 20) - 1, 4 << 20, (8 << 20) + 3])
def test_it_is_sha256(size: int, tmp_path: Path) -> None:
    content = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    (tmp_path / "file").write_bytes(content)
    assert digest(tmp_path / "file") == hashlib.sha256(content).hexdigest()
    assert digest(str(tmp_path / "file")) == hashlib.sha256(content).hexdigest()


def test_what_cannot_be_read_is_a_line(tmp_path: Path) -> None:
    with pytest.raises(ClassifierError, match=r"^gone cannot be read: no such file or directory$"):
        digest(tmp_path / "gone")
    with pytest.raises(ClassifierError, match="cannot be read"):
        digest(tmp_path)


def test_it_can_be_cancelled() -> None:
    with pytest.raises(Cancelled):
        digest_of(io.BytesIO(b"abc"), lambda: True)


def test_a_digest_is_understood_as_people_write_it() -> None:
    for text in ("a" * 64, "A" * 64, "sha256:" + "a" * 64, " SHA256:" + "A" * 64 + "\n"):
        assert plain_digest(text) == "a" * 64
    for text in ("", "a" * 63, "a" * 65, "sha512:" + "a" * 64, "g" * 64, "sha256:", "a" * 64 + "\na"):
        with pytest.raises(ClassifierError, match="is no digest"):
            plain_digest(text)
