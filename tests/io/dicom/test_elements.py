from __future__ import annotations

import os
import struct
import tracemalloc
import warnings
import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from builders import noise, write_dicom_series
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import JPEG2000Lossless

from voxcam import io
from voxcam.errors import ReadError
from voxcam.io.dicom.attributes import WANTED
from voxcam.io.dicom.elements import (
    DEFLATED,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    UNDEFINED,
    inflated,
    walk,
)
from voxcam.io.dicom.headers import read_header
from voxcam.io.dicom.sources import Damaged
from voxcam.io.left_out import LeftOut

SYNTAXES = (IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED)
FOLDER = Path(pydicom.__file__).parent / "data/test_files"
PIXELS = 0x7FE00010


def walked(path, wanted=WANTED):
    with Path(path).open("rb") as stream:
        return walk(stream.fileno(), os.fstat(stream.fileno()).st_size, wanted)


def bytes_of(path):
    """The bytes that offsets count in: the inflated data set where the file is deflated."""
    with Path(path).open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        return inflated(stream.fileno(), size) if walked(path).syntax == DEFLATED else Path(path).read_bytes()


def readable_files():
    """Files that pydicom reads, none of which is cut."""
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path in sorted(FOLDER.rglob("*")):
            if not path.is_file() or path.suffix in (".txt", ".json", ".py") or "truncated" in path.name:
                continue
            try:
                dcmread(path)
            except Exception:
                continue
            found.append(path)
    return found


FILES = readable_files()


def test_enough_files_are_compared():
    assert len(FILES) > 60


@pytest.mark.parametrize("path", FILES, ids=[path.name for path in FILES])
def test_the_walk_meets_what_pydicom_meets(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = dcmread(path)
    ours = walked(path)
    raw = {int(tag): theirs.get_item(tag) for tag in theirs.keys() if int(tag) < PIXELS}  # noqa: SIM118
    stated = {
        tag: item.value or b""
        for tag, item in raw.items()
        if tag in WANTED and isinstance(getattr(item, "value", None), (bytes, type(None)))
    }
    for tag, value in stated.items():
        if tag not in ours.present:
            assert ours.values[tag] == value, f"{tag:08x}"
    assert {t for t in ours.values if t >> 16 != 2} | ours.present & WANTED == set(raw) & WANTED
    assert (ours.pixels is not None) == ("PixelData" in theirs)
    if ours.pixels is not None and ours.pixels.length != UNDEFINED:
        part = bytes_of(path)[ours.pixels.offset : ours.pixels.offset + ours.pixels.length]
        assert part == theirs.get_item("PixelData").value


def plain(rows=3, columns=4):
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3"
    dataset.Modality, dataset.PatientName, dataset.PatientID = "CT", "Nobody", "0"
    dataset.SeriesInstanceUID, dataset.StudyInstanceUID = "1.2.4", "1.2.5"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = rows, columns
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 0
    dataset.PixelData = np.arange(rows * columns, dtype="<u2").tobytes()
    dataset["PixelData"].VR = "OW"
    return dataset


def nested(depth, *, undefined=True):
    """A private sequence in a sequence, ... `depth` of them."""
    inner = Dataset()
    inner.SeriesNumber = "7"
    for _ in range(depth):
        outer = Dataset()
        outer.RequestAttributesSequence = Sequence([inner])
        outer["RequestAttributesSequence"].is_undefined_length = undefined
        inner.is_undefined_length_sequence_item = undefined
        inner = outer
    return inner.RequestAttributesSequence if depth else None


def saved(dataset, path, syntax):
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3"
    dataset.file_meta = meta
    if syntax == EXPLICIT_BIG:
        dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)
    return path


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize(
    ("depth", "refused"), [(1, False), (5, False), (63, False), (64, False), (65, True), (80, True)]
)
def test_sixty_four_sequences_within_one_another_are_the_limit(syntax, depth, refused, tmp_path):
    dataset = plain()
    dataset.RequestAttributesSequence = nested(depth)
    dataset["RequestAttributesSequence"].is_undefined_length = True
    path = saved(dataset, tmp_path / "a", syntax)
    found = read_header(path)
    if refused:
        assert isinstance(found, LeftOut)
        assert "deeper than 64" in found.reason
    else:
        assert found[0].stored.rows == 3


