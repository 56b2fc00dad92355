from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import apply_windowing
from pydicom.pixels.processing import apply_voi
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from voxcam.core.windows import Window
from voxcam.io.dicom.windows import windows_of

SYNTAXES = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian]


def table_item(first, outputs, bits=16, entries=None, vr="US", explanation=None):
    item = Dataset()
    item.LUTDescriptor = [len(outputs) % 65536 if entries is None else entries, first, bits]
    item["LUTDescriptor"].VR = vr
    item.LUTData = outputs
    item["LUTData"].VR = "OW" if isinstance(outputs, bytes) else "US"
    if explanation is not None:
        item.LUTExplanation = explanation
    return item


def image(*items, **elements):
    dataset = Dataset()
    dataset.PixelRepresentation = 0
    dataset.BitsStored = 16
    dataset.PhotometricInterpretation = "MONOCHROME2"
    if items:
        dataset.VOILUTSequence = list(items)
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def through_a_file(dataset, tmp_path, syntax):
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.3"
    dataset.save_as(tmp_path / "image", enforce_file_format=True)
    return dcmread(tmp_path / "image")


def test_the_table_of_a_real_file_agrees_with_pydicom():
    dataset = dcmread(get_testdata_file("vlut_04.dcm"))
    tables = [window for window in windows_of(dataset) if window.function == "TABLE"]
    values = np.arange(0, 300)
    assert len(tables) == 1
    np.testing.assert_allclose(tables[0].apply(values), apply_voi(values, dataset) / 65535, atol=1e-6)


def test_the_windows_of_a_real_file_agree_with_pydicom():
    dataset = dcmread(get_testdata_file("MR-SIEMENS-DICOM-WithOverlays.dcm"), stop_before_pixels=True)
    windows = windows_of(dataset)
    assert len(windows) == 2
    values = np.arange(0, 4096, dtype=np.uint16)
    for index, window in enumerate(windows):
        theirs = apply_windowing(values, dataset, index) / 4095
        np.testing.assert_allclose(window.apply(values), theirs, atol=1e-5)


def test_the_window_of_a_real_functional_group_is_read():
    dataset = dcmread(get_testdata_file("eCT_Supplemental.dcm"), stop_before_pixels=True)
    (item,) = dataset.SharedFunctionalGroupsSequence[0].FrameVOILUTSequence
    assert windows_of(item, signed=True) == (Window(49, 102, "", "LINEAR"),)
    assert windows_of(dcmread(get_testdata_file("mlut_18.dcm"))) == ()  # its modality table is none


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("as_bytes", [True, False])
@pytest.mark.parametrize(("signed", "first"), [(0, 40000), (0, 5), (1, -300), (1, 7)])
def test_a_table_written_to_a_file_agrees_with_pydicom(syntax, as_bytes, signed, first, tmp_path):
    outputs = np.random.default_rng(0).integers(0, 4096, 101).astype(np.uint16)
    outputs[3] = 4095
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    item = table_item(
        first,
        outputs.astype(f"{order}u2").tobytes() if as_bytes else outputs.tolist(),
        12,
        len(outputs),
        "SS" if signed else "US",
        "HARDER",
    )
    dataset = through_a_file(image(item, PixelRepresentation=signed), tmp_path, syntax)
    (window,) = windows_of(dataset)
    values = np.arange(first - 20, first + 130)
    np.testing.assert_allclose(window.apply(values), apply_voi(values, dataset) / 4095, atol=1e-6)
    assert window.name == "harder"


@pytest.mark.parametrize(("bits", "full"), [(10, 1023), (12, 4095), (14, 16383), (16, 1023)])
def test_brightness_is_a_share_of_the_stated_bits_but_of_those_in_use_where_16_are_stated(bits, full):
    (window,) = windows_of(image(table_item(0, [0, 600, 1000], bits)))
    assert window.table == pytest.approx((0, 600 / full, 1000 / full))


def test_entries_beyond_the_stated_bits_stay_within_white():
    (window,) = windows_of(image(table_item(0, [0, 4095], 10)))
    assert window.table == (0, 1)


