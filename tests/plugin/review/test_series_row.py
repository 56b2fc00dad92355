"""A series in the browser's words, and which searches find it."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from tests.plugin.scanned import PLACE, series, study_of
from voxcam.io import Finding
from voxcam.plugin.review.catalogue import catalogue
from voxcam.plugin.review.series_row import series_words

THORAX = {"shape": (512, 512, 300), "spacing_mm": (0.7031, 0.7031, 1.25)}


def row_of(one):
    return catalogue({PLACE: study_of(one)})[0].studies[0].rows[0]


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (
            series(1, **THORAX),
            ("512 × 512 × 300", "0.7 × 0.7 × 1.25 mm", "300 images", "512 × 512, 300 images"),
        ),
        (
            series(1, shape=(2048, 2500, 1)),
            ("2048 × 2500", "0.7 × 0.7 mm", "1 image", "2048 × 2500, 1 image"),
        ),
        (
            series(1, shape=(96, 90, 40, 5), headers=series(1, shape=(1, 1, 200)).headers),
            (
                "96 × 90 × 40, 5 times",
                "0.7 × 0.7 × 1.25 mm",
                "200 images",
                "96 × 90 × 40, 5 times, 200 images",
            ),
        ),
        (
            series(1, "", **THORAX, format="nifti", headers=()),
            ("512 × 512 × 300", "0.7 × 0.7 × 1.25 mm", "300 slices", "512 × 512, 300 slices"),
        ),
        (
            series(1, shape=(10, 10, 1), findings=(Finding("no-pixel-size", "no pixel size"),)),
            ("10 × 10", "pixel size unknown", "1 image", "10 × 10, 1 image"),
        ),
        (
            series(1, shape=(10, 10, 2), spacing_mm=(0.0485, 12.5, 3.0)),
            ("10 × 10 × 2", "0.049 × 12.5 × 3 mm", "2 images", "10 × 10, 2 images"),
        ),
    ],
)
def test_size_spacing_and_images_are_said_in_words(one, words):
    row = row_of(one)
    assert (row.size, row.spacing, row.images, row.extent) == words


def test_a_row_is_called_by_modality_and_description_and_a_file_without_one_by_its_name():
    assert row_of(series(1, "MR", " T2   axial ")).title == "MR T2 axial"
    assert row_of(series(1, "CT")).title == "CT"
    nifti = series(1, "", format="nifti", headers=(), files=(PLACE / "brain_t1.nii.gz",))
    assert row_of(nifti).title == "NIfTI brain_t1"
    # What came out of an archive has a number for a name, which says nothing.
    assert row_of(replace(nifti, keeps=object())).title == "NIfTI"


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({}, ""),
        ({"localizer": True}, "localizer"),
        ({"kind": "segmentation"}, "segmentation"),
        ({"headers": (SimpleNamespace(is_label=True),)}, "labels"),
    ],
)
def test_what_is_no_plain_image_says_what_it_is(changes, kind):
    assert row_of(series(1, **changes)).kind == kind


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("", True),
        ("ct", True),
        ("CT LUNG", True),
        ("lung mr", False),
        ("512x512", True),
        ("0.7", True),
        ("overlap", True),
        ("study 1", True),
        ("scans", True),
        ("localizer", False),
        ("straße", True),
        ("STRASSE", True),
    ],
)
def test_every_word_of_a_search_must_be_there(search, found):
    row = row_of(series(1, description="Lung Straße", findings=(Finding("overlap", "slices overlap"),)))
    assert row.matches(search) is found


def test_a_search_finds_no_hidden_identity():
    row = row_of(series(1, study="1.77.5", patient="fingerprint"))
    assert not row.matches("1.77.5")
    assert not row.matches("fingerprint")
    assert not row.matches("key1")


def test_modalities_are_told_the_most_frequent_first():
    assert series_words([series(1, "MR"), series(2, "CT"), series(3, "CT")]) == "3 series, CT, MR"
    assert series_words([series(1, "", format="metaimage")]) == "1 series, MetaImage"
    assert series_words([]) == "no series"
