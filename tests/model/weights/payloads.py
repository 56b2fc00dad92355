"""Files that would run code if they were unpickled, and files that lie about their size.

Nothing here is harmful: a payload makes one empty file, the marker, so that a test can tell whether it ran.
"""

from __future__ import annotations

import functools
import importlib
import io
import json
import operator
import os
import pickle
import runpy
import struct
import subprocess
import tarfile
import timeit
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils import collect_env


class Calls:
    """Pickles as a call: of a function, or of what another call gives."""

    def __init__(self, by: Any, *arguments: Any) -> None:
        self.by, self.arguments = by, arguments

    def __call__(self) -> None: ...

    def __reduce__(self) -> Any:
        return self.by, self.arguments


class Builds:
    """Runs when it is given its state back: the BUILD operation."""

    def __init__(self, marker: Path) -> None:
        self.marker = str(marker)

    def __setstate__(self, state: dict[str, str]) -> None:
        Path(state["marker"]).touch()


class MadeNew:
    """Runs when it is made: the NEWOBJ operation."""

    def __new__(cls, marker: str, runs: bool = True) -> Any:
        if runs:
            Path(marker).touch()
        made = super().__new__(cls)
        made.marker = marker
        return made

    def __getnewargs__(self) -> Any:
        return (self.marker,)


def _code(marker: Path) -> str:
    return f"open({str(marker)!r}, 'w').close()"


def _script(marker: Path) -> str:
    script = marker.with_name("script.py")
    script.write_text(_code(marker))
    return str(script)


def _objects(marker: Path) -> str:
    array = marker.with_name("objects.npy")
    np.save(array, np.array([Calls(exec, _code(marker))], dtype=object), allow_pickle=True)
    return str(array)


# What makes the marker when it is unpickled, by what it misuses.
PAYLOADS: dict[str, Callable[[Path], Any]] = {
    "posix.system": lambda marker: Calls(os.system, f"touch '{marker}'"),
    "os.makedirs": lambda marker: Calls(os.makedirs, str(marker)),
    "builtins.exec": lambda marker: Calls(exec, _code(marker)),
    "builtins.eval": lambda marker: Calls(eval, f"__import__('pathlib').Path({str(marker)!r}).touch()"),
    "builtins.open": lambda marker: Calls(open, str(marker), "w"),
    "subprocess.call": lambda marker: Calls(subprocess.call, ["touch", str(marker)]),
    "functools.partial": lambda marker: Calls(functools.partial(os.mkdir, str(marker))),
    "operator.methodcaller": lambda marker: Calls(operator.methodcaller("touch"), marker),
    "importlib": lambda marker: Calls(
        Calls(getattr, Calls(importlib.import_module, "os"), "mkdir"), str(marker)
    ),
    "runpy.run_path": lambda marker: Calls(runpy.run_path, _script(marker)),
    "timeit.timeit": lambda marker: Calls(timeit.timeit, _code(marker), "pass", timeit.default_timer, 1),
    "torch.utils.collect_env.run": lambda marker: Calls(collect_env.run, f"touch '{marker}'"),
    "torch.storage._load_from_bytes": lambda marker: Calls(torch.storage._load_from_bytes, _saved(marker)),
    "torch.load": lambda marker: Calls(
        functools.partial(torch.load, weights_only=False), Calls(io.BytesIO, _saved(marker))
    ),
    "torch._utils._import_dotted_name": lambda marker: Calls(
        Calls(torch._utils._import_dotted_name, "os.mkdir"), str(marker)
    ),
    "numpy.load": lambda marker: Calls(np.load, _objects(marker), None, True),
    "build": Builds,
    "new": lambda marker: MadeNew(str(marker), runs=False),
}


def _saved(marker: Path) -> bytes:
    stream = io.BytesIO()
    torch.save(Calls(exec, _code(marker)), stream)
    return stream.getvalue()


def weights() -> dict[str, torch.Tensor]:
    """Return a small state dict: a convolution and a batch norm, as they are saved."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = torch.nn.Sequential(torch.nn.Conv2d(1, 3, 3), torch.nn.BatchNorm2d(3))
    return dict(network.state_dict())


def tar_of(**members: bytes) -> bytes:
    """Return the tar that torch.save wrote before 2017."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def rezipped(path: Path, change: Any, compression: int = zipfile.ZIP_STORED) -> bytes:
    """Return a checkpoint's zip anew, with `change(name, content)` in place of each record's content."""
    stream = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(stream, "w", compression) as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return stream.getvalue()


def zip_of(**records: bytes) -> bytes:
    """Return a checkpoint's zip with those records; "__" stands for "/", a name without a dot gets ".pkl"."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/version", b"3\n")
        for name, content in records.items():
            archive.writestr(f"archive/{name.replace('__', '/') if '__' in name else name + '.pkl'}", content)
    return stream.getvalue()


class Described:
    """A tensor as torch.save describes one, with whatever numbers one likes."""

    def __init__(self, count: int, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> None:
        self.storage = _Id(("storage", torch.FloatStorage, "0", "cpu", count))
        self.rest = offset, shape, strides

    def __reduce__(self) -> Any:
        return torch._utils._rebuild_tensor_v2, (self.storage, *self.rest, False, {})


class _Id:
    def __init__(self, pid: Any) -> None:
        self.pid = pid


class _Pickler(pickle._Pickler):
    def persistent_id(self, value: Any) -> Any:
        return value.pid if isinstance(value, _Id) else None


def described_zip(state: Any, stored: bytes) -> bytes:
    """Return a checkpoint of `Described` tensors over one storage "0" with those bytes."""
    stream = io.BytesIO()
    _Pickler(stream, 2).dump(state)
    return zip_of(data=stream.getvalue(), data__0=stored)


def safetensors_of(header: Any, body: bytes = b"", claims: int | None = None) -> bytes:
    """Return a safetensors file with whatever header one likes (text, or what becomes JSON)."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if claims is None else claims) + text + body
