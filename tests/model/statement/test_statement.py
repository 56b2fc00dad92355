"""What a model states is read as it is meant; what it leaves out is not stated, never guessed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from voxcam.errors import ClassifierError
from voxcam.model.statement import STATED, Statement, read_statement
from voxcam.model.statement.beside import as_document, place_beside, read_beside, write_beside

METADATA: dict[str, Any] = {
    "name": "lungs",
    "version": "1.0",
    "intended_use": "tests",
    "network_data_format": {
        "inputs": {"image": {"modality": "CT", "num_channels": 1, "spatial_shape": [96, 96, "*"]}},
        "outputs": {"pred": {"channel_def": {"0": "none", "1": "nodule"}}},
    },
}
SOFTMAX = {"_target_": "Compose", "transforms": [{"_target_": "Activationsd", "softmax": True}]}


def test_metadata_postprocessing_and_the_file_beside_come_together() -> None:
    own = METADATA | {"voxcam": {"background": "none", "input_unit": "HU", "temperature": 1.5}}
    said = read_statement(own, SOFTMAX, {"temperature": 2.0, "thresholds": {"nodule": 0.4}})
    assert (said.name, said.version, said.classes) == ("lungs", "1.0", ("none", "nodule"))
    assert (said.modality, said.unit, said.channels, said.input_shape) == ("CT", "HU", 1, None)
    assert (said.answer.activation, said.answer.background) == ("softmax", 0)
    assert said.answer.temperature == 2.0, "what its user states goes before the bundle's"
    assert said.answer.thresholds == {"nodule": 0.4}


def test_what_is_left_out_is_named_as_not_stated() -> None:
    said = read_statement({})
    assert said == Statement()
    assert said.answer.activation == "not stated"
    assert said.missing == (
        "class names",
        "activation",
        "thresholds",
        "modality",
        "unit of the input",
        "range of the input",
        "spacing",
        "intended use",
    )
    both = {"transforms": [{"_target_": "Activationsd", "softmax": True, "sigmoid": True}]}
    assert read_statement(METADATA, both).answer.activation == "not stated"


@pytest.mark.parametrize(
    ("beside", "outputs", "classes"),
    [
        ({}, 3, ("output 0", "output 1", "output 2")),
        ({"classes": ["a", "b"]}, 2, ("a", "b")),
        ({"classes": {"1": "b", "0": "a"}}, 2, ("a", "b")),
        ({"classes": ["benign", "malignant"], "activation": "sigmoid"}, 1, ("malignant",)),
        (
            {"classes": ["I", "II", "III"], "activation": "ordinal"},
            2,
            ("at least II", "at least III"),
        ),
        ({"classes": ["age"], "activation": "regression", "output_unit": "years"}, 1, ("age",)),
    ],
)
def test_outputs_get_the_names_they_are_meant_to_have(beside: dict, outputs: int, classes: tuple) -> None:
    assert read_statement({}, None, beside).of_outputs(outputs).classes == classes


def test_one_output_of_two_names_keeps_the_other_as_what_low_means() -> None:
    said = read_statement({}, None, {"classes": ["benign", "malignant"], "activation": "sigmoid"})
    assert said.of_outputs(1).negative == "benign"


@pytest.mark.parametrize(
    ("beside", "outputs", "says"),
    [
        ({"classes": ["a", "b", "c"]}, 2, "answers 2 outputs, its statement names 3 classes"),
        ({"classes": ["a"], "activation": "softmax"}, 1, "a softmax of one output is always 1"),
        ({"classes": ["a", "b"], "background": 2}, 2, "background 2 is no index"),
        ({"classes": ["a", "b"], "background": "c"}, 2, "background 'c' is no class"),
        ({"classes": ["a", "b"], "thresholds": {"c": 0.5}}, 2, "a threshold is stated for 'c'"),
        ({"aggregate": "clearest"}, 2, "needs a background class"),
    ],
)
def test_names_that_do_not_fit_the_outputs_are_refused(beside: dict, outputs: int, says: str) -> None:
    with pytest.raises(ClassifierError, match=says):
        read_statement({}, None, beside).of_outputs(outputs)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", 3),
        ("classes", "nodule"),
        ("classes", ["a", "a"]),
        ("classes", []),
        ("classes", {"0": "a", "2": "b"}),
        ("activation", "softmin"),
        ("temperature", 0),
        ("temperature", "1"),
        ("temperature", float("nan")),
        ("thresholds", {"a": "0,5"}),
        ("thresholds", [0.5]),
        ("aggregate", "median"),
        ("background", -1),
        ("background", 1.5),
        ("input_range", [3, 1]),
        ("input_range", [0]),
        ("input_spacing_mm", [[1, 0.5]]),
        ("input_spacing_mm", [0]),
        ("input_spacing_mm", 1),
        ("input_channels", 0),
        ("input_channels", True),
        ("input_shape", [64]),
        ("input_shape", [64, 0]),
        ("sequences", "T1"),
        ("slices_along", "z"),
        ("slices_along", 3),
        ("neighbours", 2),
        ("neighbours", 0),
        ("default_layer", None.__class__),
    ],
)
def test_a_value_of_the_wrong_kind_is_one_line(key: str, value: object) -> None:
    with pytest.raises(ClassifierError) as error:
        read_statement({}, None, {key: value})
    assert "\n" not in str(error.value)


def test_an_unknown_key_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(ClassifierError, match="did you mean 'temperature'"):
        read_statement({}, None, {"temprature": 1})
    with pytest.raises(ClassifierError, match="metadata.json, voxcam states 'colour'"):
        read_statement({"voxcam": {"colour": 1}})


def test_the_file_beside_is_written_once_read_back_the_same_and_never_overwritten(tmp_path: Path) -> None:
    model = tmp_path / "net.safetensors"
    said = read_statement(METADATA | {"voxcam": {"input_range": [-1000, 400], "slices_along": "j"}}, SOFTMAX)
    place = write_beside(model, said)
    assert place == place_beside(model)
    assert place.name == "net.safetensors.voxcam.json"
    beside = read_beside(model)
    again = read_statement({}, None, beside.stated)
    assert (again.classes, again.answer.activation) == (said.classes, said.answer.activation)
    assert (again.value_range, again.slices_along) == ((-1000.0, 400.0), 1)
    assert set(as_document(said)) == set(STATED)
    assert len(beside.digest) == 64
    with pytest.raises(ClassifierError, match="there already"):
        write_beside(model, said)


def test_a_damaged_file_beside_is_one_line(tmp_path: Path) -> None:
    model = tmp_path / "net.pt"
    assert read_beside(model).digest == ""
    for text in (b"{", b"[1]", b"\xff\xfe", b"[" * 100_000):
        place_beside(model).write_bytes(text)
        with pytest.raises(ClassifierError, match=r"net.pt.voxcam.json is not"):
            read_beside(model)
    place_beside(model).write_text(json.dumps({"classes": ["a"], "inferer": {"_target_": "SimpleInferer"}}))
    assert set(read_beside(model).sections) == {"inferer"}


def test_the_page_for_users_names_every_key() -> None:
    page = (Path(__file__).parents[3] / "docs" / "statements.md").read_text()
    assert [key for key in STATED if f"`{key}`" not in page] == []
