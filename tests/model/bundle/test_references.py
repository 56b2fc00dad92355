"""References, macros and switches mean what they mean to MONAI; what leads nowhere is one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.model.bundle.small_bundles import small_bundle
from voxcam.errors import ClassifierError, UntrustedCodeError
from voxcam.model.bundle import read_bundle

OTHER = {"net": {"size": "@size", "list": [1, {"deep": "$@size * 2"}]}, "plain": "x"}
SAME_AS_MONAI: dict[str, dict[str, Any]] = {
    "plain": {"x": [1, 2.5, "text", None, True, {"y": []}]},
    "reference": {"x": "@y", "y": {"z": 3}},
    "into a dict": {"x": "@y::z", "y": {"z": 3}},
    "into a list": {"x": "@y::1::z", "y": [0, {"z": 3}]},
    "old separator": {"x": "@y#1#z", "y": [0, {"z": 3}]},
    "chain": {"x": ["@y", "@z"], "y": "@z", "z": "$1 + 1"},
    "same level": {"x": {"a": "@::b", "b": 5}},
    "same level, old": {"x": {"a": "@#b", "b": 5}},
    "level above": {"x": {"a": {"c": "@::::b"}, "b": 5}},
    "top by counting": {"x": {"a": "@::::y"}, "y": 7},
    "within a list": {"x": [3, 4, "@::1"]},
    "in an expression": {"x": {"a": "$@::b + @y::0", "b": 5}, "y": [1]},
    "old separator in an expression": {"x": "$[1.5] if @y#high else [3.0]", "y": {"high": True}},
    "the longer id first": {"x": "$@y + @yy", "y": 1, "yy": 10},
    "an index in brackets": {"x": "$@y['z'][0]", "y": {"z": [4]}},
    "a list of references": {"x": "$@y + @z", "y": ["@a"], "z": [2], "a": 1},
    "an address": {"x": "user@example.org"},
    "macro": {"y": {"z": 3}, "x": "%y"},
    "macro into": {"y": {"z": [3, 4]}, "x": "%y::z::1"},
    "macro on the same level": {"x": {"a": {"z": 3}, "b": "%::a"}},
    "macro with references": {"size": 4, "y": {"z": "@size"}, "x": "%y"},
    "macro before": {"y": {"z": 3}, "w": "%y", "x": "%w::z"},
    "file": {"size": 4, "x": "%configs/other.json::net"},
    "file with a dot": {"size": 4, "x": "%./configs/other.json::net::list::1"},
    "file, old separator": {"size": 4, "x": "%configs/other.json#plain"},
    "YAML file": {"x": "%configs/other.yaml::net"},
    "through a file": {"size": 4, "y": "%configs/other.json::net", "x": "@y::list::0"},
    "the metadata": {"x": "@_meta_::channels::0"},
    "a tuple": {"x": "$(@y // 2,) * 4", "y": 190},
}


@pytest.mark.parametrize("what", list(SAME_AS_MONAI))
def test_a_section_is_what_monai_makes_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    from monai.bundle import ConfigParser

    files = {"configs/other.json": json.dumps(OTHER), "configs/other.yaml": "net: {a: [1, 2]}\n"}
    place = small_bundle(tmp_path / "bundle", SAME_AS_MONAI[what], files, channels=["lung"])
    monkeypatch.chdir(place)  # MONAI opens the files of macros from here
    parser = ConfigParser()
    parser.read_config("configs/inference.json")
    parser.read_meta("configs/metadata.json")
    found = read_bundle(place).section("x")
    assert found == parser.get_parsed_content("x")


@pytest.mark.parametrize(
    ("disabled", "left"),
    [(True, 1), ("true", 1), (" True ", 1), (False, 2), ("no", 2), ("$not @on", 1), ("@on", 1), (0, 2)],
)
def test_what_is_switched_off_falls_out_of_its_list(tmp_path: Path, disabled: Any, left: int) -> None:
    from monai.bundle import ConfigParser

    step = {"_target_": "ScaleIntensityd", "keys": "image"}
    config = {
        "on": disabled != "$not @on",
        "preprocessing": {"_target_": "Compose", "transforms": [step, step | {"_disabled_": disabled}]},
    }
    found = read_bundle(small_bundle(tmp_path, config)).preprocessing["transforms"]
    assert len(found) == left
    assert len(ConfigParser(config).get_parsed_content("preprocessing").transforms) == left
    assert all("_disabled_" not in entry for entry in found)


def test_a_network_switched_off_is_none(tmp_path: Path) -> None:
    config = {"network_def": {"_target_": "DenseNet", "_disabled_": True}, "x": ["@network_def"]}
    bundle = read_bundle(small_bundle(tmp_path, config))
    assert bundle.network is None
    assert bundle.section("x") == [None]


def test_what_says_nothing_is_dropped(tmp_path: Path) -> None:
    silent = {"_desc_": "text", "_mode_": "default", "_requires_": [], "_disabled_": False}
    config = {"network_def": {"_target_": "DenseNet"} | silent}
    assert read_bundle(small_bundle(tmp_path, config)).network == {"_target_": "DenseNet"}


@pytest.mark.parametrize(
    ("instruction", "what"),
    [
        ({"_mode_": "debug"}, "a mode of MONAI's: 'debug'"),
        ({"_mode_": "callable"}, "a mode of MONAI's: 'callable'"),
        ({"_requires_": "@x"}, "a requirement that runs first: '@x'"),
        ({"_wrapper_": "x"}, "an instruction '_wrapper_': 'x'"),
        ({"_debug_": True}, "an instruction '_debug_': 'True'"),
    ],
)
def test_other_instructions_are_refused_with_their_line(
    tmp_path: Path, instruction: dict[str, Any], what: str
) -> None:
    config = {"x": 1, "network_def": {"_target_": "DenseNet"} | instruction}
    bundle = read_bundle(small_bundle(tmp_path, config))
    with pytest.raises(UntrustedCodeError) as refused:
        bundle.section("network_def")
    key = next(iter(instruction))
    assert f"inference.json line 5 (network_def::{key}) is {what}" in str(refused.value)


@pytest.mark.parametrize(
    "macro",
    [
        "%/etc/passwd",
        "%/etc/passwd.json",
        "%../outside.json::x",
        "%configs/../../outside.json::x",
        "%configs/sub/../other.json",
        "%file:///etc/x.json",
        "%https://example.org/x.json::y",
        "%C:\\x.json",
        "%..\\outside.json",
        "%models/x.json",
    ],
)
def test_a_macro_reads_no_file_outside_the_configs(tmp_path: Path, macro: str) -> None:
    (tmp_path / "outside.json").write_text('{"x": "SECRET"}')
    bundle = read_bundle(small_bundle(tmp_path / "bundle", {"network_def": macro}))
    with pytest.raises(UntrustedCodeError, match="a macro to a file outside the bundle's configs") as refused:
        bundle.section("network_def")
    assert "SECRET" not in str(refused.value)


def test_a_reference_reads_no_file_outside_the_configs_either(tmp_path: Path) -> None:
    config = {"network_def": ["@y::z", "$@y::z + 1"], "y": "%/etc/x.json"}
    bundle = read_bundle(small_bundle(tmp_path, config))
    assert [need.place for need in bundle.would_run] == ["network_def::0", "network_def::1"]
    with pytest.raises(UntrustedCodeError, match="a reference into a file outside the bundle's configs"):
        bundle.section("network_def")


def test_a_link_out_of_the_configs_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside.json").write_text('{"x": "SECRET"}')
    place = small_bundle(tmp_path / "bundle", {"network_def": "%configs/net.json::x"})
    (place / "configs" / "net.json").symlink_to(tmp_path / "outside.json")
    with pytest.raises(ClassifierError, match="which is not in configs"):
        read_bundle(place).section("network_def")


ASTRAY = {
    "nowhere": ({"x": "@no::where"}, "inference.json line 2 (x) refers to @no::where, which is not in"),
    "beyond a list": ({"x": "@y::5", "y": [1]}, "@y::5, which is not in inference.json"),
    "into a number": ({"x": "@y::5", "y": 1}, "@y::5, which is not in inference.json"),
    "above the top": ({"x": {"a": "@::::::b"}}, "counts upwards beyond the top"),
    "itself": ({"x": "@x"}, "refers to itself through x"),
    "circle": ({"x": "@y", "y": {"z": "@w"}, "w": ["$@x"]}, "refers to itself through x"),
    "circle of macros": ({"x": "%y", "y": "%x"}, "refers to itself"),
    "circle in a macro's path": ({"x": "%x::y"}, "references nest too deep"),
    "missing file": ({"x": "%configs/no.json::y"}, "copies from 'configs/no.json', which is not in configs"),
    "broken file": ({"x": "%configs/broken.json::y"}, "broken.json line 1: expected a key"),
    "upwards in another file": ({"x": "%configs/up.json::a"}, "counts upwards from within another file"),
    "a chain without end": (
        {"x": "@a0"} | {f"a{n}": f"@a{n + 1}" for n in range(200)} | {"a200": 1},
        "references lead too deep",
    ),
    "a chain of expressions": (
        {"x": "$[[[[[@a0]]]]]"} | {f"a{n}": f"$((((@a{n + 1}))))" for n in range(200)} | {"a200": 1},
        "references lead too deep",
    ),
    "doubled without end": (
        {"x": "@a0"} | {f"a{n}": [f"@a{n + 1}", f"@a{n + 1}"] for n in range(25)} | {"a25": 1},
        "more than 100,000 values",
    ),
    "no value": ({"x": ["$1 / 0"]}, "inference.json line 3 (x::0): the expression '$1 / 0' has no value"),
    "not finite": ({"x": "$float('inf')"}, "expected a number, found inf"),
}


@pytest.mark.parametrize("what", list(ASTRAY))
def test_what_leads_astray_is_one_line(tmp_path: Path, what: str) -> None:
    config, match = ASTRAY[what]
    files = {"configs/broken.json": "{", "configs/up.json": '{"a": {"b": "@::c", "c": 1}}'}
    bundle = read_bundle(small_bundle(tmp_path, config, files))
    with pytest.raises(ClassifierError) as refused:
        bundle.section("x")
    assert match in str(refused.value)
    assert not isinstance(refused.value, UntrustedCodeError)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_is_none_is_refused_where_it_is_read(tmp_path: Path, word: str) -> None:
    place = small_bundle(tmp_path, {"preprocessing": {"b_max": "WORD"}, "other": "WORD"})
    config = place / "configs" / "inference.json"
    config.write_text(config.read_text().replace('"WORD"', word))
    with pytest.raises(
        ClassifierError, match=r"inference.json line 3 \(preprocessing::b_max\): expected a number"
    ):
        _ = read_bundle(place).preprocessing


def test_a_section_knows_where_it_is_written(tmp_path: Path) -> None:
    files = {"configs/nets.yaml": "a: 1\nnet:\n  _target_: DenseNet\n  act: {name: relu}\n"}
    config = {"network_def": "%nets.yaml::net", "preprocessing": ["@step"], "step": {"_target_": "Resized"}}
    bundle = read_bundle(small_bundle(tmp_path, config, files))
    assert bundle.network.where == "nets.yaml line 2 (net)"
    assert bundle.network["act"].where == "nets.yaml line 4 (net::act)"
    assert bundle.preprocessing["transforms"][0].where == "inference.json line 6 (step)"


def test_a_file_of_an_odd_name_is_named_as_it_is(tmp_path: Path) -> None:
    name = "nets line 3 (x).json"
    files = {f"configs/{name}": json.dumps({"a line (b)": {"_target_": "scripts.Net"}})}
    bundle = read_bundle(small_bundle(tmp_path, {"network_def": f"%{name}::a line (b)"}, files))
    (need,) = bundle.would_run
    assert (need.file, need.line, need.place, need.text) == (name, 1, "a line (b)", "scripts.Net")


def test_only_what_is_asked_for_is_worked_out(tmp_path: Path) -> None:
    config = {"bad": "$open('x')", "path": "$@bundle_root + '/models'", "bundle_root": ".", "x": "@path"}
    bundle = read_bundle(small_bundle(tmp_path, config))
    assert bundle.section("x") == "./models"
    assert bundle.section("nothing") is None


def test_expressions_share_their_steps(tmp_path: Path) -> None:
    config = {"e": "$[i for i in range(4000)]", "x": ["@e"] * 40_000}
    bundle = read_bundle(small_bundle(tmp_path, config))
    with pytest.raises(UntrustedCodeError, match="more steps than VoxCAM takes"):
        bundle.section("x")


def test_what_is_reached_by_counting_upwards_is_used(tmp_path: Path) -> None:
    config = {"network_def": {"_target_": "DenseNet", "growth": "@::::y"}, "y": "$@z", "z": 4, "w": "@y"}
    bundle = read_bundle(small_bundle(tmp_path, config))
    assert bundle.network["growth"] == 4
    assert bundle.unused == ("w",)


TOKENS = st.sampled_from(
    "@a~@b::0~@::x~@::::b~%a~%b::x~%configs/o.json::p~%/x.json~$~$@a~+~*~(~)~[~]~{~}~:~'x'~1~0~ if ~ else ~"
    "[i for i in ~i]~len(~torch.float32~.to(@b)~lambda: ~f'{@a}'~ is None~ and ~#~ ".split("~")
)
KEYS = st.sampled_from(["a", "x", "_target_", "_disabled_", "_mode_", "_requires_"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.lists(TOKENS, max_size=6).map("".join),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner),
    max_leaves=6,
)


@given(config=st.fixed_dictionaries(dict.fromkeys(("a", "b", "network_def", "preprocessing"), VALUES)))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_configuration_is_read_or_refused_in_one_line(tmp_path: Path, config: dict[str, Any]) -> None:
    bundle = read_bundle(small_bundle(tmp_path, config, {"configs/o.json": '{"p": ["@a", "%q"], "q": 1}'}))
    bundle.would_run, bundle.unused, bundle.also_holds, bundle.digests()
    for key in config:
        try:
            plain = bundle.section(key)
        except ClassifierError as error:
            said = str(error)
        else:
            said = ""
            json.dumps(plain)  # plain data: JSON can hold it
        assert "\n" not in said
