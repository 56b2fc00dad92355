from __future__ import annotations

import nibabel
import numpy as np
import pytest
from grids import geometries, poses
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.export.phantoms import explained, spot, study, two_classes
from voxcam.core.geometry import Geometry
from voxcam.core.volume import Volume
from voxcam.errors import ExportError
from voxcam.export.nifti import write_heatmaps_nifti, write_nifti

FREE_TEXT = ("descrip", "aux_file", "intent_name", "db_name", "data_type")


@given(geometries(shear=False), st.integers(0, 10**6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_voxel_is_read_back_at_its_world_point_by_sform_and_by_qform(tmp_path_factory, geometry, seed):
    voxels = np.zeros(geometry.shape, np.float32)
    at = np.unravel_index(seed % voxels.size, geometry.shape)
    voxels[at] = 7.5
    path = write_nifti(Volume(voxels, geometry), tmp_path_factory.mktemp("nifti") / "one.nii")
    image = nibabel.load(path)
    found = np.unravel_index(int(image.get_fdata().argmax()), geometry.shape)
    sform, scode = image.get_sform(coded=True)
    qform, qcode = image.get_qform(coded=True)
    assert (scode, qcode) == (1, 1)
    assert image.header.get_xyzt_units()[0] == "mm"
    for affine in (sform, qform):
        np.testing.assert_allclose(
            nibabel.affines.apply_affine(affine, found), geometry.to_world(at), rtol=1e-4, atol=2e-3
        )


@given(poses())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=10)
def test_a_sheared_stack_keeps_its_affine_and_states_no_qform(tmp_path_factory, affine):
    leaning = affine @ np.array([[1, 0, 0.2, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    geometry = Geometry((2, 3, 4), leaning)
    if np.abs(geometry.directions.T @ geometry.directions - np.eye(3)).max() < 1e-3:
        return
    path = write_nifti(
        Volume(np.zeros((2, 3, 4), np.int16), geometry), tmp_path_factory.mktemp("n") / "a.nii"
    )
    image = nibabel.load(path)
    np.testing.assert_allclose(image.affine, leaning, rtol=1e-4, atol=1e-3)
    assert image.get_qform(coded=True)[1] == 0


def test_the_header_holds_no_free_text(tmp_path):
    volume = Volume(np.zeros((2, 2, 2)), Geometry((2, 2, 2), np.eye(4)), source={"note": "DOE^JANE"})
    path = write_nifti(volume, tmp_path / "a.nii")
    header = nibabel.load(path).header
    assert not any(bytes(header[name].tobytes()).strip(b"\0") for name in FREE_TEXT)
    assert not header.extensions
    assert b"DOE" not in path.read_bytes()


@pytest.mark.parametrize(
    ("dtype", "stored"),
    [(bool, "uint8"), (np.int16, "int16"), (np.int64, "int32"), (np.float16, "float32"), (float, "float64")],
)
def test_values_survive_in_a_type_that_readers_know(tmp_path, dtype, stored):
    voxels = np.arange(-4, 4).reshape(2, 2, 2).astype(dtype)
    image = nibabel.load(write_nifti(Volume(voxels, Geometry((2, 2, 2), np.eye(4))), tmp_path / "a.nii.gz"))
    assert image.get_data_dtype() == np.dtype(stored)
    np.testing.assert_array_equal(np.asarray(image.dataobj), voxels.astype(float))


def test_outside_the_patients_frame_the_file_does_not_claim_the_scanner(tmp_path):
    volume = study((4, 4, 1), frame="detector")
    image = nibabel.load(write_nifti(volume, tmp_path / "a.nii"))
    assert image.get_sform(coded=True)[1] == 2
    assert image.get_qform(coded=True)[1] == 0
    np.testing.assert_allclose(image.affine, volume.affine, atol=1e-4)


@pytest.mark.parametrize("grid", ["study", "network"])
def test_heatmaps_are_written_raw_where_they_lie(tmp_path, grid):
    explanation = two_classes()
    files = write_heatmaps_nifti(explanation, tmp_path / "nifti", grid)
    assert [path.name for path in files] == [
        "heatmap-nodule-grad-cam.nii.gz",
        "heatmap-normal-grad-cam.nii.gz",
    ]
    for path, heatmap in zip(files, explanation.heatmaps, strict=True):
        image = nibabel.load(path)
        on = explanation.volume.geometry if grid == "study" else heatmap.evidence.geometry
        assert image.get_data_dtype() == np.float32
        np.testing.assert_allclose(image.affine, on.affine, atol=1e-4)
        np.testing.assert_allclose(image.get_fdata(), np.asarray(heatmap.on(on).voxels), rtol=1e-6)
    assert nibabel.load(files[1]).get_fdata().min() == pytest.approx(-3.0, rel=0.5)  # negative stays


def test_what_the_network_did_not_see_stays_nan(tmp_path):
    volume = study()
    values = spot()
    values[0] = np.nan
    (path,) = write_heatmaps_nifti(explained(volume, {"n": values}), tmp_path / "nifti", "network")
    np.testing.assert_array_equal(np.isnan(nibabel.load(path).get_fdata()), np.isnan(values))
    part = volume.geometry.window((0, 0, 0), (1, 1, 1), (10, 24, 10))
    explanation = explained(volume, {"n": spot()})
    seen = Volume(np.ones(part.shape, np.float32), part, unit="logit")
    heatmap = type(explanation.heatmaps[0])(seen, "n", "grad-cam", "layer4")
    (path,) = write_heatmaps_nifti(type(explanation)({"n": 0.5}, {}, (heatmap,), volume), tmp_path / "b")
    read = nibabel.load(path).get_fdata()
    assert np.isfinite(read[:10]).all()
    assert np.isnan(read[10:]).all()


def test_two_runs_give_the_same_bytes(tmp_path):
    first = write_heatmaps_nifti(two_classes(), tmp_path / "a")
    second = write_heatmaps_nifti(two_classes(), tmp_path / "b")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_what_is_there_is_left_as_it_is(tmp_path):
    (tmp_path / "a.nii").write_bytes(b"mine")
    with pytest.raises(ExportError, match="exists already"):
        write_nifti(study(), tmp_path / "a.nii")
    assert (tmp_path / "a.nii").read_bytes() == b"mine"
    with pytest.raises(ExportError, match="exists already"):
        write_heatmaps_nifti(two_classes(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a.nii"]


def test_what_cannot_be_written_is_refused_in_one_line(tmp_path):
    from dataclasses import replace

    explanation = two_classes()
    with pytest.raises(ExportError, match="without its study"):
        write_heatmaps_nifti(replace(explanation, volume=None), tmp_path / "a")
    assert len(write_heatmaps_nifti(replace(explanation, volume=None), tmp_path / "b", "network")) == 2
    with pytest.raises(ExportError, match="no heatmaps"):
        write_heatmaps_nifti(replace(explanation, heatmaps=()), tmp_path / "c")
    with pytest.raises(ExportError, match="there is study, network"):
        write_heatmaps_nifti(explanation, tmp_path / "d", "patient")
    with pytest.raises(ExportError, match=r"\.nii or \.nii\.gz"):
        write_nifti(study(), tmp_path / "e.mha")
    big = Volume(np.full((2, 2, 2), 2**40), Geometry((2, 2, 2), np.eye(4)))
    with pytest.raises(ExportError, match="32 bits"):
        write_nifti(big, tmp_path / "f.nii")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b"]
