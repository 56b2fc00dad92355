"""Models as a user brings them: looked at, stated, converted, tuned, joined."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from bundles import DENSENET_2D, DENSENET_3D, write_bundle

from voxcam.cli.main import main
from voxcam.model.statement.beside import place_beside
from voxcam.model.trusted import code_digest

CALL = f"DenseNet({', '.join(f'{key}={value!r}' for key, value in DENSENET_3D.items() if key != '_target_')})"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("bundles") / "tiny", classes=["healthy", "nodule"])


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _ct(tmp_path_factory.mktemp("scans") / "ct.nii.gz", (24, 20, 18))


def _ct(place: Path, shape: tuple[int, ...], spacing: float = 2.0) -> Path:
    values = np.random.default_rng(0).normal(-400, 400, shape).clip(-1000, 1000).astype(np.int16)
    image = nibabel.Nifti1Image(values, np.diag([spacing, spacing, spacing, 1.0]))
    image.header.set_xyzt_units("mm")
    nibabel.save(image, place)
    return place


def _answer(capsys: pytest.CaptureFixture[str], *words: str | Path) -> dict:
    code = main([*map(str, words), "--json"])
    printed = capsys.readouterr()
    assert code == 0, printed.err
    return json.loads(printed.out)


def test_a_model_that_would_run_code_is_shown_with_its_lines_and_its_digest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    marker = tmp_path / "marker"
    steps = {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "Lambdad", "keys": "image", "func": f"$__import__('os').system('touch {marker}')"}
        ],
    }
    hostile = write_bundle(tmp_path / "hostile", preprocessing=steps)
    assert main(["model", str(hostile)]) == 0
    told = capsys.readouterr().out
    assert "Nothing has run" in told
    assert "preprocessing::transforms::0" in told
    assert f"--trust-code sha256:{code_digest(hostile)}" in told
    document = _answer(capsys, "model", hostile)
    assert document["runs_code"]
    assert document["would_run"][0]["line"] > 0
    assert not marker.exists()


def test_state_writes_what_is_stated_for_its_user_to_complete(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_bundle(tmp_path / "mine", stated={})
    assert main(["model", "state", str(model)]) == 0
    told = capsys.readouterr().out
    assert "mine.voxcam.json" in told
    assert "not stated: thresholds, unit of the input" in told
    stated = json.loads(place_beside(model).read_text())
    stated |= {"thresholds": {"class 1": 0.2}, "input_unit": "HU", "input_spacing_mm": [2, 2, 2]}
    place_beside(model).write_text(json.dumps(stated))
    shown = _answer(capsys, "model", model)
    assert shown["outputs"]["thresholds"] == "class 1 0.2"
    assert shown["input"]["spacing_mm"] == "2 x 2 x 2"
    assert main(["model", "state", str(model)]) == 1
    assert "there already" in capsys.readouterr().err


def test_convert_writes_a_bundle_that_explains_alike(
    bundle: Path, scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loose = tmp_path / "net.pt"
    torch.save(_state(bundle), loose)
    assert main(["model", "convert", str(loose), "--network", CALL, "--out", str(tmp_path / "new")]) == 0
    capsys.readouterr()
    steps = json.loads((bundle / "configs" / "inference.json").read_text())
    config = json.loads((tmp_path / "new" / "configs" / "inference.json").read_text())
    assert config["network_def"] == steps["network_def"]
    assert main(["model", str(tmp_path / "new")]) == 0
    assert "output 0" in capsys.readouterr().out


def _state(bundle: Path) -> dict:
    from safetensors.torch import load_file

    return load_file(bundle / "models" / "model.safetensors")


def test_speed_says_what_each_tuning_gains_and_changes(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {one["name"]: one for one in _answer(capsys, "model", "speed", bundle)["tunings"]}
    assert set(found) == {"channels-last", "channels-first", "autocast", "compile"}
    assert found["channels-first"]["speed"] > 0
    assert found["channels-first"]["change"] < 1e-4
    assert 0 < found["autocast"]["change"] < 1


def test_explain_takes_weights_with_their_network_and_says_that_outputs_are_raw(
    bundle: Path, scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loose = tmp_path / "net.safetensors"
    loose.write_bytes((bundle / "models" / "model.safetensors").read_bytes())
    words = ["explain", str(scan), "--model", str(loose), "--network", CALL, "--out", str(tmp_path / "out")]
    assert main(words) == 0
    told = capsys.readouterr().out
    assert "raw output" in told
    assert "does not state how outputs are read" in told
    assert (tmp_path / "out" / "png").is_dir()


def test_an_ensemble_and_mirrored_views_tell_their_spread(
    bundle: Path, scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write_bundle(tmp_path / "other", classes=["healthy", "nodule"])
    out = tmp_path / "out"
    document = _answer(
        capsys, "explain", scan, "--model", bundle, "--model", other, "--augment", "i,jk", "--out", out
    )
    assert len(document["provenance"]["members"]) == 6
    assert document["spread"]["nodule"] > 0, "a DenseNet is not blind to left and right"
    again = json.loads((out / "explanation.json").read_text())
    assert again["spread"] == document["spread"]
    assert main(["export", str(out), "--out", str(tmp_path / "nifti"), "--format", "nifti"]) == 0
    assert any("spread" in file.name for file in (tmp_path / "nifti").rglob("*.nii.gz"))


def test_several_sequences_are_the_channels_in_the_order_the_model_states(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = tmp_path / "study"
    study.mkdir()
    _ct(study / "a.nii.gz", (24, 20, 18))
    _ct(study / "b.nii.gz", (16, 14, 12), 3.0)
    stated = {"input_unit": "HU", "sequences": ["first", "second"]}
    model = write_bundle(tmp_path / "two", DENSENET_3D | {"in_channels": 2}, stated=stated)
    words = ["explain", study, "--model", model, "--sequence", "second=1", "--sequence", "first=0"]
    document = _answer(capsys, *words, "--out", tmp_path / "out")
    assert document["provenance"]["sequences"] == ["first", "second"]
    assert main([*map(str, words[:4]), "--sequence", "T1=0", "--out", str(tmp_path / "x")]) == 1
    assert "reads the sequences first, second, found T1" in capsys.readouterr().err
    assert main([*map(str, words[:4]), "--series", "0", "--out", str(tmp_path / "x")]) == 1
    assert "reads 2 channels (first, second), this volume gives 1 channel" in capsys.readouterr().err


def test_every_moment_is_scored_and_the_clearest_explained(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moving = _ct(tmp_path / "moving.nii.gz", (16, 16, 16, 3))
    words = ["explain", moving, "--model", bundle, "--modality", "CT", "--out", tmp_path / "out"]
    moments = _answer(capsys, *words, "--moment", "all")["provenance"]["moments"]
    assert len(moments["scores"]["nodule"]) == 3
    assert moments["shown"] in (0, 1, 2)


def test_a_2d_model_reads_slices_along_the_axis_it_states_with_their_neighbours(
    scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stated = {"input_unit": "HU", "slices_along": "j", "neighbours": 3}
    whole = {"_target_": "SimpleInferer"}
    model = write_bundle(
        tmp_path / "flat", DENSENET_2D | {"in_channels": 3}, stated=stated, inferer=whole, preprocessing=None
    )
    out = tmp_path / "out"
    tiling = _answer(capsys, "explain", scan, "--model", model, "--out", out)["provenance"]["tiling"]
    assert tiling["slices_along"] == "j"
    assert tiling["neighbours"] == 3
    assert tiling["windows"] == 20


def test_scores_alone_write_no_figures(
    bundle: Path, scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["explain", str(scan), "--model", str(bundle), "--method", "none", "--out", str(out)]) == 0
    assert "nodule" in capsys.readouterr().out
    assert not (out / "png").exists()


def test_tunings_are_named_in_the_provenance_and_unknown_ones_refused(
    bundle: Path, scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["explain", str(scan), "--model", str(bundle), "--out", str(tmp_path / "out"), "--tune"]
    assert _answer(capsys, *words, "channels-last,autocast")["provenance"]["autocast"] == "bfloat16"
    assert main([*words[:-2], str(tmp_path / "x"), "--tune", "faster"]) == 1
    assert "no tuning is called 'faster'" in capsys.readouterr().err


def test_modules_of_the_working_folder_are_not_run(bundle: Path, tmp_path: Path) -> None:
    names = "json torch monai numpy scipy yaml typer rich safetensors pydicom nibabel platformdirs".split()
    marker = tmp_path / "marker"
    for name in names:
        (tmp_path / f"{name}.py").write_text(f"open({str(marker)!r}, 'w')\nraise ImportError")
    control = subprocess.run([sys.executable, "-c", "import json"], cwd=tmp_path, check=False)
    assert control.returncode != 0
    marker.unlink()
    done = subprocess.run(
        [sys.executable, "-m", "voxcam", "model", str(bundle)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONSAFEPATH": ""},
    )
    assert done.returncode == 0, done.stderr
    assert "nodule" in done.stdout
    assert not marker.exists()
