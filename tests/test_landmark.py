"""One voxel planted in a DICOM series is at the same place in the patient everywhere it is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import nibabel
import numpy as np
import pytest
from builders import affine_of, write_dicom_series
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg

import voxcam
from voxcam.core.explanation import Explanation
from voxcam.core.heatmap import Heatmap
from voxcam.core.volume import Volume
from voxcam.core.windows import Window
from voxcam.export.figure import figure
from voxcam.export.nifti import write_heatmaps_nifti, write_nifti

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (40, 32, 12)
PLANTED = (30, 9, 8)
SERIES = {
    "axial": {"angles": (0, 0, 0)},
    "axial, feet first": {"angles": (0, 180, 0)},
    "coronal": {"angles": (90, 0, 0)},
    "sagittal": {"angles": (90, 0, 90)},
    "oblique by 8 degrees": {"angles": (8, 0, 0)},
    "tilted gantry": {"angles": (0, 0, 0), "shear": (0.0, 0.6)},
}


@pytest.fixture(params=list(SERIES))
def planted(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Volume, np.ndarray]:
    """The volume as read from files in shuffled order, and the landmark's world point, known beforehand."""
    affine = affine_of(**SERIES[request.param])
    voxels = np.full(SHAPE, 1024, np.int16)
    voxels[PLANTED] = 1424
    order = np.random.default_rng(0).permutation(SHAPE[2])
    write_dicom_series(tmp_path / "series", voxels, affine, order=order)
    volume = voxcam.read(voxcam.scan(tmp_path / "series").choose())
    return volume, (affine @ (*PLANTED, 1))[:3]


def _explained(volume: Volume) -> Explanation:
    """An explanation whose evidence is the landmark."""
    evidence = Volume(np.asarray(volume.voxels, np.float32) / 400, volume.geometry, unit="logit")
    heatmap = Heatmap(evidence, "landmark", "grad-cam", "layer")
    return Explanation({"landmark": 1.0}, {"landmark": 1.0}, (heatmap,), volume)


def _off(volume: Volume, found: np.ndarray, truth: np.ndarray) -> float:
    """Distance in voxels along the worst axis."""
    return float(np.abs(volume.geometry.to_index(found) - volume.geometry.to_index(truth)).max())


def test_in_the_volume(planted: tuple[Volume, np.ndarray]) -> None:
    volume, truth = planted
    at = np.unravel_index(np.argmax(volume.voxels), volume.shape)
    assert volume.voxels[at] == 400
    assert np.abs(volume.geometry.to_world(at) - truth).max() < 1e-3


def test_in_the_napari_layers(planted: tuple[Volume, np.ndarray]) -> None:
    pytest.importorskip("napari", reason="the plugin needs napari")
    from napari.components import ViewerModel

    from voxcam.plugin.canvas.frame import place
    from voxcam.plugin.canvas.layers import ReviewLayers
    from voxcam.plugin.review.review import Review

    volume, truth = planted
    review, viewer = Review(), ViewerModel()
    layers = ReviewLayers(viewer, review)
    review.open(volume)
    review.set_look(layered=True)
    review.adopt(_explained(volume))
    placement = place(volume.geometry)
    for layer in (layers.study, layers.classes.by_class["landmark"]):
        data = np.asarray(layer.data)
        display = np.array(layer.data_to_world(np.unravel_index(np.nanargmax(data), data.shape)))
        assert _off(volume, placement.to_world(display), truth) <= 0.5
        if not placement.is_turned:
            # napari's world is (-S, P, L) mm: down is to the back, right is to the patient's left.
            assert (
                np.abs(display - (-truth[2], -truth[1], -truth[0])).max()
                <= volume.geometry.spacing_mm.max() / 2
            )
        assert not layer.affine.affine_matrix[:3, :3].any() or np.array_equal(
            layer.affine.affine_matrix, np.eye(4)
        )


def test_in_the_exported_nifti(planted: tuple[Volume, np.ndarray], tmp_path: Path) -> None:
    volume, truth = planted
    [path] = write_heatmaps_nifti(_explained(volume), tmp_path / "maps", grid="study")
    image = nibabel.load(path)
    at = np.unravel_index(np.nanargmax(image.get_fdata()), image.shape[:3])
    assert _off(volume, nibabel.affines.apply_affine(image.affine, at), truth) <= 0.5