@pytest.mark.parametrize("entries", [256, 255])
@pytest.mark.parametrize("as_bytes", [True, False])
def test_entries_of_8_bits_may_be_packed_two_to_a_word(entries, as_bytes):
    outputs = np.random.default_rng(1).permutation(256)[:entries].astype(np.uint8)
    packed = outputs.tobytes() + b"\0" * (entries % 2)
    data = packed if as_bytes else np.frombuffer(packed, "<u2").tolist()
    (window,) = windows_of(image(table_item(0, data, 8, entries)))
    np.testing.assert_allclose(window.apply(np.arange(entries)), outputs / 255, atol=1e-6)


def test_no_entries_stands_for_65536():
    outputs = np.arange(65536, dtype="<u2")
    (window,) = windows_of(image(table_item(0, outputs.tobytes(), 16, 0)))
    assert window.ends == (0, 65535)
    np.testing.assert_allclose(window.apply([0, 32768, 70000]), [0, 32768 / 65535, 1], atol=1e-6)


@pytest.mark.parametrize(
    ("elements", "first"),
    [
        ({"PixelRepresentation": 1}, -1024),
        ({"RescaleIntercept": "-1024"}, -1024),
        ({}, 64512),
        ({"RescaleIntercept": "0"}, 64512),
    ],
)
def test_a_first_value_is_signed_where_values_may_be(elements, first):
    (window,) = windows_of(image(table_item(64512, [0, 1, 2]), **elements))
    assert window.ends[0] == first


def test_an_item_of_a_functional_group_cannot_tell_the_sign():
    item = Dataset()
    item.WindowCenter, item.WindowWidth = "40", "400"
    item.WindowCenterWidthExplanation, item.VOILUTFunction = "BRAIN", "SIGMOID"
    item.VOILUTSequence = [table_item(65036, [0, 9])]
    window, table = windows_of(item, signed=True)
    assert window == Window(40, 400, "brain", "SIGMOID")
    assert table.ends == (-500, -499)
    assert windows_of(item)[1].ends == (65036, 65037)


def test_windows_come_before_tables_and_damaged_entries_are_left_out():
    without_data, without_descriptor = table_item(0, [0, 1]), table_item(0, [0, 1])
    del without_data.LUTData
    del without_descriptor.LUTDescriptor
    broken = [
        without_data,
        without_descriptor,
        table_item(0, [0, 1], entries=3),
        table_item(0, [0, 1, 2, 3], entries=8),  # half of 12 bits is a loss, not packing
        table_item(0, [7], entries=1),
        table_item(0, [0, 0, 0]),
        table_item(0, b""),
    ]
    dataset = image(*broken, table_item(0, [0, 1, 3]), WindowCenter=["1", "2"], WindowWidth=["0", "9"])
    found = windows_of(dataset)
    assert [window.function for window in found] == ["LINEAR", "TABLE"]
    assert found[1].table == pytest.approx((0, 1 / 3, 1))


@pytest.mark.parametrize("explanation", ["for Mrs Canary", "NORMAL of 12.3.1970", ""])
def test_an_explanation_that_could_name_somebody_is_dropped(explanation):
    (window,) = windows_of(image(table_item(0, [0, 1], explanation=explanation)))
    assert window.name == ""


def test_no_more_tables_are_read_than_anybody_would_choose_from():
    assert len(windows_of(image(*itertools.repeat(table_item(0, [0, 1]), 1000)))) == 32


values = st.integers(0, 65535)


@given(
    st.one_of(st.lists(values, max_size=4), st.text(max_size=3), st.none()),
    st.one_of(st.lists(values, max_size=20), st.binary(max_size=40), st.text(max_size=4), st.none()),
    st.one_of(st.integers(-3, 3), st.text(max_size=2)),
)
def test_whatever_a_file_holds_is_a_window_or_nothing(descriptor, data, representation):
    item, dataset = Dataset(), Dataset()
    item.add_new(0x00283002, "UN", b"")
    item[0x00283002]._value = descriptor
    item.add_new(0x00283006, "UN", b"")
    item[0x00283006]._value = data
    dataset.VOILUTSequence = [item]
    dataset.add_new(0x00280103, "UN", b"")
    dataset[0x00280103]._value = representation
    for window in windows_of(dataset):
        assert 0 <= window.apply(np.arange(-100, 100)).min() <= 1
