from __future__ import annotations

import json
from dataclasses import replace

import matplotlib
import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image

from tests.export.phantoms import explained, spot, study, two_classes
from voxcam.core.geometry import Geometry
from voxcam.core.volume import Volume
from voxcam.core.windows import Window
from voxcam.errors import ExplainError, ExportError
from voxcam.export.figure import class_grid, figure, overview, write_figure
from voxcam.export.page import plain_matplotlib
from voxcam.export.planes import cut, cut_on
from voxcam.export.plate import LABEL
from voxcam.export.style import HeatmapStyle, paint, shared_style

LONG = "Adenocarcinoma of the lung, poorly differentiated, stage IIIA, with $10^2$ words more than fit"


def texts(drawn):
    return [artist for artist in drawn.findobj(Text) if artist.get_text()]


def words(drawn):
    return " | ".join(artist.get_text() for artist in texts(drawn))


def pictures(drawn):
    """The images of the panels, as arrays of RGB, left to right; without the colour bar."""
    return [np.asarray(axes.images[0].get_array()) for axes in drawn.axes][:-1]


def mask_of(volume):
    voxels = np.zeros(volume.shape, np.uint8)
    voxels[15:25, 2:9, 4:8] = 1
    return Volume(voxels, volume.geometry, unit="label")


def everything(theme):
    """Figures of every kind, with the awkward: long names, masks, captions, flat and single slices."""
    volume = study()
    options = {"theme": theme, "mask": mask_of(volume), "caption": "many words " * 40, "mark_peak": True}
    explanation = explained(volume, {LONG: spot(), "b": -spot(), "c": spot(), "d": spot(), "e": spot()})
    explanation = replace(explanation, provenance={"classifier": {"name": "model " * 30}})
    flat = study((40, 30, 1), frame="detector")
    slim = study((300, 4, 4), spacing=(1.0, 1.0, 1.0))
    one = explained(slim, {"n": spot((6, 2, 2), (1, 1, 1))}, (6, 2, 2), layer="a.very.long.layer." * 9)
    yield figure(explanation, **options)
    yield figure(explanation, "b", plane="coronal", **options)
    yield class_grid(explanation, **options)
    yield overview(explanation, **options)
    yield overview(explained(flat, {"n": spot((6, 6, 1), (1, 1, 0))}, (6, 6, 1)), theme=theme)
    yield figure(one, plane="sagittal", theme=theme)
    yield figure(one, plane="coronal", theme=theme)
    yield figure(explanation, "c", style=HeatmapStyle(-3.21, 3.21, 0.2, colours="signed"), theme=theme)


@pytest.mark.parametrize(("theme", "dpi"), [("dark", 200), ("light", 72)])
def test_no_text_is_clipped_none_lies_on_another_and_the_label_is_whole(theme, dpi):
    for drawn in everything(theme):
        drawn.dpi = dpi
        drawn.canvas.draw()
        whole = drawn.bbox
        boxes = []
        assert LABEL in [artist.get_text() for artist in texts(drawn)]
        for artist in texts(drawn):
            with plain_matplotlib():
                box = artist.get_window_extent()
            assert whole.x0 < box.x0 < box.x1 < whole.x1, artist.get_text()
            assert whole.y0 < box.y0 < box.y1 < whole.y1, artist.get_text()
            boxes.append((box.shrunk(0.98, 0.7), artist.get_text()))
        for number, (box, text) in enumerate(boxes):
            for other, said in boxes[number + 1 :]:
                # Bounding boxes that touch are well; by more than a hair they overlap.
                common = box.intersection(box, other)
                assert common is None or min(common.width, common.height) < 2, (text, said)


def test_a_figure_says_class_probability_method_layer_window_slice_range_and_model():
    drawn = figure(two_classes(), "nodule", mask=mask_of(study()), caption="What to see.")
    said = words(drawn)
    for part in (
        "nodule",
        "p = 0.90",
        "grad-cam at layer4",
        "soft  W 400  L 40",
        "axial, z = \N{MINUS SIGN}265.0 mm, slice 3 of 10",
        "evidence (logit units)",
        "colour range shared by 2 classes",
        "drawn mask",
        "What to see.",
        "toy 3f2a91c0 · VoxCAM 0.1.0",
    ):
        assert part in said, part
    assert {"0", "3"} <= {artist.get_text() for artist in texts(drawn)}


