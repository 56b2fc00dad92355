"""The messages between the viewer and a decoding child: a JSON head and raw bytes, each length stated."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from io import RawIOBase

    from numpy.typing import NDArray

_LENGTHS = struct.Struct("!IQ")
_MOST_HEAD = 1 << 16


def raw(pixels: NDArray[Any]) -> memoryview:
    """Return the bytes of a C-contiguous array, to be read or filled in place."""
    return pixels.reshape(-1).view("u1").data


def send(pipe: RawIOBase, head: dict[str, Any], body: bytes | memoryview = b"") -> None:
    """Write one message; blocks until it is taken.

    Raises
    ------
    OSError
        The other side is gone.
    """
    text = json.dumps(head).encode()
    for part in (_LENGTHS.pack(len(text), len(body)) + text, body):
        left = memoryview(part)
        while left:
            left = left[pipe.write(left) :]


def receive_head(pipe: RawIOBase) -> tuple[dict[str, Any], int]:
    """Return the head of the next message, and how many bytes of body follow it.

    Raises
    ------
    EOFError
        The other side is gone.
    ValueError
        It sent nonsense.
    """
    lengths = bytearray(_LENGTHS.size)
    receive_into(pipe, lengths)
    head_bytes, body_bytes = _LENGTHS.unpack(lengths)
    if head_bytes > _MOST_HEAD:
        raise ValueError("a head too long")
    text = bytearray(head_bytes)
    receive_into(pipe, text)
    head = json.loads(text)
    if not isinstance(head, dict):
        raise ValueError("a head of another type")
    return head, body_bytes


def receive_into(pipe: RawIOBase, room: bytearray | memoryview) -> None:
    """Fill `room` with the next bytes.

    Raises
    ------
    EOFError
        They ended before.
    """
    left = memoryview(room)
    while left:
        count = pipe.readinto(left)
        if not count:
            raise EOFError
        left = left[count:]