def test_two_thousand_defined_lengths_within_one_another_neither_crash_nor_hang(tmp_path):
    dataset = plain()
    inner = b"\x20\x00\x11\x00\x02\x00\x00\x007 "
    for _ in range(2000):
        item = b"\xfe\xff\x00\xe0" + struct.pack("<I", len(inner)) + inner
        end = b"\xfe\xff\xdd\xe0\0\0\0\0"
        inner = b"\x40\x00\x75\x02" + struct.pack("<I", 0xFFFFFFFF) + item + end
    dataset.WindowCenter, dataset.WindowWidth = "1", "2"
    path = saved(dataset, tmp_path / "a", IMPLICIT_LITTLE)
    whole = path.read_bytes()
    at = whole.index(b"\xe0\x7f\x10\x00")
    path.write_bytes(whole[:at] + inner + whole[at:])
    found = read_header(path)
    assert isinstance(found, LeftOut) or found[0].stored.rows == 3


texts = st.text("ABCDEFGHIJ 0123456789", max_size=12)


@st.composite
def datasets(draw, deepest=3):
    dataset = Dataset()
    dataset.SeriesDescription = draw(texts).strip()
    dataset.ImageComments = draw(texts).strip()
    dataset.WindowCenter = [str(n) for n in draw(st.lists(st.integers(-99, 99), min_size=1, max_size=3))]
    dataset.DiffusionBValue = float(draw(st.integers(0, 5000)))
    dataset.add_new(0x00091010, "OB", draw(st.binary(max_size=10)) * 2)
    dataset.add_new(0x00091011, "UN", draw(st.binary(max_size=10)) * 2)
    if deepest:
        for keyword in draw(
            st.sets(st.sampled_from(["RequestAttributesSequence", "ReferencedImageSequence"]))
        ):
            items = draw(st.lists(datasets(deepest=deepest - 1), max_size=2))
            setattr(dataset, keyword, Sequence(items))
            dataset[keyword].is_undefined_length = draw(st.booleans())
            for item in items:
                item.is_undefined_length_sequence_item = draw(st.booleans())
    return dataset


@given(datasets(), st.sampled_from(SYNTAXES), st.integers(1, 9), st.integers(1, 9))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_data_set_is_walked_to_its_pixels(tmp_path, dataset, syntax, rows, columns):
    dataset.update(plain(rows, columns))
    path = saved(dataset, tmp_path / "a", syntax)
    theirs = dcmread(path)
    ours = walked(path)
    order = "little" if syntax != EXPLICIT_BIG else "big"
    assert int.from_bytes(ours.values[0x00280010], order) == rows
    for keyword, tag in (("SeriesDescription", 0x0008103E), ("WindowCenter", 0x00281050)):
        value = theirs[keyword].value
        spelt = "\\".join(map(str, value)) if keyword == "WindowCenter" and theirs[keyword].VM > 1 else value
        assert ours.values[tag].decode().strip(" ") == str(spelt)
    pixels = bytes_of(path)[ours.pixels.offset :][: ours.pixels.length]
    assert pixels == theirs.PixelData
    assert ours.pixels.vr == (b"" if syntax == IMPLICIT_LITTLE else b"OW")


@pytest.mark.parametrize("syntax", [*SYNTAXES, JPEG2000Lossless])
def test_no_truncation_of_a_file_claims_whole_pixels(syntax, tmp_path):
    if syntax in SYNTAXES:
        dataset = plain()
        dataset.RequestAttributesSequence = nested(2)
        whole = saved(dataset, tmp_path / "whole", syntax).read_bytes()
    else:
        whole = write_dicom_series(tmp_path / "s", noise((32, 32, 1)), compress=syntax)[0].read_bytes()
    part = tmp_path / "part"
    for length in range(len(whole)):
        part.write_bytes(whole[:length])
        found = read_header(part)
        assert isinstance(found, LeftOut), f"cut to {length} of {len(whole)} bytes"
        assert "\n" not in found.reason
    part.write_bytes(whole)
    assert read_header(part)[0].stored.length > 0