@pytest.mark.parametrize(("score", "said"), [(0.9996, "p > 0.99"), (0.0004, "p < 0.01"), (0.5, "p = 0.50")])
def test_a_probability_is_never_rounded_to_certainty(score, said):
    explanation = explained(study(), {"nodule": spot()}, scores={"nodule": score})
    assert said in words(figure(explanation))


def test_the_fused_panel_is_what_paint_gives_for_the_slice():
    explanation = two_classes()
    heatmap, volume = explanation.heatmap("nodule"), explanation.volume
    drawn = figure(explanation, "nodule", plane="coronal", index=4)
    grey = volume.window.apply(cut(volume, "coronal", 4).pixels)
    evidence = cut_on(heatmap.evidence, volume, "coronal", 4).pixels
    image, fused, _ = pictures(drawn)
    np.testing.assert_allclose(fused, paint(grey, evidence, shared_style(explanation)))
    np.testing.assert_allclose(image, np.repeat(grey[..., None], 3, axis=-1), atol=1e-6)


def test_an_empty_map_draws_no_colour_and_says_so(tmp_path):
    explanation = two_classes()
    drawn = figure(explanation, "normal")
    assert words(drawn).count("no positive evidence") == 2
    image, fused, alone = pictures(drawn)
    np.testing.assert_array_equal(image, fused)
    np.testing.assert_array_equal(alone[..., 0], alone[..., 2])
    pixels = np.asarray(Image.open(write_figure(drawn, tmp_path / "empty.png")).convert("RGB")).astype(int)
    boxes = [axes.get_position() for axes in drawn.axes[:3]]
    for box in boxes:
        rows = slice(int((1 - box.y1) * len(pixels)) + 3, int((1 - box.y0) * len(pixels)) - 3)
        columns = slice(int(box.x0 * pixels.shape[1]) + 3, int(box.x1 * pixels.shape[1]) - 3)
        panel = pixels[rows, columns]
        # The letters of the note are a very light grey-blue; nothing is more colourful than that.
        assert np.ptp(panel, axis=-1).max() <= 6


def test_a_slice_without_evidence_says_so_when_the_map_has_some_elsewhere():
    explanation = explained(study(), {"nodule": spot(at=(4, 1, 4), around=-0.5)})
    assert "no positive evidence in this slice" in words(figure(explanation, index=9))
    faint = explained(study(), {"nodule": spot(at=(4, 1, 4), around=0.1)})
    style = HeatmapStyle(0, 3, 0.5)
    assert "no evidence above the threshold in this slice" in words(figure(faint, index=9, style=style))


def test_a_small_map_stays_small_beside_a_large_one():
    explanation = explained(study(), {"large": spot(value=10.0), "small": spot(value=0.5)})
    large, small = pictures(class_grid(explanation))
    image = pictures(figure(explanation, "large"))[0]
    assert np.abs(small - image).max() < 0.1 * np.abs(large - image).max()


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_panels_keep_the_proportions_of_millimetres(plane):
    volume = study((30, 24, 10), spacing=(0.6, 0.6, 5.0))
    drawn = figure(explained(volume, {"n": spot()}), plane=plane)
    across = {"axial": 18.0, "coronal": 18.0, "sagittal": 14.4}[plane]
    down = {"axial": 14.4, "coronal": 50.0, "sagittal": 50.0}[plane]
    for axes in drawn.axes[:3]:
        box = axes.get_window_extent()
        assert box.width / box.height == pytest.approx(across / down, rel=1e-6)


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
@pytest.mark.parametrize("spacing", [(0.6, 0.6, 5.0), (2.0, 0.5, 1.0), (7.0, 7.0, 7.0), (0.01, 0.01, 0.02)])
def test_the_scale_bar_is_as_long_as_it_says(plane, spacing):
    drawn = figure(explained(study(spacing=spacing), {"n": spot()}), plane=plane)
    drawn.canvas.draw()
    for axes in drawn.axes[:3]:
        (bar,) = [patch for patch in axes.patches if patch.get_gid() == "scale bar"]
        label = next(a.get_text() for a in texts(drawn) if a.get_text().endswith(" mm"))
        mm = float(label.split()[0])
        columns = axes.images[0].get_array().shape[1]
        across = {"axial": 0, "coronal": 0, "sagittal": 1}[plane]
        # In the rendered figure: pixels of the bar to pixels of the panel as mm to mm.
        share = bar.get_window_extent().width / axes.get_window_extent().width
        assert share == pytest.approx(mm / (columns * spacing[across]), rel=0.06 if mm < 1 else 1e-6)
        assert share < 0.6


