"""What a file is, by its first bytes and never by its name: kinds that hold weights, and those refused."""

from __future__ import annotations

import os
import pickletools
import re
from itertools import islice
from typing import TYPE_CHECKING, Literal

from voxcam.model.weights.refusals import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

Kind = Literal["safetensors", "zip", "legacy"]

HEAD_BYTES = 4096
AS_SAFETENSORS = "save the network's state dict as model.safetensors"

_TAIL_BYTES = 1
# torch.save before 1.6 begins with this number as a pickle of its own: in binary, or as protocols 0 and 1 do.
_MAGIC = re.compile(
    rb"(\x80[\x02-\x05](\x95.{8})?\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\.)", re.DOTALL
)
_MAGIC_AS_TEXT = b"L119547037146038801333356L\n."
_COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"7z\xbc\xaf\x27\x1c": "7-Zip",
    b"Rar!": "RAR",
    b"\x78\x01": "zlib (joblib's, perhaps)",
    b"\x78\x5e": "zlib (joblib's, perhaps)",
    b"\x78\x9c": "zlib (joblib's, perhaps)",
    b"\x78\xda": "zlib (joblib's, perhaps)",
}


def kind_of(file: BinaryIO, size: int) -> Kind:
    """Return what kind of weights an open file holds.

    Parameters
    ----------
    file
        Open for reading, in binary; left at its beginning.
    size
        In bytes.

    Raises
    ------
    Refusal
        If it is a kind that is not read, with the way out.
    """
    file.seek(0)
    head = file.read(HEAD_BYTES)
    file.seek(max(0, size - _TAIL_BYTES))
    tail = file.read(_TAIL_BYTES)
    file.seek(0)
    if not head:
        raise Refusal("is empty: fetch or save it again")
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    if _MAGIC.match(head) or head.startswith(_MAGIC_AS_TEXT):
        return "legacy"
    for seen, refusal in _REFUSED:
        if seen(head, tail):
            raise refusal
    if _is_safetensors(head):
        return "safetensors"
    _refuse_compressed(head)
    raise Refusal(
        "is no kind of weights VoxCAM knows (expected safetensors, or what torch.save writes): "
        + AS_SAFETENSORS
    )


def _is_safetensors(head: bytes) -> bool:
    """Tell the brace behind a header's length; whether the length is true is for its reader."""
    return head[8:9] == b"{"


def _refuse_compressed(head: bytes) -> None:
    for magic, name in _COMPRESSED.items():
        if head.startswith(magic):
            raise Refusal(f"is compressed by {name}: unpack it first")


def _starts(*beginnings: bytes) -> Callable[[bytes, bytes], bool]:
    return lambda head, tail: head.startswith(beginnings)


def _is_page(head: bytes, tail: bytes) -> bool:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return text.startswith((b"<!doctype", b"<html", b"<head", b"<body", b"<?xml", b"<!--"))


def _is_pickle(head: bytes, tail: bytes) -> bool:
    if tail != b".":
        return False
    if head[0] == 0x80:
        return head[1:2] != b"" and head[1] <= 5
    return _begins_as_pickle(head)  # protocols 0 and 1 have no mark of their own


def _begins_as_pickle(head: bytes) -> bool:
    operations = 0
    try:
        for operation, _, _ in islice(pickletools.genops(head), 4):
            operations += 1
            if operation.name == "STOP":
                return operations > 1
    except ValueError:
        return False
    return operations == 4


def _is_joblib(head: bytes, tail: bytes) -> bool:
    return head[0] == 0x80 and b"joblib" in head


def _is_tar(head: bytes, tail: bytes) -> bool:
    return head[257:262] == b"ustar" or head.startswith((b"storages\x00", b"tensors\x00", b"pickle\x00"))


def _is_onnx(head: bytes, tail: bytes) -> bool:
    """Tell a protobuf that begins with field 1 (the IR version, small) and goes on as ONNX's ModelProto."""
    return head[:1] == b"\x08" and len(head) > 2 and 0 < head[1] < 64 and head[2:3] in b"\x12\x1a\x22\x3a\x42"


_REFUSED: tuple[tuple[Callable[[bytes, bytes], bool], Refusal], ...] = (
    (
        _starts(b"version https://git-lfs"),
        Refusal("is a git-lfs pointer, not the weights: fetch them with `git lfs pull`"),
    ),
    (
        _is_page,
        Refusal("is a web page, not weights: the download went wrong; fetch it again, signed in if need be"),
    ),
    (
        _starts(b"\x89HDF\r\n\x1a\n"),
        Refusal(f"is HDF5 (a Keras model, perhaps): VoxCAM reads PyTorch's weights; {AS_SAFETENSORS}"),
    ),
    (
        _starts(b"\x93NUMPY"),
        Refusal(f"is one NumPy array (.npy), not a network's named weights: {AS_SAFETENSORS}"),
    ),
    (
        _is_tar,
        Refusal(
            "is a tar archive, as torch.save wrote them before 2017: reading it would run code; load it with "
            f"the torch that made it and {AS_SAFETENSORS}",
            runs_code=True,
        ),
    ),
    (
        _is_joblib,
        Refusal(f"is a joblib pickle: reading it would run code; {AS_SAFETENSORS}", runs_code=True),
    ),
    (
        _is_pickle,
        Refusal(
            f"is a plain pickle, not what torch.save writes: reading it would run code; {AS_SAFETENSORS}",
            runs_code=True,
        ),
    ),
    (_is_onnx, Refusal(f"is ONNX: VoxCAM needs a PyTorch network and its weights; {AS_SAFETENSORS}")),
)


def size_of(file: BinaryIO) -> int:
    """Return the size of an open file in bytes."""
    return os.fstat(file.fileno()).st_size
