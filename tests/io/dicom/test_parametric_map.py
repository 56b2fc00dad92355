from __future__ import annotations

import warnings

import highdicom as hd
import numpy as np
import pytest
from builders import OF_A_STUDY, affine_of, noise, write_dicom_series
from highdicom.pm import RealWorldValueMapping
from pydicom import dcmread
from pydicom.sr.codedict import codes
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    generate_uid,
)

from voxcam import io

AFFINE = affine_of((30, -20, 45), (0.8, 0.9, 2.5), (10, 20, -30))
SHAPE = (13, 11, 6)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ct")
    return [dcmread(path) for path in write_dicom_series(folder, noise(SHAPE), AFFINE, **OF_A_STUDY)]


def mapping(slope=1.0, intercept=0.0, low=-1e6, high=1e6):
    return RealWorldValueMapping(
        lut_label="1",
        lut_explanation="a test",
        unit=codes.UCUM.NoUnits,
        value_range=(low, high),
        slope=slope,
        intercept=intercept,
    )


def write_map(path, source, pixels, mapped=None, **more):
    """Write (k, j, i) by highdicom."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = hd.pm.ParametricMap(
            source_images=source,
            pixel_array=pixels,
            series_instance_uid=generate_uid(),
            series_number=9,
            sop_instance_uid=generate_uid(),
            instance_number=1,
            manufacturer="None",
            manufacturer_model_name="None",
            software_versions="0",
            device_serial_number="0",
            contains_recognizable_visual_features=False,
            real_world_value_mappings=[mapped or mapping()],
            window_center=0.5,
            window_width=1.0,
            **more,
        )
    made.save_as(path)
    return path


def read(path):
    (series,) = io.scan(path).series
    assert series.kind == "parametric map"
    return io.read(series)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_real_numbers_come_back_as_they_were_where_they_were(source, kind, tmp_path):
    values = np.random.default_rng(0).normal(size=SHAPE[::-1]).astype(kind)
    volume = read(write_map(tmp_path / "a", source, values))
    assert volume.voxels.dtype == np.float32
    np.testing.assert_array_equal(volume.voxels, values.transpose(2, 1, 0).astype(np.float32))
    np.testing.assert_allclose(volume.affine, AFFINE, atol=1e-4)
    assert (volume.window.centre, volume.window.width) == (0.5, 1)


def test_whole_numbers_become_real_world_values(source, tmp_path):
    stored = np.random.default_rng(0).integers(0, 4000, SHAPE[::-1]).astype(np.uint16)
    volume = read(write_map(tmp_path / "a", source, stored, mapping(0.25, -100, 0, 4095)))
    np.testing.assert_allclose(volume.voxels, stored.transpose(2, 1, 0) * 0.25 - 100, rtol=1e-6)


@pytest.mark.parametrize(
    "syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian]
)
def test_real_numbers_of_every_little_endian_coding_are_the_same(source, syntax, tmp_path):
    values = np.random.default_rng(0).normal(size=SHAPE[::-1]).astype(np.float32)
    path = write_map(tmp_path / "a", source, values)
    dataset = dcmread(path)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(
        path, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=True, enforce_file_format=True
    )
    np.testing.assert_array_equal(read(path).voxels, values.transpose(2, 1, 0))


def test_what_is_no_number_stays_none(source, tmp_path):
    values = np.ones(SHAPE[::-1], np.float32)
    values[2, 3, 4], values[1, 1, 1] = np.nan, np.inf
    found = np.asarray(read(write_map(tmp_path / "a", source, values)).voxels)
    assert np.isnan(found[4, 3, 2])
    assert np.isinf(found[1, 1, 1])
    assert np.isfinite(found).sum() == found.size - 2