def test_lengths_of_a_radiograph_are_only_claimed_where_they_are_known():
    maps = {"n": spot((6, 6, 1), (1, 1, 0))}
    said = {
        frame: words(figure(explained(study((40, 30, 1), (1.0, 1.0, 1.0), frame), maps, (6, 6, 1))))
        for frame in ("detector", "unknown")
    }
    assert "10 mm at the detector" in said["detector"]
    assert "10 px" in said["unknown"]
    for one in said.values():
        assert " A |" not in one
        assert "axial" not in one
    assert " mm" not in said["unknown"]


def test_letters_stand_on_their_side_of_every_panel():
    drawn = figure(two_classes(), plane="axial")
    drawn.canvas.draw()
    for axes in drawn.axes[:3]:
        box = axes.get_window_extent()
        near = {}
        for artist in texts(drawn):
            if artist.get_text() in "APRL":
                middle = artist.get_window_extent()
                x, y = (middle.x0 + middle.x1) / 2 - box.x0, (middle.y0 + middle.y1) / 2 - box.y0
                if -30 < x < box.width + 30:
                    near[artist.get_text()] = (x / box.width, y / box.height)
        assert near["A"][1] > 1
        assert near["P"][1] < 0
        assert near["R"][0] < 0
        assert near["L"][0] > 1


def test_the_drawn_masks_outline_encloses_the_mask():
    volume = study()
    drawn = figure(two_classes(), index=4, mask=mask_of(volume))
    rows, columns = np.nonzero(cut(mask_of(volume), "axial", 4).pixels)
    for axes in drawn.axes[:3]:
        (outline,) = [c for c in axes.collections if len(c.get_paths())]
        points = np.concatenate([path.vertices for path in outline.get_paths()])
        np.testing.assert_allclose(points.min(axis=0), (columns.min() - 0.5, rows.min() - 0.5))
        np.testing.assert_allclose(points.max(axis=0), (columns.max() + 0.5, rows.max() + 0.5))
    assert "drawn mask: not in this slice" in words(figure(two_classes(), index=9, mask=mask_of(volume)))


def test_low_values_of_an_inverted_image_are_bright():
    plain = explained(study(), {"n": -spot()})
    turned = replace(plain, volume=replace(plain.volume, inverted=True))
    np.testing.assert_allclose(pictures(figure(turned))[0], 1 - pictures(figure(plain))[0], atol=1e-6)


def test_the_window_asked_for_is_used_and_named():
    drawn = figure(two_classes(), window=Window(0, 2, "narrow"))
    assert "narrow  W 2  L 0" in words(drawn)
    assert set(np.unique(pictures(drawn)[0])) <= {0.0, 0.25, 0.5, 0.75, 1.0}


def test_an_overview_crosses_its_three_planes_at_the_peak():
    explanation = two_classes()
    drawn = overview(explanation, "nodule")
    peak = explanation.heatmap("nodule").peak_mm
    assert len(pictures(drawn)) == 3
    for axes, plane in zip(drawn.axes, ("axial", "coronal", "sagittal"), strict=False):
        row, column, _ = cut(explanation.volume, plane, 0).to_pixel(peak)
        across, down = axes.lines
        assert across.get_ydata()[0] == pytest.approx(row)
        assert down.get_xdata()[0] == pytest.approx(column)


