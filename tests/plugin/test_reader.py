from __future__ import annotations

import subprocess
import sys
import zipfile

import nibabel
import numpy as np
import pydicom
import pytest
from builders import noise, write_dicom_series
from napari.layers import Layer
from pydicom.data import get_testdata_file

from voxcam.core.geometry import Geometry
from voxcam.core.volume import Volume
from voxcam.errors import ExportError, ReadError
from voxcam.export.nifti import write_nifti as save
from voxcam.plugin import samples
from voxcam.plugin.canvas.appearance import made_of, measured_nothing, moment_words
from voxcam.plugin.reader import as_layer, get_reader, read
from voxcam.plugin.writer import write_nifti
from voxcam.samples import SAMPLES, sample_path


@pytest.mark.parametrize(
    "module",
    ["reader", "samples", "writer", "commands", "keys", "review.review", "canvas.frame", "canvas.picture"],
)
def test_importing_it_loads_neither_torch_nor_monai_nor_the_viewer(module):
    code = f"import sys, voxcam.plugin.{module}; print({{'torch', 'monai', 'napari'}} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


def test_a_folder_of_dicom_files_without_endings_is_taken(tmp_path):
    write_dicom_series(tmp_path / "study", np.zeros((4, 4, 3), np.int16))
    assert get_reader(str(tmp_path / "study")) is read
    assert get_reader([str(path) for path in (tmp_path / "study").iterdir()]) is read


def test_what_is_no_scan_is_left_to_others(tmp_path):
    (tmp_path / "photo.png").write_bytes(b"\x89PNG" + b"0" * 200)
    (tmp_path / "short").write_bytes(b"DICM")
    for nothing in (tmp_path / "photo.png", tmp_path / "short", tmp_path / "absent", tmp_path):
        assert get_reader(str(nothing)) is None
    assert get_reader(3) is None
    assert get_reader([]) is None


def test_a_folder_is_read_largest_series_visible_the_others_hidden(tmp_path):
    write_dicom_series(tmp_path / "a", np.zeros((4, 4, 3), np.int16))
    write_dicom_series(tmp_path / "b", np.ones((6, 5, 4), np.int16))
    layers = read(str(tmp_path))
    assert [voxels.size for voxels, _, _ in layers] == [48, 120]
    assert [attributes["visible"] for _, attributes, _ in layers] == [False, True]
    assert layers[-1][1]["metadata"]["series_left_out"] == 0


def test_of_many_series_only_the_largest_are_opened(tmp_path):
    for number in range(10):
        write_dicom_series(tmp_path / str(number), np.zeros((4, 4, 3), np.int16))
    layers = read(str(tmp_path))
    assert len(layers) == 8
    assert layers[-1][1]["metadata"]["series_left_out"] == 2


def test_a_damaged_scan_is_one_clear_error(tmp_path):
    (tmp_path / "broken.nii.gz").write_bytes(b"not a scan")
    with pytest.raises(ReadError, match="expected an image series"):
        get_reader(str(tmp_path / "broken.nii.gz"))(str(tmp_path / "broken.nii.gz"))


def test_layer_data_makes_a_layer_whose_name_tells_no_path(tmp_path):
    path = tmp_path / "doe_jane_19500101.nii.gz"
    save(Volume(np.zeros((4, 5, 6), np.int16), Geometry((4, 5, 6), np.eye(4))), path)
    (data,) = read(str(path))
    layer = Layer.create(*data)
    assert "doe" not in layer.name + str(layer.metadata["volume"].source) + str(layer.source)
    assert layer.data.shape == (6, 5, 4)
    assert not layer.rgb


@pytest.mark.parametrize("name", list(SAMPLES))
def test_every_sample_opens_with_its_labels_on_its_grid(name):
    layers = [Layer.create(*data) for data in getattr(samples, name)()]
    assert len(layers) == (1 if SAMPLES[name].labels is None else 2)
    assert all(layer.data.shape == layers[0].data.shape for layer in layers)
    assert all(np.allclose(layer.translate, layers[0].translate, atol=1e-2) for layer in layers)


def test_a_scan_saved_from_its_layer_has_the_true_affine_of_an_oblique_scan(tmp_path):
    from voxcam.io import read as read_series
    from voxcam.io import scan

    volume = read_series(scan(sample_path(SAMPLES["mr_brain_oblique"].scan)).choose())
    layer = Layer.create(*as_layer(volume))
    written = write_nifti(str(tmp_path / "out.nii.gz"), *layer.as_layer_data_tuple()[:2])
    saved = nibabel.load(written[0])
    for index in ((0, 0, 0), (200, 31, 12)):
        at = np.rint(np.linalg.inv(saved.affine) @ [*volume.geometry.to_world(index), 1])[:3].astype(int)
        assert np.allclose(saved.affine @ [*at, 1], [*volume.geometry.to_world(index), 1], atol=1e-3)
        assert saved.get_fdata()[tuple(at)] == volume.voxels[index]


