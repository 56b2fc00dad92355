from __future__ import annotations

import numpy as np
import pytest
from builders import slice_dataset, write
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.pixels.processing import apply_color_lut

from voxcam import io
from voxcam.core.volume import COLOUR
from voxcam.errors import ReadError

RGB = np.random.default_rng(0).integers(0, 256, (6, 8, 3)).astype(np.uint8)


def read(place):
    return io.read(io.scan(place).choose())


def rgb_of(volume, moment=None):
    """(rows, columns, 3) of a volume one slice deep."""
    assert volume.voxels.dtype == COLOUR
    voxels = np.asarray(volume.voxels)[:, :, 0]
    voxels = voxels if moment is None else voxels[..., moment]
    return np.stack([voxels[name].T for name in "RGB"], axis=-1)


def write_colour(path, pixels, photometric="RGB", planar=0, samples=3, **elements):
    """Write bytes as they are to lie in the file, of an image of the size of `RGB`."""
    dataset = slice_dataset(np.zeros(RGB.shape[1::-1], np.uint16), np.eye(4), 0, "OT")
    del dataset.RescaleSlope, dataset.RescaleIntercept
    dataset.SeriesInstanceUID = "1.2.3"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = samples, photometric
    dataset.PlanarConfiguration = planar
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.PixelData = pixels
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    dataset["PixelData"].VR = "OB" if dataset.BitsAllocated == 8 else "OW"
    write(dataset, path)
    return path


@pytest.mark.parametrize("planar", [0, 1])
def test_planes_of_colour_are_the_same_as_pixels_of_it(planar, tmp_path):
    lying = RGB if planar == 0 else np.moveaxis(RGB, -1, 0)
    volume = read(write_colour(tmp_path / "a", lying.tobytes(), planar=planar))
    np.testing.assert_array_equal(rgb_of(volume), RGB)


