"""What torch.save writes, as a zip or as it was before 2020: from the open file to a `Table`, run by nobody.

`torch.load` is not used, not even with ``weights_only=True``: twice that ran code or corrupted memory
(CVE-2025-32434, CVE-2026-24747), and it refuses the harmless extras of nnU-Net and Lightning. A state dict
is a description of where numbers lie; here it is read as one.
"""

from __future__ import annotations

import io
import zlib
from typing import TYPE_CHECKING, Any

from voxcam.model.weights.allowed import refuse_code
from voxcam.model.weights.archive import Record, read_archive
from voxcam.model.weights.described import Storage, entry_of, is_tensor, storage_of
from voxcam.model.weights.finding import find_state
from voxcam.model.weights.inert import Inert, Made, Named, Stored, read_inert
from voxcam.model.weights.kinds import kind_of, size_of
from voxcam.model.weights.refusals import Refusal, damaged, shown
from voxcam.model.weights.tables import ITEM_BYTES, Table, check_table

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from voxcam.model.weights.finding import Found

# The pickles alone, without the numbers: a state dict of 10,000 weights has about 2 MB.
MOST_PICKLED_BYTES = 64 << 20

_COUNT_BYTES = 8


def read_pickled(file: BinaryIO) -> Table:
    """Return where the weights of a checkpoint lie.

    Parameters
    ----------
    file
        Open for reading, in binary; what torch.save wrote.

    Raises
    ------
    Refusal
        If it holds code, is damaged, or holds no state dict.
    """
    readers = {"zip": _read_zip, "legacy": _read_legacy}
    kind = kind_of(file, size_of(file))
    if kind not in readers:
        raise Refusal("changed while it was read")
    table = readers[kind](file)
    check_table(table, size_of(file))
    return table


def _read_zip(file: BinaryIO) -> Table:
    records = read_archive(file)
    _check_byte_order(file, records.get("byteorder"))
    pickled = records["data.pkl"]
    if pickled.size > MOST_PICKLED_BYTES:
        raise _too_long(pickled.size)
    content = _checked_inert(io.BytesIO(_bytes(file, pickled)))
    return _table(content.root, lambda storage: _record_of(storage, records))


def _record_of(storage: Storage, records: dict[str, Record]) -> Record:
    record = records.get(f"data/{storage.key}")
    if record is None:
        raise damaged(f"its zip has no data/{shown(storage.key, 40)}")
    _check_storage(storage, record.size)
    return record


def _check_byte_order(file: BinaryIO, record: Record | None) -> None:
    if record is not None and (record.size != len(b"little") or _bytes(file, record) != b"little"):
        raise Refusal("was saved on a big-endian machine: save the state dict as model.safetensors there")


def _read_legacy(file: BinaryIO) -> Table:
    """Read five pickles (a mark, a version, the machine, the content, the storages' keys) and then blocks."""
    file.seek(0)
    front = io.BytesIO(file.read(MOST_PICKLED_BYTES))
    for _ in range(3):
        _checked_inert(front)
    content = _checked_inert(front)
    keys = _checked_inert(front).root
    if not isinstance(keys, list):
        raise damaged("it does not say which storages follow")
    blocks = _legacy_blocks(file, front.tell(), keys, _storages(content.root))
    return _table(content.root, lambda storage: _block_of(storage, blocks))


def _legacy_blocks(
    file: BinaryIO, at: int, keys: list[Any], storages: dict[str, Storage]
) -> dict[str, Record]:
    """Return where each block lies: behind its count of numbers, one behind another."""
    blocks: dict[str, Record] = {}
    for key in keys:
        if not isinstance(key, str) or key not in storages or key in blocks:
            raise damaged("the list of its storages does not fit its content")
        file.seek(at)
        count = int.from_bytes(file.read(_COUNT_BYTES), "little")
        storage = storages[key]
        if count != storage.count:
            raise damaged(f"storage {shown(key, 40)} holds {count:,} numbers, expected {storage.count:,}")
        size = count * _item_bytes(storage)
        blocks[key] = Record(at + _COUNT_BYTES, size, None)
        at += _COUNT_BYTES + size
    return blocks


def _block_of(storage: Storage, blocks: dict[str, Record]) -> Record:
    block = blocks.get(storage.key)
    if block is None:
        raise damaged(f"there is no storage {shown(storage.key, 40)}")
    _check_storage(storage, block.size)
    return block


def _storages(root: Any) -> dict[str, Storage]:
    """Return every storage that a content asks for, wherever in it."""
    found: dict[str, Storage] = {}
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, Stored):
            storage = _storage(value)
            found[storage.key] = storage
        waiting += _parts(value)
    return found


def _storage(stored: Stored) -> Storage:
    try:
        return storage_of(stored)
    except (ValueError, TypeError):
        raise damaged("a storage in it is not described as one") from None


def _parts(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, list | tuple):
        return list(value)
    return [value.arguments, value.state] if isinstance(value, Made) else []


def _table(root: Any, place: Callable[[Storage], Record]) -> Table:
    found: Found[Made] = find_state(_plain_root(root), is_tensor)
    entries = tuple(entry_of(name, tensor, place) for name, tensor in found.state.items())
    return Table(entries, found.notes)


def _plain_root(root: Any) -> Any:
    if is_tensor(root):
        raise Refusal("holds one tensor without a name: save network.state_dict() as model.safetensors")
    if isinstance(root, Made) and isinstance(root.by, Named):
        raise Refusal(f"holds no state dict but one {shown(root.by)}")
    return root


def _check_storage(storage: Storage, size: int) -> None:
    if storage.count < 0 or storage.count * _item_bytes(storage) > size:
        raise Refusal(
            f"claims {storage.count:,} numbers where {size:,} bytes are stored: it is damaged, or a bomb; "
            "fetch or save it again"
        )


def _item_bytes(storage: Storage) -> int:
    # Types that are not read still have their place in the file; no type has less than a byte a number.
    wide = {"ComplexDoubleStorage": 16, "ComplexFloatStorage": 8, "QInt32Storage": 4}
    return ITEM_BYTES.get(storage.dtype, wide.get(storage.dtype, 1))


def _checked_inert(pickled: io.BytesIO) -> Inert:
    content = read_inert(pickled)
    refuse_code(content.names, content.root)
    if content.broken:
        if pickled.getbuffer().nbytes >= MOST_PICKLED_BYTES:
            raise _too_long(MOST_PICKLED_BYTES)
        raise damaged("its pickle breaks off or contradicts itself")
    return content


def _too_long(size: int) -> Refusal:
    return Refusal(
        f"holds a pickle of {size:,} bytes or more, expected under {MOST_PICKLED_BYTES:,}: save the state "
        "dict alone, as model.safetensors"
    )


def _bytes(file: BinaryIO, record: Record) -> bytes:
    file.seek(record.start)
    content = file.read(record.size)
    if len(content) != record.size or (record.crc is not None and zlib.crc32(content) != record.crc):
        raise damaged("the checksum of its pickle does not fit")
    return content
