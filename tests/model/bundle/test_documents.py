"""JSON and YAML as data, with lines; what is too much or ambiguous is one line that names the line."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from voxcam.errors import ClassifierError
from voxcam.model.bundle.documents import DEPTH, DOCUMENT_BYTES, NODES, read_document

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=20,
)


@given(value=st.dictionaries(st.text(max_size=6), PLAIN, max_size=5), indent=st.sampled_from([None, 0, 2]))
@settings(max_examples=150, deadline=None)
def test_json_is_read_as_python_reads_it(value: dict, indent: int | None) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=indent == 0)
    assert read_document("a.json", text.encode()).content == json.loads(text)


@given(
    value=st.dictionaries(st.text(max_size=6), PLAIN, max_size=5), flow=st.sampled_from([None, True, False])
)
@settings(max_examples=100, deadline=None)
def test_yaml_is_read_as_pyyaml_reads_it(value: dict, flow: bool | None) -> None:
    text = yaml.safe_dump(value, default_flow_style=flow)
    assert read_document("a.yaml", text.encode()).content == yaml.safe_load(text)


@given(text=st.text(alphabet='{}[]",:truefalsn01-.eE \n\\u', max_size=30))
@settings(max_examples=400, deadline=None)
def test_json_takes_what_python_takes_and_nothing_else(text: str) -> None:
    text = '{"a": ' + text + "}"
    try:
        expected = json.loads(text)
    except ValueError:
        expected = None
    found = _read_or_refused(text)
    if isinstance(found, str):
        assert "\n" not in found
        assert expected is None or "comes twice" in found or "surrogate" in found
    else:
        assert found == expected


def _read_or_refused(text: str) -> dict | str:
    try:
        return read_document("a.json", text.encode()).content
    except ClassifierError as error:
        return str(error)


JSON = """{
  "network_def": {
    "_target_": "DenseNet",
    "block_config": [
      6,
      {"deep": [1,
                2]}
    ]
  }
}"""
YAML = """# a comment
network_def:
  _target_: DenseNet
  block_config:
  - 6
  - deep: [1,
           2]
