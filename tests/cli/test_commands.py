"""Each command as a user types it: what it writes, what it prints, and how it ends."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
from bundles import DENSENET_3D, write_bundle
from pydicom.data import get_testdata_file

import voxcam
from voxcam.cli.main import main
from voxcam.samples import model_path

ROOT = Path(__file__).parents[2]
ABDOMEN = ROOT / "sample_scans" / "ct_abdomen_dicom"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("bundles") / "tiny", classes=["healthy", "nodule"])


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small CT as NIfTI: air round a soft ball."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in (40, 36, 20)], indexing="ij"))
    ball = np.linalg.norm((index - np.array([20, 18, 10]).reshape(3, 1, 1, 1)) * (2, 2, 3)[0], axis=0) < 20
    image = nibabel.Nifti1Image(np.where(ball, 40, -1000).astype(np.int16), np.diag([2.0, 2.0, 3.0, 1.0]))
    image.header.set_xyzt_units("mm")
    path = tmp_path_factory.mktemp("scans") / "ct.nii.gz"
    nibabel.save(image, path)
    return path


@pytest.fixture
def explained(scan: Path, bundle: Path, tmp_path: Path) -> Path:
    out = tmp_path / "explained"
    assert main(["explain", str(scan), "--model", str(bundle), "--out", str(out), "--format", "nifti"]) == 0
    return out


def test_explain_writes_an_explanation_and_figures_and_answers_in_json(
    scan: Path, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "out"
    arguments = [
        "explain",
        str(scan),
        "--model",
        str(bundle),
        "--out",
        str(out),
        "--format",
        "png,nifti",
        "--json",
    ]
    code = main([*arguments, "--method", "grad-cam", "--method", "layer-cam", "--classes", "nodule"])
    answer = json.loads(capsys.readouterr().out)
    assert code == 0
    assert sorted(answer["scores"]) == ["healthy", "nodule"]
    assert {(h["class"], h["method"]) for h in answer["heatmaps"]} == {
        ("nodule", "grad-cam"),
        ("nodule", "layer-cam"),
    }
    written = {str(file.relative_to(out)) for file in out.rglob("*") if file.is_file()}
    assert set(answer["files"]) == written
    assert {"explanation.json", "heatmaps.npz", "volume.npz"} <= written
    assert any(name.endswith(".png") for name in written)
    maps = [out / name for name in written if name.endswith(".nii.gz")]
    assert maps
    assert all(np.allclose(nibabel.load(path).affine, nibabel.load(scan).affine) for path in maps)
    assert not list(tmp_path.rglob(".landing-*"))


def test_export_draws_the_same_from_the_saved_explanation_without_model_and_study(
    explained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    for name in ("one", "two"):
        assert main(["export", str(explained), "--out", str(tmp_path / name), "--format", "png,nifti"]) == 0
    first = {
        p.relative_to(tmp_path / "one"): p.read_bytes() for p in (tmp_path / "one").rglob("*") if p.is_file()
    }
    second = {
        p.relative_to(tmp_path / "two"): p.read_bytes() for p in (tmp_path / "two").rglob("*") if p.is_file()
    }
    assert first == second
    assert any(path.suffix == ".png" for path in first)


def test_scan_lists_series_for_a_person_and_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scan", str(ABDOMEN)]) == 0
    assert "512 x 512 x 20" in capsys.readouterr().out
    assert main(["scan", str(ABDOMEN), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["series"][0]["shape"] == [512, 512, 20]
    assert answer["found"] == answer["loaded"] + answer["skipped"] + answer["refused"] == 20


def test_model_says_what_a_bundle_is(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model", str(bundle), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["classes"] == ["healthy", "nodule"]
    assert (answer["input"]["modality"], answer["input"]["unit"]) == ("CT", "HU")
    assert answer["input"]["spacing_mm"] == "not stated"
    best = answer["layers"][0]
    assert (best["name"], best["kind"], best["channels"]) == ("class_layers.relu", "ReLU", 16)
    assert (best["grid"], best["stride"], best["classes_differ"]) == ([4, 4, 4], [4.0, 4.0, 4.0], True)
    assert answer["best_layer"] == "class_layers.relu"
    assert "adds up to the logit" in answer["reason"]
    assert len(answer["layers"]) > 10
    assert main(["model", str(bundle)]) == 0
    told = capsys.readouterr().out
    assert "nodule" in told
    assert "At class_layers.relu cam, grad-cam, hires-cam, xgrad-cam, shapley-cam are one map" in told


def test_explain_takes_a_methods_own_options_and_says_what_is_wrong_with_them(
    scan: Path, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["explain", str(scan), "--model", str(bundle), "--method", "occlusion", "--json"]
    assert main([*asked, "--out", str(tmp_path / "a"), "--option", "occlusion.size=16"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["provenance"]["options"]["occlusion"]["size"] == 16
    assert {heatmap["layer"] for heatmap in answer["heatmaps"]} == {"network"}
    for option, message in (
        ("occlusion.size", "cannot read the option 'occlusion.size': expected METHOD.NAME=VALUE"),
        ("occlusion.girth=2", "occlusion has no option 'girth'; it has "),
        ("grad-cam.size=2", "options for 'grad-cam', which is not asked"),
    ):
        assert main([*asked, "--out", str(tmp_path / "b"), "--option", option]) == 1
        assert message in capsys.readouterr().err
        assert not (tmp_path / "b").exists()


def test_explain_says_where_it_placed_the_maps(
    scan: Path, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["explain", str(scan), "--model", str(bundle), "--json"]
    assert main([*asked, "--out", str(tmp_path / "usual"), "--placement", "usual"]) == 0
    assert json.loads(capsys.readouterr().out)["provenance"]["placement"] == {}
    assert main([*asked, "--out", str(tmp_path / "measured")]) == 0
    placed = json.loads(capsys.readouterr().out)["provenance"]["placement"]["class_layers.relu"]
    assert placed["rule"] in ("measured", "usual")
    assert placed["reason"]
    assert main([*asked, "--out", str(tmp_path / "guessed"), "--placement", "guessed"]) == 1
    assert "no placement 'guessed': there is measured, usual" in capsys.readouterr().err


def _truncated_series(folder: Path) -> Path:
    folder.mkdir()
    for number, path in enumerate(sorted(ABDOMEN.iterdir())):
        content = path.read_bytes()
        (folder / path.name).write_bytes(content[: len(content) // 2] if number == 7 else content)
    return folder


def _two_series(folder: Path, scan: Path) -> Path:
    folder.mkdir()
    for name in ("a.nii.gz", "b.nii.gz"):
        (folder / name).write_bytes(scan.read_bytes())
    return folder


def _as_mr(folder: Path, scan: Path) -> Path:
    """The same scan with values no CT has: neither modality nor unit can be told."""
    image = nibabel.load(scan)
    folder.mkdir()
    values = np.abs(np.asarray(image.dataobj)).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(values, image.affine), folder / "mr.nii.gz")
    return folder / "mr.nii.gz"


BAD = {
    "a missing place": ({"place": "nowhere"}, "found nothing"),
    "no images": ({"place": "docs"}, "found none"),
    "two series without a choice": ({"place": "two"}, "--series"),
    "a series that is not there": ({"place": "two", "--series": "7"}, "no series has index 7"),
    "a scan the model does not fit": ({"place": "mr"}, "does not fit"),
    "a truncated slice": ({"place": "cut"}, ""),
    "an occupied output": ({"--out": "occupied"}, "exists already"),
    "an output that cannot be written": ({"--out": "occupied/file/out"}, "cannot be written"),
    "no classes": ({"--classes": "top0"}, "no classes asked for"),
    "empty classes": ({"--classes": ""}, "no classes asked for"),
    "a modality that is not the file's": ({"place": str(ABDOMEN), "--modality": "MR"}, ""),
    "an unknown class": ({"--classes": "tumor"}, "no class is called 'tumor'"),
    "an unknown method": ({"--method": "gradcam"}, "did you mean 'grad-cam'"),
    "an unknown layer": ({"--layer": "class_layers.rely"}, "did you mean 'class_layers.relu'"),
    "an unknown format": ({"--format": "jpg"}, "no format is called 'jpg'"),
    "an unknown device": ({"--device": "tpu"}, "no device is called 'tpu'"),
    "no bundle": ({"--model": "nowhere"}, "expected the folder of a MONAI bundle"),
    "a bundle that wants to run code": ({"--model": "hostile"}, "would run code"),
}


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory, scan: Path) -> Path:
    root = tmp_path_factory.mktemp("bad")
    (root / "docs").mkdir()
    (root / "docs" / "note.txt").write_text("nothing to see")
    (root / "occupied").mkdir()
    (root / "occupied" / "file").write_text("here before")
    _two_series(root / "two", scan)
    _as_mr(root / "mr", scan)
    _truncated_series(root / "cut")
    write_bundle(root / "hostile", DENSENET_3D, preprocessing="$__import__('os').system('touch marker')")
    return root


@pytest.mark.parametrize("what", list(BAD))
def test_bad_input_is_one_line_exit_1_and_nothing_half_written(
    what: str, places: Path, scan: Path, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes, says = BAD[what]
    options = {"place": str(scan), "--model": str(bundle), "--out": str(tmp_path / "out")}
    for key, value in changes.items():
        options[key] = str(places / value) if key in ("place", "--model", "--out") else value
    place = options.pop("place")
    before = sorted(places.rglob("*"))
    code = main(["explain", place, *[part for pair in options.items() for part in pair]])
    printed = capsys.readouterr()
    assert code == 1
    assert printed.out == ""
    assert printed.err.startswith("voxcam: ")
    assert printed.err.count("\n") == 1
    assert says in printed.err
    assert str(places) not in printed.err
    assert not any(tmp_path.iterdir()), "nothing may be left behind"
    assert sorted(places.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["scan", "nowhere"], 1),
        (["scan", "."], 1),
        (["model", "nowhere"], 1),
        (["export", "nowhere", "--out", "new"], 1),
        (["review", "nowhere"], 1),
        (["explain"], 2),
        (["explain", "a", "--no-such-option"], 2),
        (["no-such-command"], 2),
        (["--version"], 0),
        (["--help"], 0),
        (["explain", "--help"], 0),
    ],
)
def test_exit_codes(
    arguments: list[str],
    code: int,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DISPLAY", raising=False)
    assert main(arguments) == code
    printed = capsys.readouterr()
    assert "Traceback" not in printed.err
    assert bool(printed.err) == (code != 0)
    assert not any(tmp_path.iterdir())


def test_an_interruption_ends_with_130_and_writes_nothing(
    scan: Path,
    bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("voxcam.model.classifier.Classifier.batches", interrupt)
    assert main(["explain", str(scan), "--model", str(bundle), "--out", str(tmp_path / "out")]) == 130
    assert capsys.readouterr().err == "voxcam: interrupted, nothing was written\n"
    assert not any(tmp_path.iterdir())


def test_a_bug_ends_with_3_and_shows_its_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def bug(*_: object, **__: object) -> None:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr("voxcam.io.scan", bug, raising=False)
    assert main(["scan", str(ABDOMEN)]) == 3
    assert "ZeroDivisionError: planted" in capsys.readouterr().err


@pytest.mark.parametrize("what", ["nowhere", "hostile"])
def test_review_refuses_a_bad_bundle_before_there_is_a_window(
    what: str, places: Path, scan: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("voxcam.cli.window.check_window", lambda: None)
    monkeypatch.setattr("voxcam.cli.window.show", lambda **_: pytest.fail("a window was opened"))
    assert main(["review", str(scan), "--model", str(places / what)]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_review_refuses_a_scan_the_classifier_does_not_fit(
    places: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("voxcam.cli.window.check_window", lambda: None)
    shown = []
    monkeypatch.setattr("voxcam.cli.window.show", lambda **given: shown.append(given) or 0)
    place = str(places / "mr" / "mr.nii.gz")
    assert main(["review", place, "--model", str(bundle)]) == 1
    assert "does not fit" in capsys.readouterr().err
    assert main(["review", place, "--model", str(bundle), "--modality", "CT"]) == 0
    assert shown[0]["volume"].unit == "HU"
    assert len(shown[0]["found"].study.series) == 1
    told = ["--trust-code", "sha256:" + "a" * 64, "--accept-weights", "sha256:" + "b" * 64]
    assert main(["review", place, *told]) == 0
    assert shown[1]["allowed"] == ("sha256:" + "a" * 64, "sha256:" + "b" * 64, None)


def test_review_refuses_a_mask_that_was_drawn_elsewhere(
    scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("voxcam.cli.window.check_window", lambda: None)
    monkeypatch.setattr("voxcam.cli.window.show", lambda **_: 0)
    image = nibabel.load(scan)
    drawn = np.ones(image.shape[:3], np.uint8)
    affine = image.affine.copy()
    nibabel.save(nibabel.Nifti1Image(drawn, affine), tmp_path / "here.nii.gz")
    affine[0, 3] += 5000
    nibabel.save(nibabel.Nifti1Image(drawn, affine), tmp_path / "elsewhere.nii.gz")
    assert main(["review", str(scan), "--mask", str(tmp_path / "here.nii.gz")]) == 0
    assert main(["review", str(scan), "--mask", str(tmp_path / "elsewhere.nii.gz")]) == 1
    assert "no voxel of the mask lies on the scan" in capsys.readouterr().err


def test_review_shows_the_largest_of_several_series_and_lists_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voxcam.cli.window.check_window", lambda: None)
    shown = []
    monkeypatch.setattr("voxcam.cli.window.show", lambda **given: shown.append(given) or 0)
    assert main(["review", str(ROOT / "sample_scans")]) == 0
    sizes = [
        int(np.prod(series.shape)) for series in shown[0]["found"].study.series if series.kind == "image"
    ]
    assert len(sizes) > 1
    assert int(np.prod(shown[0]["volume"].shape)) == max(sizes)


def test_a_mask_is_outlined_in_the_figures(explained: Path, scan: Path, tmp_path: Path) -> None:
    image = nibabel.load(scan)
    ball = (np.asarray(image.dataobj) > 0).astype(np.uint8)
    nibabel.save(nibabel.Nifti1Image(ball, image.affine), tmp_path / "mask.nii.gz")
    for name, option in (("without", []), ("with", ["--mask", str(tmp_path / "mask.nii.gz")])):
        assert main(["export", str(explained), "--out", str(tmp_path / name), *option]) == 0
    figure = "figure-nodule-grad-cam.png"
    plain, outlined = ((tmp_path / name / "png" / figure).read_bytes() for name in ("without", "with"))
    assert plain != outlined


def test_an_output_that_cannot_be_written_is_refused_before_the_work(
    scan: Path, bundle: Path, places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voxcam.io.places.read", lambda *_, **__: pytest.fail("work was begun"))
    out = str(places / "occupied" / "file" / "out")
    assert main(["explain", str(scan), "--model", str(bundle), "--out", out]) == 1


def test_review_says_why_no_window_can_be_opened(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    assert main(["review"]) == 1
    assert "no display" in capsys.readouterr().err


@pytest.mark.slow
def test_demo_finds_the_real_tumour(tmp_path: Path) -> None:
    """A new process, as a user starts it: the top class is right, the peak in or by the drawn mask."""
    out = tmp_path / "demo"
    run = subprocess.run(
        [sys.executable, "-m", "voxcam", "demo", "--no-window", "--out", str(out)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    document = json.loads((out / "explanation.json").read_text())
    assert max(document["scores"], key=document["scores"].get) == "nodule"
    assert list(out.rglob("*.png"))
    from voxcam.core.explanation_folder import load
    from voxcam.core.localisation import localise
    from voxcam.io import read_mask
    from voxcam.samples import sample_path

    truth = localise(load(out).heatmap("nodule"), read_mask(sample_path("lung_tumour_ct_mask.nii.gz")))
    assert truth.peak_distance_mm <= 5
    assert truth.energy_in_mask > 3 * truth.mask_share


def test_scan_says_in_json_where_voxels_lie(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scan", str(ABDOMEN), "--json"]) == 0
    (series,) = json.loads(capsys.readouterr().out)["series"]
    assert (series["kind"], series["frame"], series["axes"]) == ("image", "patient", "LPS")
    volume = voxcam.read(voxcam.scan(ABDOMEN).choose())
    np.testing.assert_allclose(series["affine"], volume.affine)


def test_explain_refuses_a_gap_unless_it_is_interpolated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(ABDOMEN, tmp_path / "ct")
    sorted((tmp_path / "ct").iterdir())[10].unlink()
    place, model = str(tmp_path / "ct"), str(model_path("ct_organs_2d"))
    assert main(["explain", place, "--model", model, "--out", str(tmp_path / "out")]) == 1
    assert "1 slice is missing of 20" in capsys.readouterr().err
    for policy, words in (("mark", "1 of 20 slices are empty"), ("guess", "expected gaps to be refuse")):
        assert (
            main(["explain", place, "--model", model, "--out", str(tmp_path / "out"), "--gaps", policy]) == 1
        )
        assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    found = voxcam.read(voxcam.scan(place).choose(), gaps="interpolate")
    assert found.shape == (512, 512, 20)


def test_a_moment_that_is_not_there_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = get_testdata_file("examples_ybr_color.dcm")
    command = ["explain", place, "--model", str(model_path("ct_organs_2d")), "--out", str(tmp_path / "out")]
    assert main([*command, "--moment", "30"]) == 1
    assert "expected a place from 0 to 29" in capsys.readouterr().err


def test_scan_names_what_it_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(ABDOMEN, tmp_path / "ct")
    shutil.copy(get_testdata_file("MR_truncated.dcm"), tmp_path / "cut.dcm")
    assert main(["scan", str(tmp_path)]) == 0
    assert "refused: cut.dcm: pixel data cut short: copy the file again" in capsys.readouterr().out
    assert main(["scan", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["refused_files"] == [
        {"file": "cut.dcm", "reason": "pixel data cut short: copy the file again"}
    ]
