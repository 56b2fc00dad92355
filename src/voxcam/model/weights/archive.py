"""The zip that torch.save writes: where its records lie in the file, and which other zips are refused."""

from __future__ import annotations

import struct
import zipfile
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from voxcam.model.weights.kinds import AS_SAFETENSORS, size_of
from voxcam.model.weights.refusals import Refusal, damaged, shown

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import BinaryIO

MOST_RECORDS = 200_000

_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_ENCRYPTED = 0x1


@dataclass(frozen=True)
class Record:
    """One stored file of the zip: `size` bytes from `start`, and their CRC-32, None if torch left it out."""

    start: int
    size: int
    crc: int | None


def read_archive(file: BinaryIO) -> dict[str, Record]:
    """Return the records of a checkpoint's zip by their names below its one folder: ``data.pkl``, ``data/0``.

    Raises
    ------
    Refusal
        If the zip is damaged, or is another kind than torch.save's.
    """
    members = _members(file)
    _refuse_kinds([member.filename for member in members])
    root = _root(members)
    size = size_of(file)
    records: dict[str, Record] = {}
    for member in members:
        name = member.filename.removeprefix(root)
        if name in records:
            raise damaged(f"the zip holds {shown(member.filename)!r} twice")
        if not name.endswith("/"):
            records[name] = _record(file, member, size)
    if sum(record.size for record in records.values()) > size:
        raise Refusal("claims more bytes than it has: its records overlap")
    return records


def _members(file: BinaryIO) -> list[zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
    except (
        zipfile.BadZipFile,
        ValueError,
        OSError,
        struct.error,
        NotImplementedError,
        OverflowError,
    ) as error:
        raise damaged(f"its zip cannot be read ({shown(error)})") from None
    if len(members) > MOST_RECORDS:
        raise Refusal(f"holds {len(members):,} records; no checkpoint has over {MOST_RECORDS:,}")
    return members


def _refuse_kinds(names: list[str]) -> None:
    below = ["/".join(PurePosixPath(name).parts[1:]) for name in names]
    for seen, refusal in _REFUSED:
        if seen(names, below):
            raise refusal


def _is_torchscript(names: list[str], below: list[str]) -> bool:
    # A record of either name is enough for torch to hand the file to torch.jit.load.
    return any(
        name in ("constants.pkl", "bytecode.pkl") or name.startswith("code/") for name in (*names, *below)
    )


def _is_exported(names: list[str], below: list[str]) -> bool:
    marks = ("archive_format", "archive_version", "models/model.json", "serialized_exported_program.json")
    return any(name in marks for name in (*names, *below))


def _is_package(names: list[str], below: list[str]) -> bool:
    return ".data/extern_modules" in (*names, *below) or ".data/python_version" in (*names, *below)


def _is_keras(names: list[str], below: list[str]) -> bool:
    return "model.weights.h5" in names or {"config.json", "metadata.json"} <= set(names)


def _is_npz(names: list[str], below: list[str]) -> bool:
    return bool(names) and all(name.endswith(".npy") for name in names)


def _is_bundle(names: list[str], below: list[str]) -> bool:
    return "configs/metadata.json" in (*names, *below)


_REFUSED = (
    (
        _is_torchscript,
        Refusal(
            "is TorchScript: TorchScript is code: trust it by digest (--trust-code sha256:...), or save the "
            "state dict as model.safetensors",
            runs_code=True,
        ),
    ),
    (
        _is_exported,
        Refusal(
            f"is a torch.export program (.pt2): reading it may run code; {AS_SAFETENSORS}", runs_code=True
        ),
    ),
    (
        _is_package,
        Refusal(f"is a torch.package, which is code: {AS_SAFETENSORS}", runs_code=True),
    ),
    (_is_keras, Refusal(f"is a Keras model: VoxCAM reads PyTorch's weights; {AS_SAFETENSORS}")),
    (_is_npz, Refusal(f"is NumPy's .npz: VoxCAM reads PyTorch's weights; {AS_SAFETENSORS}")),
    (_is_bundle, Refusal("is a zipped MONAI bundle: unpack it and give its folder")),
)


def _root(members: Iterable[zipfile.ZipInfo]) -> str:
    roots = [
        m.filename.removesuffix("data.pkl") for m in members if PurePosixPath(m.filename).name == "data.pkl"
    ]
    if len(roots) != 1:
        found = "none" if not roots else f"{len(roots)}"
        raise Refusal(f"is a zip, but not what torch.save writes: expected one data.pkl, found {found}")
    return roots[0]


def _record(file: BinaryIO, member: zipfile.ZipInfo, size: int) -> Record:
    """Return where a member's bytes lie, as its local header says; the central one gives no start."""
    name = shown(member.filename)
    if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
        raise Refusal(f"is a compressed zip ({name!r}), which torch.save never writes: {AS_SAFETENSORS}")
    if member.flag_bits & _ENCRYPTED:
        raise Refusal(f"is an encrypted zip ({name!r}): {AS_SAFETENSORS}")
    header = b""
    if 0 <= member.header_offset < size:  # a zip whose end is damaged gives negative ones
        file.seek(member.header_offset)
        header = file.read(_LOCAL_HEADER.size)
    if len(header) < _LOCAL_HEADER.size or header[:4] != b"PK\x03\x04":
        raise damaged(f"there is no record where its zip says {name!r} is")
    *_, name_bytes, extra_bytes = _LOCAL_HEADER.unpack(header)
    start = member.header_offset + _LOCAL_HEADER.size + name_bytes + extra_bytes
    if start + member.file_size > size:
        raise damaged(f"{name!r} goes on beyond the end of the file")
    return Record(start, member.file_size, member.CRC or None)
