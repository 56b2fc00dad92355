from __future__ import annotations

import struct
import warnings
from dataclasses import replace

import imagecodecs
import numpy as np
import pytest
import SimpleITK
from coded_frames import coding_of, compressed_files, frame_of, grey, named
from pydicom.pixels import pixel_array
from pydicom.pixels.processing import convert_color_space

from voxcam.io.decoding.codecs import check, decode
from voxcam.io.decoding.coding import DecodeError

FILES = compressed_files()


def truth(path, dataset, number):
    """Stored values by pydicom's decoders; by ITK's where pydicom has none: JPEG lossless and of 12 bits."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return pixel_array(dataset, index=number)
        except RuntimeError:
            SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
            values = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))[number]
            return values - int(dataset.get("RescaleIntercept", 0))


def test_the_files_cover_every_family():
    families = {
        coding_of(named(path.name)).transfer_syntax.removeprefix("1.2.840.10008.1.2.") for path in FILES
    }
    assert families == set("5 4.50 4.51 4.70 4.80 4.81 4.90 4.91".split())
    assert len(FILES) >= 50


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_as_other_decoders(path):
    dataset = named(path.name)
    for number in {0, int(dataset.get("NumberOfFrames") or 1) - 1}:
        pixels = decode(frame_of(dataset, number), coding_of(dataset))
        expected = truth(path, dataset, number)
        assert pixels.dtype == coding_of(dataset).dtype
        # All here use libjpeg's exact integer cosine transform; T.83 lets another differ by one a component,
        # which colour conversion makes two. The other codecs are exact, lossy or not.
        most = 2 if ".4.50" in str(dataset.file_meta.TransferSyntaxUID) else 0
        np.testing.assert_allclose(pixels.astype(float), expected.astype(float), rtol=0, atol=most)


@pytest.mark.parametrize("name", ["693", "RG1", "RG3", "MR2", "US1"])
def test_reversible_files_equal_their_uncompressed_pair(name):
    try:
        pair = named(f"{name}_UNCR.dcm")
    except ValueError:
        pytest.skip("the pair is not among the test files")
    dataset = named(f"{name}_J2KR.dcm")
    np.testing.assert_array_equal(decode(frame_of(dataset), coding_of(dataset)), pair.pixel_array)


def ramps(dtype, bits, seed=0):
    """Noise on a ramp that reaches both ends of what `bits` hold."""
    low, high = (
        (-(1 << bits - 1), (1 << bits - 1) - 1) if np.dtype(dtype).kind == "i" else (0, (1 << bits) - 1)
    )
    ramp = np.linspace(low, high, 37 * 23).reshape(37, 23)
    noise = np.random.default_rng(seed).normal(0, 3, ramp.shape)
    return np.clip(ramp + noise, low, high).astype(dtype)


@pytest.mark.parametrize("selection", range(1, 8))
@pytest.mark.parametrize(("dtype", "bits"), [("u1", 8), ("u2", 12), ("u2", 16), ("i2", 12), ("i2", 16)])
def test_jpeg_lossless_of_every_selection_value(selection, dtype, bits):
    pixels = ramps(dtype, bits)
    coded = pixels.view(f"u{pixels.itemsize}") & ((1 << bits) - 1)
    code = imagecodecs.jpeg8_encode(
        coded.astype(coded.dtype), lossless=True, predictor=selection, bitspersample=bits
    )
    np.testing.assert_array_equal(decode(code, grey("4.57", pixels, bits)), pixels)
    np.testing.assert_array_equal(decode(code, grey("4.70", pixels, bits)), pixels)


@pytest.mark.parametrize("syntax", ["4.201", "4.202", "4.203", "4.90"])
@pytest.mark.parametrize(
    ("dtype", "bits"), [("u1", 8), ("i1", 8), ("u2", 12), ("u2", 16), ("i2", 12), ("i2", 16)]
)
def test_jpeg_2000_and_htj2k_reversible(syntax, dtype, bits):
    pixels = ramps(dtype, bits)
    if syntax == "4.90":
        code = imagecodecs.jpeg2k_encode(pixels, level=0, codecformat="j2k", reversible=True)
    else:
        code = imagecodecs.htj2k_encode(pixels, reversible=True)
    np.testing.assert_array_equal(decode(code, grey(syntax, pixels, bits)), pixels)


@pytest.mark.parametrize(("dtype", "bits"), [("u1", 8), ("u2", 12), ("u2", 16), ("i2", 12), ("i2", 16)])
def test_jpeg_ls_extends_the_sign_of_the_bits_stored(dtype, bits):
    pixels = ramps(dtype, bits)
    coded = pixels.view(f"u{pixels.itemsize}") & ((1 << bits) - 1)
    np.testing.assert_array_equal(
        decode(imagecodecs.jpegls_encode(coded.astype(coded.dtype)), grey("4.80", pixels, bits)), pixels
    )


def test_jpeg_2000_of_another_sign_than_the_header():
    pixels = ramps("i2", 16)
    signed = imagecodecs.jpeg2k_encode(pixels, level=0, codecformat="j2k", reversible=True)
    unsigned = imagecodecs.jpeg2k_encode(pixels.view("u2"), level=0, codecformat="j2k", reversible=True)
    np.testing.assert_array_equal(decode(unsigned, grey("4.90", pixels)), pixels)
    np.testing.assert_array_equal(decode(signed, grey("4.90", pixels.view("u2"))), pixels.view("u2"))


@pytest.mark.parametrize("shape", [(16, 8), (3, 5), (3, 3), (5, 3)])
def test_colour_is_interleaved(shape):
    pixels = np.random.default_rng(1).integers(0, 256, (*shape, 3)).astype(np.uint8)
    coding = replace(grey("4.80", pixels[..., 0]), samples=3, photometric="RGB")
    for syntax, code in {
        "4.80": imagecodecs.jpegls_encode(pixels),
        "4.70": imagecodecs.jpeg8_encode(pixels, lossless=True, colorspace="RGB", outcolorspace="RGB"),
        "4.90": imagecodecs.jpeg2k_encode(pixels, level=0, codecformat="j2k", reversible=True, mct=True),
        "4.201": imagecodecs.htj2k_encode(pixels, reversible=True),
        "5": rle(pixels),
    }.items():
        found = decode(code, replace(coding, transfer_syntax=f"1.2.840.10008.1.2.{syntax}"))
        np.testing.assert_array_equal(found, pixels, err_msg=syntax)
        assert found.flags.c_contiguous


def rle(pixels):
    """PS3.5 G in literal runs alone: one segment a plane of bytes, most significant first."""
    planes = pixels[..., None] if pixels.ndim == 2 else pixels
    big = planes.astype(planes.dtype.newbyteorder(">"))
    bytes_ = big.view("u1").reshape(*planes.shape, planes.itemsize)
    segments = []
    for sample in range(planes.shape[2]):
        for byte in range(planes.itemsize):
            raw = bytes_[:, :, sample, byte].tobytes()
            runs = [raw[at : at + 128] for at in range(0, len(raw), 128)]
            segment = b"".join(bytes([len(run) - 1]) + run for run in runs)
            segments.append(segment + b"\x80" * (len(segment) % 2))
    offsets = np.cumsum([64, *map(len, segments)])[:-1].tolist()
    table = struct.pack("<16I", len(segments), *offsets, *[0] * (15 - len(segments)))
    return table + b"".join(segments)


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4"])
def test_rle_of_every_width(dtype):
    pixels = ramps(dtype, 8 * np.dtype(dtype).itemsize)
    np.testing.assert_array_equal(decode(rle(pixels), grey("5", pixels)), pixels)


@pytest.mark.parametrize("syntax", ["5", "4.80", "4.70"])
def test_lossless_ybr_full_becomes_rgb_by_the_standard(syntax):
    ybr = np.random.default_rng(2).integers(0, 256, (9, 7, 3)).astype(np.uint8)
    code = {
        "5": rle,
        "4.80": imagecodecs.jpegls_encode,
        "4.70": lambda a: imagecodecs.jpeg8_encode(a, lossless=True, colorspace="RGB", outcolorspace="RGB"),
    }[syntax](ybr)
    coding = replace(grey(syntax, ybr[..., 0]), samples=3, photometric="YBR_FULL")
    found, expected = decode(code, coding), convert_color_space(ybr, "YBR_FULL", "RGB")
    assert np.abs(found.astype(int) - expected.astype(int)).max() <= 1


def test_the_headers_colour_space_goes_before_the_markers():
    rgb = np.full((16, 16, 3), (200, 30, 60), np.uint8)
    as_is = imagecodecs.jpeg8_encode(rgb, level=100, colorspace="RGB", outcolorspace="RGB")  # Adobe says RGB
    converted = imagecodecs.jpeg8_encode(rgb, level=100, colorspace="RGB", outcolorspace="YCBCR")  # JFIF
    coding = replace(grey("4.50", rgb[..., 0]), samples=3, photometric="RGB")
    assert np.abs(decode(as_is, coding).astype(int) - rgb).max() <= 2
    ybr = decode(converted, coding)  # values as coded: RGB says that they need no conversion
    assert np.abs(ybr.astype(int) - convert_color_space(rgb, "RGB", "YBR_FULL")).max() <= 2
    for photometric in ("YBR_FULL", "YBR_FULL_422"):
        assert (
            np.abs(decode(converted, replace(coding, photometric=photometric)).astype(int) - rgb).max() <= 2
        )


SEEDS = [
    "MR_small_RLE.dcm",
    "SC_rgb_jpeg_dcmtk.dcm",
    "JPEG-lossy.dcm",
    "JPEG-LL.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "MR_small_jp2klossless.dcm",
]


@pytest.mark.parametrize("name", SEEDS)
def test_a_frame_of_another_size_than_the_header_is_refused(name):
    code, coding = frame_of(named(name)), coding_of(named(name))
    check(code, coding)
    for change in (
        {"rows": 15_000, "columns": 15_000},
        {"samples": 4 - coding.samples, "photometric": "RGB"},
    ):
        with pytest.raises(DecodeError) as refused:
            check(code, replace(coding, **change))
        assert refused.value.kind == "damaged"
    with pytest.raises(DecodeError) as refused:
        check(code, replace(coding, rows=65_535, columns=65_535))
    assert refused.value.kind == "too large"


@pytest.mark.parametrize(
    ("name", "at", "lie"),
    [
        ("SC_rgb_jpeg_dcmtk.dcm", b"\xff\xc0", 5),
        ("JPEG-LL.dcm", b"\xff\xc3", 5),
        ("MR_small_jpeg_ls_lossless.dcm", b"\xff\xf7", 5),
        ("MR_small_jp2klossless.dcm", b"\xff\x51", 6),
    ],
)
def test_a_code_stream_that_says_it_is_vast_is_refused(name, at, lie):
    code, coding = bytearray(frame_of(named(name))), coding_of(named(name))
    place = code.index(at) + lie
    code[place : place + (8 if lie == 6 else 4)] = b"\x00\x00\xff\xff" * 2 if lie == 6 else b"\xff" * 4
    with pytest.raises(DecodeError, match="65535"):
        check(bytes(code), coding)


def test_a_grid_of_countless_tiles_is_refused():
    code, coding = bytearray(frame_of(named("693_J2KR.dcm"))), coding_of(named("693_J2KR.dcm"))
    code[24:32] = struct.pack(">II", 2, 2)
    with pytest.raises(DecodeError, match="65536 tiles"):
        check(bytes(code), coding)


@pytest.mark.parametrize("name", SEEDS)
@pytest.mark.parametrize("part", [0.02, 0.5, 0.9])
def test_a_frame_cut_short_is_refused(name, part):
    code, coding = frame_of(named(name)), coding_of(named(name))
    with pytest.raises(DecodeError) as refused:
        decode(code[: int(len(code) * part)], coding)
    assert refused.value.kind == "damaged"
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("syntax", "name"), [("4.102", "MPEG-4"), ("4.107", "HEVC"), ("4.110", "JPEG XL")])
def test_what_has_no_decoder_is_named(syntax, name):
    with pytest.raises(DecodeError, match=name) as refused:
        decode(b"", grey(syntax, np.zeros((4, 4), np.uint8)))
    assert refused.value.kind == "no decoder"