_RIGHT = st.sampled_from((0, 90, 180, 270))


@given(
    # The 24 orientations of a grid along the patient's axes, and those turned against them.
    angles=st.one_of(st.tuples(_RIGHT, _RIGHT, _RIGHT), st.tuples(*[st.floats(-180, 180)] * 3)),
    spacing=st.tuples(st.floats(0.3, 2), st.floats(0.3, 2), st.floats(0.6, 6)),
    shear=st.one_of(st.just((0.0, 0.0)), st.tuples(st.just(0.0), st.floats(-2, 2))),
    planted_at=st.tuples(*[st.integers(0, n - 1) for n in (7, 6, 5)]),
)
def test_there_and_back_in_any_orientation(
    angles: Any, spacing: Any, shear: Any, planted_at: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """DICOM to volume to napari's display to NIfTI and back: within a thousandth of a millimetre."""
    from napari.layers import Layer

    from voxcam.plugin.canvas.frame import place
    from voxcam.plugin.reader import as_layer

    folder = tmp_path_factory.mktemp("planted")
    affine = affine_of(angles, spacing, (35.0, -80.0, 620.0), shear)
    voxels = np.zeros((7, 6, 5), np.int16)
    voxels[planted_at] = 999
    write_dicom_series(folder / "series", voxels, affine, RescaleIntercept="0", order=[3, 0, 4, 1, 2])
    volume = voxcam.read(voxcam.scan(folder / "series").choose())
    truth = (affine @ (*planted_at, 1))[:3]

    def planted_in(array: Any) -> Any:
        return np.unravel_index(np.asarray(array).argmax(), np.shape(array))

    assert np.abs(volume.geometry.to_world(planted_in(volume.voxels)) - truth).max() < 1e-3
    layer = Layer.create(*as_layer(volume))
    display = layer.data_to_world(planted_in(layer.data))
    assert np.abs(place(volume.geometry).to_world(display) - truth).max() < 1e-3
    assert np.shares_memory(layer.data, volume.voxels)
    write_nifti(volume, folder / "out.nii.gz")
    back = voxcam.read(voxcam.scan(folder / "out.nii.gz").choose())
    assert np.abs(back.geometry.to_world(planted_in(back.voxels)) - truth).max() < 1e-3


@pytest.mark.parametrize(
    ("plane", "across", "down"), [("axial", 0, 1), ("coronal", 0, 2), ("sagittal", 1, 2)]
)
def test_in_the_figure_left_is_left(
    planted: tuple[Volume, np.ndarray], plane: str, across: int, down: int
) -> None:
    """In the picture's pixels: where the landmark is drawn, as a share of the panel's width and height.

    Radiological: the patient's right at the left, front and head at the top; of sagittal planes the
    front at the left.
    """
    volume, truth = planted
    drawn = figure(_explained(volume), plane=plane, window=Window(200, 400))
    canvas = FigureCanvasAgg(drawn)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3].astype(int)
    panel = next(axes for axes in drawn.axes if axes.images)
    box = panel.get_window_extent()
    top = pixels.shape[0] - box.y1
    inside = pixels[round(top) : round(top + box.height), round(box.x0) : round(box.x1)]
    grey = (np.ptp(inside, axis=-1) < 8) & (inside.min(axis=-1) > 200)
    # The letters at the edges and the scale bar at the foot are bright too; the landmark is not there.
    height, width = grey.shape
    grey[: height // 8] = grey[-height // 8 :] = grey[:, : width // 10] = grey[:, -width // 10 :] = False
    rows, columns = np.nonzero(_largest(grey))
    found = (columns.mean() + 0.5) / inside.shape[1], (rows.mean() + 0.5) / inside.shape[0]
    corners = volume.geometry.to_world(
        np.array(np.meshgrid(*[(-0.5, n - 0.5) for n in SHAPE])).reshape(3, -1).T
    )
    low, high = corners.min(axis=0), corners.max(axis=0)
    share = (high - truth) / (high - low)  # towards L, P and I, as a picture grows
    # A turned or staggered scan has a larger box in the world than in the picture; a flip is off by 0.4.
    assert found == pytest.approx((share[across], share[down]), abs=0.1)


def _largest(mask: np.ndarray) -> np.ndarray:
    from scipy.ndimage import label

    parts, _ = label(mask)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return parts == sizes.argmax()