"""


@pytest.mark.parametrize(
    ("name", "text", "lines"),
    [("a.json", JSON, (2, 3, 4, 5, 6, 6, 7)), ("a.yaml", YAML, (2, 3, 4, 5, 6, 6, 7))],
)
def test_every_value_knows_its_line(name: str, text: str, lines: tuple[int, ...]) -> None:
    document = read_document(name, text.encode())
    block = ("network_def", "block_config")
    paths = [
        ("network_def",),
        ("network_def", "_target_"),
        block,
        (*block, 0),
        (*block, 1),
        (*block, 1, "deep"),
        (*block, 1, "deep", 1),
    ]
    assert tuple(document.line(path) for path in paths) == lines
    assert document.where((*block, 0)) == f"{name} line {lines[3]} (network_def::block_config::0)"
    assert document.line((*block, 0, "nothing", "there")) == lines[3]


def test_a_byte_order_mark_is_no_part_of_the_text() -> None:
    for name in ("a.json", "a.yaml"):
        assert read_document(name, b'\xef\xbb\xbf{"a": 1}').content == {"a": 1}


BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))
REFUSED = {
    "deep JSON": ("a.json", '{"a": ' + "[" * 100_000, f"nested more than {DEPTH} deep"),
    "deep JSON objects": ("a.json", '{"a": ' * 100_000, f"nested more than {DEPTH} deep"),
    "deep YAML flow": ("a.yaml", "a: " + "[" * 5_000, f"nested more than {DEPTH} deep"),
    "deep YAML blocks": ("a.yaml", "a:\n" + "".join(" " * n + "- \n" for n in range(200)), "deep"),
    "alias bomb": ("a.yaml", BOMB, f"more than {NODES:,} values"),
    "an alias within itself": ("a.yaml", "a: &a [*a]", "deep"),
    "many values": ("a.json", '{"a": [' + "0," * NODES + "0]}", f"more than {NODES:,} values"),
    "too large": ("a.json", " " * (DOCUMENT_BYTES + 1), "over 1,048,576 bytes"),
    "too large for YAML": ("a.yaml", "a:\n" + "#\n" * 2**17, "over 262,144 letters of YAML"),
    "duplicate key in JSON": ("a.json", '{"a": 1,\n"b": 2,\n"a": 3}', "a.json line 3: key 'a' comes twice"),
    "duplicate key in YAML": ("a.yaml", "a: 1\nb: 2\na: 3\n", "a.yaml line 3: key 'a' comes twice"),
    "duplicate key by escape": ("a.json", '{"a": 1, "\\u0061": 2}', "comes twice"),
    "duplicate key below": ("a.json", '{"x": {"a": 1, "a": 2}}', "comes twice"),
    "tab in YAML": ("a.yaml", "a:\n\tb: 1\n", "a.yaml line 2: found character"),
    "python tag": ("a.yaml", "a: !!python/name:os.system", "the tag '!!python/name:os.system' is not read"),
    "own tag": ("a.yaml", "a: !mine {b: 1}", "the tag '!mine' is not read"),
    "tag on a list": ("a.yaml", "a: !!python/tuple [1]", "is not read"),
    "binary": ("a.yaml", "a: !!binary aGk=", "the tag '!!binary' is not read"),
    "set": ("a.yaml", "a: !!set {b, c}", "the tag '!!set' is not read"),
    "merge key": ("a.yaml", "a: &a {b: 1}\nc:\n  <<: *a\n", "a.yaml line 3: the merge key '<<'"),
    "a list as key": ("a.yaml", "? [1, 2]\n: 3", "as a key"),
    "two documents": ("a.yaml", "a: 1\n---\nb: 2\n", "line 2"),
    "base 60 without end": ("a.yaml", "a: 1" + ":01" * 1_000, "expected a value of kind int"),
    "int that is none": ("a.yaml", "a: !!int x", "expected a value of kind int"),
    "digits without end": ("a.json", '{"a": ' + "1" * 5_000 + "}", "too many digits"),
    "half a surrogate pair": ("a.json", '{"a": "\\ud800"}', "surrogate"),
    "half a surrogate pair in YAML": ("a.yaml", 'a: "\\ud800"', "surrogate"),
    "a control character": ("a.yaml", "a: 1\nb: \x07", "a.yaml line 2: a character that YAML does not allow"),
    "comment in JSON": ("a.json", '{"a": 1} // x', "a.json line 1: expected the end"),
    "comma at the end": ("a.json", '{"a": [1,]}', "expected a value"),
    "no comma": ("a.json", '{"a": 1\n "b": 2}', "a.json line 2: expected ','"),
    "a list": ("a.json", "[1]", "found a list"),
    "a text": ("a.yaml", "just words", "found a single value"),
    "empty JSON": ("a.json", "", "expected a value"),
    "empty YAML": ("a.yaml", "", "found a single value"),
}


@pytest.mark.parametrize("what", list(REFUSED))
def test_what_is_no_sound_document_is_one_line(what: str) -> None:
    name, text, match = REFUSED[what]
    with pytest.raises(ClassifierError) as refused:
        read_document(name, text.encode())
    assert match in str(refused.value)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize("name", ["a.json", "a.yaml"])
@pytest.mark.parametrize("data", [b'{"a":\n"\xff"}', '{"a": 1}'.encode("utf-16")])
def test_other_encodings_are_one_line(name: str, data: bytes) -> None:
    with pytest.raises(ClassifierError, match=r"line \d: expected UTF-8 text"):
        read_document(name, data)


@pytest.mark.parametrize(
    "text", ["a: 0x1F\nb: 017\nc: 1_000\nd: yes\ne: ~\nf: 1e3\ng: 1.5e+3\nh: 2020-01-01\ni: 1:30\n"]
)
def test_scalars_of_yaml_are_those_of_the_loader_of_monai(text: str) -> None:
    expected = yaml.safe_load(text)
    expected["h"] = "2020-01-01"  # a date stays a text
    assert read_document("a.yml", text.encode()).content == expected