def test_evidence_is_saved_raw_on_the_scan_grid(tmp_path, scan, explained):
    from napari.components import ViewerModel

    from voxcam.plugin.canvas.layers import ReviewLayers
    from voxcam.plugin.review.review import Review

    review = Review()
    layers = ReviewLayers(ViewerModel(), review)
    review.open(scan)
    review.adopt(explained)
    review.set_look(threshold=0.5, opacity=0.2, layered=True)
    data, attributes, _ = layers.classes.by_class["nodule"].as_layer_data_tuple()
    write_nifti(str(tmp_path / "evidence.nii.gz"), data, attributes)
    saved = nibabel.as_closest_canonical(nibabel.load(tmp_path / "evidence.nii.gz"))
    assert saved.get_data_dtype() == np.float32
    truth = explained.heatmap("nodule").evidence.reordered("RAS")
    assert np.allclose(saved.affine, truth.affine, atol=1e-4)
    assert np.allclose(saved.get_fdata(), truth.voxels, atol=1e-5)


def test_a_layer_of_unknown_place_is_not_written(tmp_path):
    with pytest.raises(ExportError, match="not known"):
        write_nifti(str(tmp_path / "x.nii.gz"), np.zeros((3, 3, 3)), {"metadata": {}})
    geometry = Geometry((4, 4, 4), np.eye(4))
    with pytest.raises(ExportError, match="changed"):
        write_nifti(str(tmp_path / "x.nii.gz"), np.zeros((3, 3, 3)), {"metadata": {"geometry": geometry}})
    assert not (tmp_path / "x.nii.gz").exists()


def test_time_is_written_last(tmp_path):
    moving = np.random.default_rng(0).normal(size=(3, 4, 5, 2)).astype(np.float32)
    volume = Volume(moving, Geometry((3, 4, 5), np.diag([-1.0, -1, -1, 1])))
    layer = Layer.create(*as_layer(volume))
    write_nifti(str(tmp_path / "t.nii.gz"), *layer.as_layer_data_tuple()[:2])
    saved = nibabel.load(tmp_path / "t.nii.gz")
    at = np.rint(np.linalg.inv(saved.affine) @ [*volume.geometry.to_world((1, 2, 3)), 1])[:3].astype(int)
    assert saved.shape[3] == 2
    assert np.allclose(saved.get_fdata()[tuple(at)], moving[1, 2, 3], atol=1e-6)


def test_a_colour_image_is_a_layer_of_colours():
    (data,) = read(get_testdata_file("SC_rgb_rle_2frame.dcm"))
    layer = Layer.create(*data)
    assert layer.rgb
    assert layer.data.shape == (2, 1, 100, 100, 3)
    truth = pydicom.dcmread(get_testdata_file("SC_rgb_2frame.dcm")).pixel_array
    np.testing.assert_array_equal(np.asarray(layer.data)[:, 0], truth)


def test_a_zip_of_a_study_opens(tmp_path):
    paths = write_dicom_series(tmp_path / "in", noise())
    archive = tmp_path / "study.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for path in paths:
            packed.write(path, f"doe/{path.name}")
    (data,) = get_reader(str(archive))(str(archive))
    assert data[0].shape == (4, 5, 7)


def test_a_series_with_a_gap_keeps_its_places_and_says_so(tmp_path):
    paths = write_dicom_series(tmp_path, noise((7, 5, 6)))
    paths[3].unlink()
    (data,) = read(str(tmp_path))
    layer = Layer.create(*data)
    volume = layer.metadata["volume"]
    assert layer.data.shape == (6, 5, 7)
    assert volume.empty == (3,)
    assert made_of(volume) == "1 slice is missing: its place is empty"
    # Six slices upwards: k = 3 is the third from above.
    assert [measured_nothing(volume, 0, index) for index in range(6)] == [index == 2 for index in range(6)]
    assert not measured_nothing(volume, 1, 2)


def test_echoes_are_the_first_axis_and_named(tmp_path):
    uids = {"SeriesInstanceUID": "1.2.3", "FrameOfReferenceUID": "1.2.4", "Modality": "MR"}
    for echo in (10.0, 4.5):
        write_dicom_series(tmp_path / str(echo), noise(seed=int(echo)), EchoTime=echo, **uids)
    (data,) = read(str(tmp_path))
    layer = Layer.create(*data)
    volume = layer.metadata["volume"]
    assert layer.data.shape == (2, 4, 5, 7)
    assert layer.axis_labels[0] == "echo time"
    assert moment_words(volume.fourth, 1, 2) == "echo time 10 ms (2 of 2)"


def test_what_is_drawn_over_an_image_is_a_layer_of_its_own():
    kinds = [kind for _, _, kind in read(get_testdata_file("MR-SIEMENS-DICOM-WithOverlays.dcm"))]
    assert sorted(kinds) == ["image", "labels"]