@pytest.mark.parametrize("length", [0xFFFFFFFE, 0x7FFFFFFF, 0x80000000, 0x00FFFFFF])
@pytest.mark.parametrize("keyword", ["RequestAttributesSequence", "PixelData", "private"])
def test_lengths_beyond_the_file_are_refused(length, keyword, tmp_path):
    dataset = plain()
    dataset.add_new(0x00091010, "OB", b"0123")
    dataset.RequestAttributesSequence = nested(1, undefined=False)
    path = saved(dataset, tmp_path / "a", EXPLICIT_LITTLE)
    whole = bytearray(path.read_bytes())
    tags = {"RequestAttributesSequence": b"\x40\0\x75\x02SQ", "PixelData": b"\xe0\x7f\x10\0OW"}
    at = whole.index(tags.get(keyword, b"\x09\0\x10\x10OB")) + 8
    whole[at : at + 4] = struct.pack("<I", length)
    path.write_bytes(whole)
    found = read_header(path)
    assert isinstance(found, LeftOut)
    assert found.refused


@pytest.mark.parametrize("short", [0xFFFF, 0xFFFE])
def test_a_short_length_beyond_the_file_is_refused(short, tmp_path):
    path = saved(plain(), tmp_path / "a", EXPLICIT_LITTLE)
    whole = bytearray(path.read_bytes())
    at = whole.index(b"\x28\0\x10\0US") + 6
    whole[at : at + 2] = struct.pack("<H", short)
    path.write_bytes(whole)
    assert isinstance(read_header(path), LeftOut)


def test_a_deflate_bomb_is_refused_in_bounded_memory(tmp_path):
    path = saved(plain(), tmp_path / "a", DEFLATED)
    meta = dcmread(path, stop_before_pixels=True).file_meta
    begin = 132 + 12 + int(meta.FileMetaInformationGroupLength)
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    # 4 GiB of zeros in 4 MiB, from blocks that are squeezed once.
    packed = squeezer.compress(bytes(1 << 20)) + squeezer.flush(zlib.Z_FULL_FLUSH)
    block = squeezer.compress(bytes(1 << 20)) + squeezer.flush(zlib.Z_FULL_FLUSH)
    path.write_bytes(path.read_bytes()[:begin] + packed + block * 400)
    tracemalloc.start()
    found = read_header(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(found, LeftOut)
    assert "bomb" in found.reason
    assert peak < 400 << 20


def test_what_follows_a_deflated_data_set_is_no_part_of_it(tmp_path):
    path = saved(plain(), tmp_path / "a", DEFLATED)
    path.write_bytes(path.read_bytes() + b"rubbish" * 9)
    assert read_header(path)[0].columns == 4


@given(st.binary(max_size=300))
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_bytes_behind_the_preamble_do_more_than_be_refused(tmp_path, noise_bytes):
    path = tmp_path / "a"
    path.write_bytes(bytes(128) + b"DICM" + noise_bytes)
    found = read_header(path)
    assert isinstance(found, LeftOut)


def outcome(series):
    """What an expected error says; any other comes through."""
    try:
        io.read(series)
    except ReadError as error:
        return str(error)
    return ""


@given(st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_few_bytes_that_are_changed_lead_to_a_volume_or_one_line(tmp_path, data):
    path = tmp_path / "a"
    whole = bytearray(Path(get_testdata_file("MR_small.dcm")).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(128, 2000))] = data.draw(st.integers(0, 255))
    path.write_bytes(whole)
    study = io.scan(path)
    for series in study.series:
        assert "\n" not in outcome(series)


def test_the_reason_for_damage_keeps_what_was_read_until_there(tmp_path):
    path = saved(plain(), tmp_path / "a", EXPLICIT_LITTLE)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(Damaged) as caught:
        walked(path)
    assert caught.value.met.values[0x00080060] == b"CT"
    assert read_header(path).series_uid == "1.2.4"