def test_the_same_input_gives_the_same_bytes_whatever_the_users_settings(tmp_path):
    first = write_figure(figure(two_classes()), tmp_path / "a.png").read_bytes()
    with matplotlib.rc_context({"font.size": 30, "savefig.bbox": "tight", "image.cmap": "jet"}):
        second = write_figure(figure(two_classes()), tmp_path / "b.png").read_bytes()
    assert first == second


def test_a_png_carries_what_was_drawn_and_nobodys_name_and_no_date(tmp_path):
    path = write_figure(figure(two_classes(), "nodule"), tmp_path / "figure.png")
    text = Image.open(path).text
    assert set(text) == {"voxcam"}
    kept = json.loads(text["voxcam"])
    assert kept["class"] == "nodule"
    assert kept["model"] == {"name": "toy", "fingerprint": "3f2a91c0de44aa", "voxcam": "0.1.0"}
    assert kept["range"] == [0.0, 3.0]
    assert kept["window"] == {"centre": 40, "width": 400}
    for secret in (b"DOE", b"somebody", b"never-shown", b"tIME", b"matplotlib"):
        assert secret not in path.read_bytes()


def test_dots_per_inch_are_as_asked(tmp_path):
    drawn = figure(two_classes())
    size = Image.open(write_figure(drawn, tmp_path / "a.png", dpi=300)).size
    assert size == pytest.approx(tuple(drawn.get_size_inches() * 300), abs=1.01)


def test_a_file_that_is_there_is_left_as_it_is(tmp_path):
    place = tmp_path / "figure.png"
    place.write_bytes(b"mine")
    with pytest.raises(ExportError, match="exists already"):
        write_figure(figure(two_classes()), place)
    assert place.read_bytes() == b"mine"
    assert list(tmp_path.iterdir()) == [place]


def test_what_cannot_be_drawn_is_refused_in_one_line(tmp_path):
    explanation = two_classes()
    with pytest.raises(ExportError, match="without its study"):
        figure(replace(explanation, volume=None))
    with pytest.raises(ExplainError, match="no heatmap of 'nodul'"):
        figure(explanation, "nodul")
    with pytest.raises(ExportError, match="there is dark, light"):
        figure(explanation, theme="grey")
    with pytest.raises(TypeError, match="no option 'colour'"):
        figure(explanation, colour="red")
    with pytest.raises(ExportError, match=r"written as \.png"):
        write_figure(figure(explanation), tmp_path / "figure.jpg")


def test_an_explanation_saved_without_its_study_is_drawn_on_the_study_given():
    explanation = two_classes()
    drawn = figure(replace(explanation, volume=None), volume=explanation.volume)
    np.testing.assert_array_equal(pictures(drawn)[1], pictures(figure(explanation))[1])


def test_the_border_of_what_the_model_saw_is_drawn():
    volume = study((40, 40, 10), (1.0, 1.0, 2.0))
    part = volume.geometry.window((10, 10, 0), (5, 5, 2), (4, 4, 5))
    explanation = explained(volume, {"n": spot()})
    heatmap = explanation.heatmaps[0]
    seen = replace(heatmap, evidence=Volume(spot((4, 4, 5), (1, 1, 1)), part, unit="logit"))
    drawn = figure(replace(explanation, heatmaps=(seen,)))
    assert "dashed: seen by the model" in words(drawn)
    (border,) = [c for c in drawn.axes[2].collections if len(c.get_paths())]
    points = np.concatenate([path.vertices for path in border.get_paths()])
    np.testing.assert_allclose((points.min(), points.max()), (9.5, 29.5))


def test_geometry_of_a_figure_needs_no_square_angles():
    turned = np.diag([-1.0, -1, 3, 1]) @ np.array(
        [[0.99, -0.14, 0, 0], [0.14, 0.99, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    )
    volume = Volume(np.random.default_rng(0).normal(size=(20, 20, 6)), Geometry((20, 20, 6), turned))
    assert "oblique axial (8°)" in words(
        figure(explained(volume, {"n": spot((5, 5, 3), (1, 1, 1))}, (5, 5, 3)))
    )