def ycbcr(rgb):
    """ITU-R BT.601 of the full range, PS3.3 C.7.6.3.1.2, in real numbers."""
    r, g, b = np.moveaxis(rgb.astype(float), -1, 0)
    y = 0.2990 * r + 0.5870 * g + 0.1140 * b
    cb = -0.1687 * r - 0.3313 * g + 0.5000 * b + 128
    cr = 0.5000 * r - 0.4187 * g - 0.0813 * b + 128
    return np.clip(np.rint(np.stack([y, cb, cr], axis=-1)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("planar", [0, 1])
def test_ybr_full_is_turned_to_red_green_and_blue(planar, tmp_path):
    stored = ycbcr(RGB)
    lying = stored if planar == 0 else np.moveaxis(stored, -1, 0)
    volume = read(write_colour(tmp_path / "a", lying.tobytes(), "YBR_FULL", planar=planar))
    # Rounded to 8 bits twice.
    assert np.abs(rgb_of(volume).astype(int) - RGB).max() <= 2


def test_of_two_pixels_of_ybr_full_422_the_colour_is_shared(tmp_path):
    smooth = np.repeat(RGB[:, ::2], 2, axis=1)  # neighbours alike, so that nothing is lost
    stored = ycbcr(smooth)
    lying = np.stack([stored[:, ::2, 0], stored[:, 1::2, 0], stored[:, ::2, 1], stored[:, ::2, 2]], axis=-1)
    volume = read(write_colour(tmp_path / "a", lying.tobytes(), "YBR_FULL_422"))
    assert np.abs(rgb_of(volume).astype(int) - smooth).max() <= 2


@pytest.mark.parametrize("name", ["SC_ybr_full_422_uncompressed.dcm", "SC_ybr_full_uncompressed.dcm"])
def test_real_ybr_files_are_what_pydicom_makes_of_them(name):
    path = get_testdata_file(name)
    theirs = dcmread(path).pixel_array
    ours = rgb_of(read(path))
    reference = rgb_of(read(get_testdata_file("SC_rgb.dcm")))
    assert ours.shape == theirs.shape
    # The one picture, in another coding: within what 8 bits of YBR and shared colour lose.
    assert np.abs(ours.astype(int) - reference)[2:-2].mean() < 3


def palette(bits, entries=256, first=0, seed=0):
    """(entries, 3) of a table, and its elements."""
    high = np.random.default_rng(seed).integers(0, 2**bits, (entries, 3))
    kind = np.uint8 if bits == 8 else "<u2"
    elements = {}
    for name, column in zip(("Red", "Green", "Blue"), high.T, strict=True):
        elements[f"{name}PaletteColorLookupTableDescriptor"] = [entries % 65536, first, bits]
        elements[f"{name}PaletteColorLookupTableData"] = column.astype(kind).tobytes()
    return high, elements


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(("entries", "first"), [(256, 0), (200, 0), (100, 30)])
def test_a_palette_is_looked_up_and_its_ends_go_on(bits, entries, first, tmp_path):
    table, elements = palette(bits, entries, first)
    index = np.random.default_rng(1).integers(0, 256, (6, 8)).astype(np.uint8)
    volume = read(write_colour(tmp_path / "a", index.tobytes(), "PALETTE COLOR", samples=1, **elements))
    place = np.clip(index.astype(int) - first, 0, entries - 1)
    expected = table[place] if bits == 8 else table[place] >> 8
    np.testing.assert_array_equal(rgb_of(volume), expected)


def test_a_palette_of_sixteen_bit_indices_is_looked_up(tmp_path):
    table, elements = palette(16, 4096, 0)
    index = np.random.default_rng(1).integers(0, 4096, (6, 8)).astype("<u2")
    bits = {"BitsAllocated": 16, "BitsStored": 16, "HighBit": 15}
    volume = read(
        write_colour(tmp_path / "a", index.tobytes(), "PALETTE COLOR", samples=1, **bits, **elements)
    )
    np.testing.assert_array_equal(rgb_of(volume), table[index] >> 8)


@pytest.mark.parametrize("name", ["OT-PAL-8-face.dcm", "examples_palette.dcm"])
def test_real_palettes_are_what_pydicom_makes_of_them(name):
    path = get_testdata_file(name)
    dataset = dcmread(path, force=True)
    dataset.file_meta.setdefault("TransferSyntaxUID", "1.2.840.10008.1.2")  # one has no group 2
    theirs = apply_color_lut(dataset.pixel_array, dataset)
    theirs = theirs if theirs.dtype == np.uint8 else theirs >> 8
    np.testing.assert_array_equal(rgb_of(read(path)), theirs)


@pytest.mark.parametrize(
    "harm",
    [
        {"RedPaletteColorLookupTableData": b"\0\1"},
        {"BluePaletteColorLookupTableDescriptor": [300, 0, 16]},
        {"GreenPaletteColorLookupTableData": b""},
    ],
)
def test_a_palette_that_is_not_what_it_says_is_refused_in_one_line(harm, tmp_path):
    _, elements = palette(16)
    path = write_colour(tmp_path / "a", bytes(48), "PALETTE COLOR", samples=1, **{**elements, **harm})
    with pytest.raises(ReadError, match="palette") as caught:
        read(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("OBXXXX1A.dcm", "OBXXXX1A_expb.dcm"),
        ("OBXXXX1A.dcm", "OBXXXX1A_rle.dcm"),
        ("OBXXXX1A_2frame.dcm", "OBXXXX1A_expb_2frame.dcm"),
        ("OBXXXX1A_2frame.dcm", "OBXXXX1A_rle_2frame.dcm"),
        ("SC_rgb.dcm", "SC_rgb_expb.dcm"),
        ("SC_rgb_2frame.dcm", "SC_rgb_expb_2frame.dcm"),
        ("SC_rgb.dcm", "SC_rgb_rle.dcm"),
        ("SC_rgb_small_odd.dcm", "SC_rgb_small_odd_big_endian.dcm"),
        ("color-px.dcm", "color-pl.dcm"),
        ("693_UNCR.dcm", "693_J2KR.dcm"),
        ("US1_UNCR.dcm", "US1_J2KR.dcm"),
        ("liver.dcm", "liver_expb.dcm"),
    ],
)
def test_two_codings_of_one_picture_are_the_same(one, other):
    first, second = (np.asarray(read(get_testdata_file(name)).voxels) for name in (one, other))
    np.testing.assert_array_equal(first, second)


def test_red_green_and_blue_are_as_pydicom_has_them():
    path = get_testdata_file("examples_rgb_color.dcm")
    np.testing.assert_array_equal(rgb_of(read(path)), dcmread(path).pixel_array)


@pytest.mark.parametrize(
    ("photometric", "columns"),
    [("YBR_FULL_422", 7), ("YBR_PARTIAL_420", 8)],
)
def test_colour_that_cannot_lie_uncompressed_is_refused(photometric, columns, tmp_path):
    path = write_colour(tmp_path / "a", RGB.tobytes(), photometric, Columns=columns)
    study = io.scan(path)
    assert (study.refused, study.series) == (1, ())
