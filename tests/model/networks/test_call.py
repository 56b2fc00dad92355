"""A line of text becomes a section, by data alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxcam.errors import ClassifierError, UntrustedCodeError
from voxcam.model.networks import build_network, network_section
from voxcam.model.networks.catalogue import CATALOGUE, DROPPED, NETWORKS

DENSE = {"_target_": "DenseNet121", "spatial_dims": 3, "in_channels": 1, "out_channels": 2}

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(data=st.data(), name=st.sampled_from(sorted(NETWORKS)))
@settings(max_examples=200, deadline=None)
def test_what_is_written_out_is_read_back(data: st.DataObject, name: str) -> None:
    from voxcam.model.networks.catalogue import entry_of

    entry = entry_of(name)
    keys = data.draw(st.sets(st.sampled_from([*entry.positional, *entry.keywords]), max_size=5))
    section: dict[str, Any] = {key: data.draw(plain) for key in sorted(keys)}
    text = f"{name}({', '.join(f'{key}={value!r}' for key, value in section.items())})"
    assert network_section(text) == {"_target_": name} | section


@given(text=st.text(max_size=60) | st.text(alphabet="DenseNt12()[]{},.=:'\"\\*&lambda 0j_\n\0", max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_text_is_a_section_or_one_line(text: str) -> None:
    for line in (text, f"DenseNet121({text})"):
        assert len(refusal(line).splitlines()) <= 1


def refusal(line: str) -> str:
    """Return why a line is refused; "" where it is read. Anything but a ClassifierError passes."""
    try:
        section = network_section(line)
    except ClassifierError as error:
        return str(error)
    return "" if "_target_" in section else "no section\n"


@pytest.mark.parametrize(
    "text",
    [
        "DenseNet121(spatial_dims=3, in_channels=1, out_channels=2)",
        "DenseNet121(3, 1, 2)",
        "DenseNet121(3, in_channels=1, out_channels=2)",
        "  monai.networks.nets.DenseNet121(3, 1, 2,)\n",
        "nets.DenseNet121(\n    spatial_dims=3,  # a volume\n    in_channels=+1,\n    out_channels=2,\n)",
    ],
)
def test_ways_to_write_one_network(text: str) -> None:
    assert network_section(text) == DENSE


def test_it_builds_what_the_same_section_builds() -> None:
    arguments = "spatial_dims=2, n_input_channels=1, num_classes=2, widen_factor=0.125"
    text = f"resnet10({arguments}, act=('elu', {{'alpha': 0.5}}))"
    section = network_section(text)
    assert section["act"] == ["elu", {"alpha": 0.5}]
    written = build_network(section)
    again = build_network(dict(section))
    assert written.state_dict().keys() == again.state_dict().keys()
    assert written.act.alpha == 0.5


def test_positions_are_monais() -> None:
    import inspect

    from monai.networks import nets

    for name, entry in CATALOGUE.items():
        values = list(range(len(entry.positional)))
        section = network_section(f"{name}({', '.join(map(str, values))})")
        bound = inspect.signature(getattr(nets, name)).bind(*values).arguments
        assert section == {"_target_": name} | dict(bound), name
    assert {"pretrained", "progress"} <= DROPPED


HOSTILE = [
    "DenseNet121(spatial_dims=__import__('os').system('{touch}'))",
    "DenseNet121(open('{marker}', 'w'))",
    "DenseNet121(act=[open('{marker}', 'w') for _ in (1,)])",
    "DenseNet121(act={{k: open('{marker}', 'w') for k in 'a'}})",
    "DenseNet121(act=(lambda: open('{marker}', 'w'))())",
    "DenseNet121(act=f\"{{open('{marker}', 'w')}}\")",
    "DenseNet121(act=(x := open('{marker}', 'w')))",
    "DenseNet121(*[open('{marker}', 'w')])",
    "DenseNet121(**dict(act=open('{marker}', 'w')))",
    "DenseNet121(act={{**{{'a': 1}}}})",
    "DenseNet121(act={{1: 2}})",
    "DenseNet121(act=9**9**9)",
    "DenseNet121(act='a' * 10**10)",
    "DenseNet121(act=" + "[" * 500 + "]" * 500 + ")",
    "DenseNet121(act=" + "(" * 300 + "1" + ")" * 300 + ",)" + ")",
    "DenseNet121(act=" + "-" * 3000 + "1)",
    "DenseNet121(act=" + "9" * 3990 + "9" * 3990 + ")",
    "DenseNet121" + ".a" * 1500 + "()",
    "DenseNet121(act=a" + ".a" * 1500 + ")",
    "DenseNet121().__class__",
    "DenseNet121().train()",
    "DenseNet121()(open('{marker}', 'w'))",
    "DenseNet121.__init__.__globals__['os'].system('{touch}')",
    "(lambda: open('{marker}', 'w'))()",
    "[DenseNet121][0](act=1)",
    "__import__('os').system('{touch}')",
    "exec(\"open('{marker}', 'w')\")",
    "os.system('{touch}')",
    "monai.bundle.run('{touch}')",
    "torch.load('{marker}')",
    "evil.monai.networks.nets.DenseNet121(3, 1, 2)",
    "DenseNet121(act=True and open('{marker}', 'w'))",
    "DenseNet121(act=1 if open('{marker}', 'w') else 2)",
    "DenseNet121(act=b'bytes', norm=1j)",
    "DenseNet121(act=...)",
    "DenseNet121(act=Act.PRELU)",
    "DenseNet121(3, spatial_dims=3)",
    "DenseNet121(act=1, act=2)",
    "DenseNet121(1, 2, 3, 4, 5, 6, 7, 8, 9)",
    "DenseNet121(3); open('{marker}', 'w')",
    "import os",
    "await DenseNet121()",
    "yield",
    "DenseNet121",
    "DenseNet121(act='\0')\0",
    "UNet(3)",
    "",
]


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
def test_nothing_runs(hostile: str, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    text = hostile.format(marker=marker, touch=f"touch {marker}") if "{" in hostile else hostile
    with pytest.raises(ClassifierError) as caught:
        network_section(text)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert len(message) < 500
    assert not marker.exists()


@pytest.mark.parametrize("hostile", [line for line in HOSTILE if "{marker}" in line and "open(" in line][:5])
def test_what_is_refused_above_is_live(hostile: str, tmp_path: Path) -> None:
    """Positive control: evaluated as Python, it leaves its mark."""
    marker = tmp_path / "marker"
    eval(hostile.format(marker=marker), {"DenseNet121": lambda *_args, **_named: None})
    assert marker.exists()


def test_nesting_and_length_have_bounds() -> None:
    eight, nine = "[" * 7 + "1" + "]" * 7, "[" * 8 + "1" + "]" * 8
    assert network_section(f"DenseNet121(act={eight})")["act"]
    assert "nested deeper than 8" in refusal(f"DenseNet121(act={nine})")
    assert "longer than 4,000" in refusal(f"DenseNet121(act='{'a' * 4_000}')")


def test_a_misspelt_name_is_told_the_nearest() -> None:
    with pytest.raises(UntrustedCodeError, match="did you mean 'DenseNet121'"):
        network_section("Densnet121(3, 1, 2)")
