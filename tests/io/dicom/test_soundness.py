"""Files that are wrong in one way each: a study, a finding, or a refusal in one line; no wrong volume."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from builders import noise, write_dicom_series, write_enhanced
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.tag import Tag
from pydicom.uid import JPEG2000Lossless, RLELossless

from voxcam import io
from voxcam.errors import ReadError

VOXELS = noise((33, 32, 1))
CANARY = "CanaryMrs"


def written(folder, **elements):
    options = {"RescaleIntercept": "0", "PatientName": CANARY, **elements}
    return write_dicom_series(folder, VOXELS, **options)[0]


def raw(keyword, value, vr=None):
    """Put bytes of a value as they are into the file: pydicom would not write them."""

    def harm(path):
        whole = path.read_bytes()
        dataset = dcmread(path)
        element = dataset[keyword]
        tag = struct.pack("<HH", element.tag.group, element.tag.element)
        at = whole.index(tag + element.VR.encode())
        length = struct.unpack_from("<H", whole, at + 6)[0]
        head = tag + (vr or element.VR).encode() + struct.pack("<H", len(value))
        path.write_bytes(whole[:at] + head + value + whole[at + 8 + length :])

    return harm


def elements(**changes):
    def harm(path):
        dataset = dcmread(path)
        for keyword, value in changes.items():
            if value is None:
                delattr(dataset, keyword)
            else:
                setattr(dataset, keyword, value)
        dataset.save_as(path)

    return harm


def bytes_put(find, put, count=1):
    def harm(path):
        whole = path.read_bytes()
        assert find in whole
        path.write_bytes(whole.replace(find, put, count))

    return harm


def short(number):
    return struct.pack("<H", number)


def bad_fragments(path):
    whole = path.read_bytes()
    at = whole.index(b"\xe0\x7f\x10\x00OB")
    # The first item says that it is 3 GiB long.
    item = whole.index(b"\xfe\xff\x00\xe0", at + 20)
    path.write_bytes(whole[: item + 4] + struct.pack("<I", 3 << 30) + whole[item + 8 :])


def wrong_offsets(path):
    whole = path.read_bytes()
    at = whole.index(b"\xfe\xff\x00\xe0", whole.rindex(b"\xe0\x7f\x10\x00"))
    length = struct.unpack_from("<I", whole, at + 4)[0]
    path.write_bytes(whole[: at + 8] + b"\xf0" * length + whole[at + 8 + length :])


def pixels_in_an_item(path):
    """Encapsulated pixels in a sequence before the true ones."""
    dataset = dcmread(path)
    inner = Dataset()
    inner.PixelData = encapsulate([b"\1\2\3\4"])
    inner["PixelData"].VR, inner["PixelData"].is_undefined_length = "OB", True
    dataset.IconImageSequence = [inner]
    dataset.save_as(path)


def no_delimiter(path):
    """A sequence of undefined length that nothing ends."""
    whole = path.read_bytes()
    at = whole.index(b"\x28\x00\x02\x00US")
    sequence = b"\x20\x00\x40\x11SQ\0\0" + b"\xff" * 4 + b"\xfe\xff\x00\xe0" + b"\xff" * 4
    path.write_bytes(whole[:at] + sequence + whole[at:])


def sequence_of_length(change):
    def harm(path):
        dataset = dcmread(path)
        item = Dataset()
        item.SeriesNumber = "12"
        dataset.ReferencedImageSequence = [item, item]
        dataset.save_as(path)
        whole = bytearray(path.read_bytes())
        at = whole.index(b"\x08\x00\x40\x11SQ") + 8
        whole[at : at + 4] = struct.pack("<I", struct.unpack_from("<I", whole, at)[0] + change)
        path.write_bytes(whole)

    return harm


def of_undefined_length_in_un(path):
    """A sequence of VR UN: implicit inside, PS3.5 6.2.2."""
    whole = path.read_bytes()
    at = whole.index(b"\x28\x00\x02\x00US")
    inner = b"\x20\x00\x11\x00\x02\x00\x00\x0012"
    sequence = b"\x21\x00\x01\x10UN\0\0" + b"\xff" * 4
    sequence += b"\xfe\xff\x00\xe0" + struct.pack("<I", len(inner)) + inner + b"\xfe\xff\xdd\xe0" + bytes(4)
    path.write_bytes(whole[:at] + sequence + whole[at:])


def a_preamble(start):
    def harm(path):
        whole = path.read_bytes()
        path.write_bytes((start + bytes(128))[:128] + whole[128:])

    return harm


def private_blob(path):
    dataset = dcmread(path)
    dataset.add_new(Tag(0x00291010), "UN", bytes(range(256)) * 100)  # without its private creator
    dataset.save_as(path)


REFUSED, READ, EITHER = "refused", "read", "either"
# What is done to a file, and what becomes of it. Numbers: the list of bad inputs for DICOM.
TABLE = {
    "14 compressed pixels in an item": (pixels_in_an_item, READ),
    "15 no sequence delimiter": (no_delimiter, REFUSED),
    "13 sequence said to be longer": (sequence_of_length(1000), EITHER),
    "13 sequence said to be far longer": (sequence_of_length(1 << 24), REFUSED),
    "13 sequence said to be shorter": (sequence_of_length(-4), REFUSED),
    "17 odd length": (raw("StudyInstanceUID", b"1.2.3.4"), READ),
    "18 length 0xFFFE": (bytes_put(b"\x28\x00\x02\x00US\x02\x00", b"\x28\x00\x02\x00US\xfe\xff"), REFUSED),
    "19 VR of question marks": (bytes_put(b"\x08\x00\x60\x00CS", b"\x08\x00\x60\x00??"), REFUSED),
    "19 sequence of VR UN": (of_undefined_length_in_un, READ),
    "20 no rows": (elements(Rows=0), REFUSED),
    "20 no columns": (elements(Columns=0), REFUSED),
    "20 one row": (elements(Rows=1), REFUSED),
    "20 65535 rows": (elements(Rows=65535), REFUSED),
    "20 65535 rows and columns": (elements(Rows=65535, Columns=65535), REFUSED),
    "21 no frames": (elements(NumberOfFrames=0), REFUSED),
    "21 fewer frames than none": (elements(NumberOfFrames=-1), REFUSED),
    "21 frames in words": (
        lambda path: (elements(NumberOfFrames=1)(path), raw("NumberOfFrames", b"ab")(path)),
        REFUSED,
    ),
    "21 2**31 - 1 frames": (elements(NumberOfFrames=2**31 - 1), REFUSED),
    "21 half a frame": (
        lambda path: (elements(NumberOfFrames=1)(path), raw("NumberOfFrames", b"1.5 ")(path)),
        REFUSED,
    ),
    "22 more bits stored than allocated": (elements(BitsStored=17), REFUSED),
    "22 12 bits allocated": (elements(BitsAllocated=12), REFUSED),
    "22 1 bit allocated": (elements(BitsAllocated=1, BitsStored=1, HighBit=0), REFUSED),
    "22 64 bits allocated": (elements(BitsAllocated=64), REFUSED),
    "22 32 bits allocated": (elements(BitsAllocated=32, BitsStored=32, HighBit=31), REFUSED),
    "22 8 bits allocated": (elements(BitsAllocated=8, BitsStored=8, HighBit=7), REFUSED),
    "22 0 bits stored": (elements(BitsStored=0), EITHER),
    "22 odd high bit": (elements(HighBit=11), REFUSED),
    "22 pixel representation 2": (elements(PixelRepresentation=2), REFUSED),
    "22 two samples of grey": (elements(SamplesPerPixel=2), REFUSED),
    "22 no samples": (elements(SamplesPerPixel=0), EITHER),
    "23 a palette image without one": (elements(PhotometricInterpretation="PALETTE COLOR"), REFUSED),
    "23 YBR of one sample": (elements(PhotometricInterpretation="YBR_FULL"), REFUSED),
    "23 RGB of one sample": (elements(PhotometricInterpretation="RGB"), REFUSED),
    "23 an unknown photometric": (elements(PhotometricInterpretation="HSV"), REFUSED),
    "23 no photometric": (elements(PhotometricInterpretation=None), READ),
    "24 slope 0": (elements(RescaleSlope="0"), READ),
    "24 slope NaN": (raw("RescaleSlope", b"nan "), REFUSED),
    "24 slope inf": (raw("RescaleSlope", b"inf "), REFUSED),
    "24 slope with a comma": (raw("RescaleSlope", b"1,5 "), REFUSED),
    "24 two slopes": (raw("RescaleSlope", b"1\\2 "), REFUSED),
    "24 slope beyond doubles": (raw("RescaleSlope", b"1e999 "), REFUSED),
    "25 spacing 0": (raw("PixelSpacing", b"0\\0 "), READ),
    "25 spacing below 0": (raw("PixelSpacing", b"-1\\1"), READ),
    "25 spacing NaN": (raw("PixelSpacing", b"nan\\1 "), READ),
    "25 one number of spacing": (raw("PixelSpacing", b"1 "), READ),
    "25 no spacing": (elements(PixelSpacing=None), READ),
    "25 orientation of length 2": (raw("ImageOrientationPatient", b"2\\0\\0\\0\\2\\0 "), REFUSED),
    "25 orientation of zeros": (raw("ImageOrientationPatient", b"0\\0\\0\\0\\0\\0 "), REFUSED),
    "25 orientation of five numbers": (raw("ImageOrientationPatient", b"1\\0\\0\\0\\1 "), READ),
    "25 position of words": (raw("ImagePositionPatient", b"a\\b\\c "), READ),
    "25 thickness lies": (raw("SliceThickness", b"-5"), READ),
    "25 thickness of words": (raw("SliceThickness", b"thick "), READ),
    "26 unknown character set": (elements(SpecificCharacterSet="ISO_IR 999"), READ),
    "26 broken escape": (
        lambda path: (
            elements(SpecificCharacterSet=["", "ISO 2022 IR 87"], SeriesDescription="abcd")(path),
            raw("SeriesDescription", b"\x1b$B\xff\x1b\x1b ")(path),
        ),
        READ,
    ),
    "26 a name of five carets": (elements(PatientName="a^b^c^d^e^f^g"), READ),
    "26 a name of 10,000 letters": (elements(PatientName="a" * 10_000), READ),
    "27 private blob": (private_blob, READ),
    "28 preamble of a program": (a_preamble(b"MZ\x90\0"), REFUSED),
    "28 preamble of a picture": (a_preamble(b"II*\0\x08\0\0\0"), READ),
    "28 preamble of a document": (a_preamble(b"%PDF-1.7\n"), READ),
    "28 preamble of a script": (a_preamble(b"#!/bin/sh\n"), REFUSED),
    "28 preamble of a zip archive": (a_preamble(b"PK\x03\x04"), REFUSED),
    "28 preamble of gzip": (a_preamble(b"\x1f\x8b\x08\0"), READ),
    "29 UID of 100 characters": (raw("SOPInstanceUID", b"1." * 50), READ),
    "29 UID of letters": (raw("SeriesInstanceUID", b"abc../../etc"), READ),
    "29 no UID": (raw("SeriesInstanceUID", b""), READ),
    "no number of columns": (elements(Columns=None), REFUSED),
    "two numbers of rows": (raw("Rows", short(32) + short(33)), REFUSED),
    "no pixels": (elements(PixelData=None), REFUSED),
    "pixels of another size": (elements(PixelData=bytes(500)), REFUSED),
    "pixels of two images": (elements(PixelData=bytes(33 * 32 * 4)), REFUSED),
}


def outcome(place):
    """Read all there is: (what was refused in words, volumes)."""
    study = io.scan(place)
    assert study.found == study.loaded + study.skipped + study.refused
    said, volumes = [finding.text for finding in study.findings], []
    for series in study.series:
        said += [finding.text for finding in series.findings]
        try:
            volumes.append(io.read(series))
        except ReadError as error:
            said.append(str(error))
    for text in said:
        assert "\n" not in text
        assert CANARY not in text
        assert str(place) not in text
        assert len(text) < 400
    return said, volumes


@pytest.mark.parametrize("name", TABLE)
def test_a_file_that_is_wrong_in_one_way(name, tmp_path):
    harm, expected = TABLE[name]
    harm(written(tmp_path))
    said, volumes = outcome(tmp_path)
    assert len(volumes) <= 1
    if expected == REFUSED:
        assert not volumes
        assert said
    if expected == READ:
        assert len(volumes) == 1
    for volume in volumes:
        np.testing.assert_array_equal(volume.voxels, VOXELS)


@pytest.mark.parametrize("coding", [RLELossless, JPEG2000Lossless])
@pytest.mark.parametrize(
    ("harm", "expected"),
    [
        (bad_fragments, REFUSED),
        (bytes_put(b"\xfe\xff\xdd\xe0\0\0\0\0", b""), REFUSED),  # the stream has no end
        (elements(BitsAllocated=8, BitsStored=8, HighBit=7), EITHER),
        (elements(Rows=64), REFUSED),
        (elements(Columns=16), REFUSED),
        (elements(NumberOfFrames=2), REFUSED),
        (elements(NumberOfFrames=10**6), REFUSED),
    ],
)
def test_a_compressed_file_that_is_wrong_in_one_way(coding, harm, expected, tmp_path):
    path = written(tmp_path, compress=coding)
    harm(path)
    said, volumes = outcome(tmp_path)
    if expected == REFUSED:
        assert not volumes
    assert said or volumes


@pytest.mark.parametrize("name", ["emri_small_RLE.dcm", "emri_small_jpeg_ls_lossless.dcm"])
def test_offsets_that_lie_give_the_same_frames_or_a_refusal(name, tmp_path):
    path = tmp_path / "a"
    path.write_bytes(open(get_testdata_file(name), "rb").read())  # noqa: PTH123, SIM115
    whole = np.asarray(io.read(io.scan(path).choose()).voxels)
    wrong_offsets(path)
    _, volumes = outcome(tmp_path)
    for volume in volumes:
        np.testing.assert_array_equal(volume.voxels, whole)


@pytest.mark.parametrize(
    ("syntax", "other"),
    [
        (b"1.2.840.10008.1.2.4.50\0", False),
        (b"1.2.840.10008.1.2.5\0", False),
        (b"1.2.840.10008.1.2.1\0", True),
    ],
)
def test_a_syntax_that_the_pixels_are_not_of_is_refused(syntax, other, tmp_path):
    path = written(tmp_path, **({"compress": RLELossless} if other else {}))
    whole = path.read_bytes()
    stated = b"1.2.840.10008.1.2.5\0" if other else b"1.2.840.10008.1.2.1\0"
    at = whole.index(stated)
    path.write_bytes(whole[: at - 2] + struct.pack("<H", len(syntax)) + syntax + whole[at + len(stated) :])
    said, volumes = outcome(tmp_path)
    assert not volumes
    assert any("compressed" in text for text in said)


def test_an_unknown_syntax_is_refused_by_a_name_of_ours(tmp_path):
    path = written(tmp_path)
    bytes_put(b"1.2.840.10008.1.2.1\0", b"1.2.840.99999.1.2.1\0")(path)
    said, volumes = outcome(tmp_path)
    assert not volumes
    assert "no decoder for a private transfer syntax" in said[0]


def test_one_uid_for_two_images_of_other_pixels_is_no_copy(tmp_path):
    uids = {"SeriesInstanceUID": "1.2.3", "FrameOfReferenceUID": "1.2.4", "SOPInstanceUID": "1.2.5"}
    written(tmp_path / "a", **uids)
    other = noise((33, 32, 1), seed=1)
    write_dicom_series(tmp_path / "b", other, **uids, RescaleIntercept="0", PatientName=CANARY)
    said, volumes = outcome(tmp_path)
    assert not volumes
    assert any("differ" in text for text in said)


@pytest.mark.parametrize("bits", [8, 16, 32])
@pytest.mark.parametrize("signed", [0, 1])
def test_every_size_and_sign_of_whole_numbers_is_read(bits, signed, tmp_path):
    kind = np.dtype(f"<{'i' if signed else 'u'}{bits // 8}")
    info = np.iinfo(kind)
    values = np.random.default_rng(0).integers(info.min // 2, info.max // 2, (32, 33)).astype(kind)
    changes = {"BitsAllocated": bits, "BitsStored": bits, "HighBit": bits - 1, "PixelRepresentation": signed}
    elements(**changes, PixelData=values.tobytes())(written(tmp_path))
    _, (volume,) = outcome(tmp_path)
    np.testing.assert_array_equal(volume.voxels[:, :, 0], values.T.astype(volume.voxels.dtype))


def test_whole_numbers_of_32_bits_over_the_limit_are_read_as_they_are(tmp_path, monkeypatch):
    values = np.array([[-(2**30), 2**30], [70_000, -5]], "<i4")
    changes = {"BitsAllocated": 32, "BitsStored": 32, "HighBit": 31, "PixelRepresentation": 1}
    elements(**changes, Rows=2, Columns=2, PixelData=values.tobytes())(written(tmp_path))
    series = io.scan(tmp_path).choose()
    monkeypatch.setattr("voxcam.io.dicom.volume.limits.most_bytes", lambda: 1)
    monkeypatch.setattr("voxcam.io.dicom.pixels.limits.check", lambda needed, what: None)
    np.testing.assert_array_equal(np.asarray(io.read(series).voxels)[:, :, 0], values.T)


def table(**changes):
    item = Dataset()
    item.LUTDescriptor, item.ModalityLUTType = [2000, 0, 16], "US"
    item.LUTData = np.arange(2000, dtype="<u2")[::-1].tobytes()
    item["LUTData"].VR = "OW"
    for keyword, value in changes.items():
        if value is None:
            delattr(item, keyword)
        else:
            setattr(item, keyword, value)
    return {"ModalityLUTSequence": [item], "RescaleSlope": None, "RescaleIntercept": None}


def test_a_modality_table_is_looked_up(tmp_path):
    written(tmp_path, **table())
    _, (volume,) = outcome(tmp_path)
    np.testing.assert_array_equal(volume.voxels, 1999 - VOXELS)


@pytest.mark.parametrize(
    "changes",
    [
        {"LUTData": b"\0\1"},
        {"LUTData": None},
        {"LUTDescriptor": None},
        {"LUTDescriptor": [2000, 0]},
        {"LUTDescriptor": [2000, 0, 99]},
    ],
)
def test_a_damaged_modality_table_is_refused_in_one_line(changes, tmp_path):
    written(tmp_path, **table(**changes))
    said, volumes = outcome(tmp_path)
    assert not volumes
    assert said


def test_an_enhanced_file_without_its_groups_is_read_as_what_it_says(tmp_path):
    pixels = noise((6, 5, 4))
    path = write_enhanced(tmp_path / "a", range(4), pixels)
    elements(PerFrameFunctionalGroupsSequence=None, SharedFunctionalGroupsSequence=None)(path)
    _, (volume,) = outcome(tmp_path)
    assert volume.shape == (6, 5, 1)
    np.testing.assert_array_equal(np.asarray(volume.voxels)[:, :, 0], pixels)
