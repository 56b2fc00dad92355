"""Numbers and sizes as a reader says them."""

from __future__ import annotations

import pytest

from voxcam.plugin.review.wording import counted, rounded, sentence, size_words, value_words


def test_a_number_takes_its_noun():
    assert [counted(n, "image") for n in (0, 1, 2000)] == ["0 images", "1 image", "2,000 images"]
    assert [counted(n, "study", "studies") for n in (1, 2)] == ["1 study", "2 studies"]


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((512, 400, 300), "512 × 400 × 300"),
        ((512, 400, 1), "512 × 400"),
        ((512, 400), "512 × 400"),
        ((96, 96, 40, 5), "96 × 96 × 40, 5 times"),
        ((96, 96, 1, 1), "96 × 96, 1 time"),
    ],
)
def test_a_size_leaves_out_a_depth_of_one(shape, words):
    assert size_words(shape) == words


def test_lengths_are_as_fine_as_they_matter():
    assert [rounded(mm) for mm in (0.0485, 0.7031, 1.0, 12.5)] == ["0.049", "0.7", "1", "12.5"]


def test_a_sentence_begins_with_a_capital_and_keeps_the_others():
    assert sentence("no DICOM header") == "No DICOM header"
    assert sentence("") == ""


def test_grey_values_have_the_digits_that_matter():
    assert value_words(-4.853, "HU", 300) == "-4.9"
    assert value_words(-4.853, "HU", 12) == "-4.85"
    assert value_words(-20, "HU", 300) == "-20"
    assert value_words(0.012345, "SUV", 3) == "0.0123"
    assert value_words(12345.6, "Bq/ml", 20000) == "12346"
