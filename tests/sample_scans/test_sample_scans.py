"""The samples are all there, listed, licensed and small, and can be made again."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SAMPLES = Path(__file__).resolve().parents[2] / "sample_scans"
SCANS = {
    "ct_abdomen_dicom",
    "ct_abdomen_labels.nii.gz",
    "ct_abdomen_labels.json",
    "ct_torso.nii.gz",
    "ct_torso_labels.nii.gz",
    "ct_torso_labels.json",
    "mr_abdomen.nii.gz",
    "mr_abdomen_labels.nii.gz",
    "mr_abdomen_labels.json",
    "mr_brain_oblique_dicom",
    "brain_t1_template.nii.gz",
    "brain_tumour_t1c.nii.gz",
    "brain_tumour_t1c_mask.nii.gz",
    "lung_tumour_ct.nii.gz",
    "lung_tumour_ct_mask.nii.gz",
    "chest_xray.dcm",
}
BESIDE_THEM = {"README.md", "SOURCES.md", "make.py", "making", "licences", "models"}


def test_the_folder_holds_every_sample_and_nothing_unknown():
    there = {path.name for path in SAMPLES.iterdir() if not path.name.startswith((".", "__"))}
    assert there - BESIDE_THEM == SCANS
    for name in ("ct_abdomen_dicom", "mr_brain_oblique_dicom"):
        assert len(list((SAMPLES / name).iterdir())) == 20


@pytest.mark.parametrize("page", ["README.md", "SOURCES.md"])
def test_every_sample_is_listed_in(page):
    text = (SAMPLES / page).read_text(encoding="utf-8")
    assert sorted(name for name in SCANS if f"`{name}`" not in text and f"`{name}/`" not in text) == []


def test_every_licence_named_in_sources_is_there():
    text = (SAMPLES / "SOURCES.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(?:licences/)?([\w.-]+\.txt)`", text))
    assert named == {path.name for path in (SAMPLES / "licences").iterdir()}
    assert len(named) == 6


def test_the_samples_take_less_than_25_mb_and_the_models_less_than_10():
    models = size(SAMPLES / "models")
    assert 10e6 < size(SAMPLES) - models < 25e6
    assert models < 10e6


@pytest.mark.slow
@pytest.mark.skipif("VOXCAM_SAMPLE_SOURCES" not in os.environ, reason="needs a folder of the source archives")
def test_make_writes_the_shipped_samples_again(tmp_path):
    script = [sys.executable, str(SAMPLES / "make.py"), "--sources", os.environ["VOXCAM_SAMPLE_SOURCES"]]
    subprocess.run([*script, "--out", str(tmp_path)], check=True)
    made = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    shipped = [SAMPLES / path.relative_to(tmp_path) for path in made]
    assert {path.relative_to(tmp_path).parts[0] for path in made} == SCANS | {"licences"}
    assert [a.name for a, b in zip(made, shipped, strict=True) if content(a) != content(b)] == []


def size(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def content(path):
    """Bytes, unpacked where zlib versions may pack differently."""
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
