"""Expressions: what Python would answer where the grammar allows, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxcam.model.bundle import Section
from voxcam.model.bundle.expressions import NotStaticError, WrongExpressionError, evaluate

VALUES: dict[str, Any] = {
    "a": 3,
    "b": -2.5,
    "s": "text",
    "l": [1, 2, 3],
    "d": {"k": [4, 5]},
    "t": True,
    "n": None,
}


def _mine(text: str) -> Any:
    return evaluate(text, lambda id_: VALUES[id_])


ATOMS = st.sampled_from(
    ["@a", "@b", "@s", "@l", "@d", "@t", "@n", "@d['k']", "@l[0]", "@l[-1]", "@l[1:]", "@s[::-1]"]
) | st.one_of(
    st.integers(-50, 50).map(str),
    st.floats(-9, 9, allow_nan=False).map(repr),
    st.booleans().map(str),
    st.just("None"),
    st.text("xyz", max_size=3).map(repr),
)
BINARY = ["+", "-", "*", "/", "//", "%", "**", "and", "or", "==", "!=", "<", "<=", ">", ">=", "in", "not in"]
CALLS = ["len", "min", "max", "sum", "abs", "round", "int", "float", "str", "bool", "list", "tuple", "sorted"]


def _grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from(BINARY), inner),
        st.builds("({} if {} else {})".format, inner, inner, inner),
        st.builds("{}({})".format, st.sampled_from(CALLS), inner),
        st.builds("({} {})".format, st.sampled_from(["-", "+", "not"]), inner),
        st.lists(inner, max_size=3).map(lambda parts: f"[{', '.join(parts)}]"),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: f"({', '.join(parts)},)"),
        st.builds("{{'p': {}, 'q': {}}}".format, inner, inner),
        st.builds("{}[{}]".format, inner, inner),
        st.builds("[*{}, {}]".format, inner, inner),
        st.builds("[x for x in {} if x]".format, inner),
        st.builds("[(i, x) for i, x in enumerate({})]".format, inner),
        st.builds("list(zip({}, range({})))".format, inner, inner),
        st.builds("dict(a={}, b={})".format, inner, inner),
        st.builds("any({}) or all({})".format, inner, inner).map("({})".format),
    )


@given(text=st.recursive(ATOMS, _grown, max_leaves=8))
@settings(max_examples=1500, deadline=None)
def test_what_is_answered_is_what_python_answers(text: str) -> None:
    names = {f"v_{key}": value for key, value in VALUES.items()}
    expected = _result(lambda: eval(text.replace("@", "v_"), names))
    found = _result(lambda: _mine(text))
    if isinstance(found, NotStaticError):
        return  # a format string, a value too large, a complex number
    if isinstance(found, WrongExpressionError):
        assert isinstance(expected, Exception), text
        return
    assert type(found) is type(expected), (text, expected)
    assert repr(found) == repr(expected)  # NaN, too, and 1 is not True


def _result(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except Exception as error:
        return error


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("@a + 1", 4),
        ("1.0 - float(@a) / float(4)", 0.25),
        ("((@a - 1) // 2,) * 4", (1, 1, 1, 1)),
        ("len(@d) + @a", 4),
        ("@s + '/models'", "text/models"),
        ("@l + [4]", [1, 2, 3, 4]),
        ("[i * 2 for i in range(3)]", [0, 2, 4]),
        ("{**@d, 'x': 1}", {"k": [4, 5], "x": 1}),
        ("torch.float32", "float32"),
        ("np.uint8", "uint8"),
        ("numpy.float32", "float32"),
        ("torch.long", "int64"),
        ("monai.utils.CommonKeys.IMAGE", "image"),
        ("np.pi / 8", math.pi / 8),
        ("torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')", "cpu"),
        ('torch.device(f"cuda:{@a}" if torch.cuda.is_available() else "cpu")', "cpu"),
        ("os.path.join(@s, 'eval')", "text/eval"),
        ("@n is None", True),
        ("1 < 2 < 3", True),
        (" @a ", 3),
        ("'a' if @t else undefined_name()", "a"),
        ("0x10 + 1_000", 1016),
        ("2 ** 10", 1024),
        ("round(2.675, 2)", round(2.675, 2)),
        ("max(1, 2.5)", 2.5),
        ("sorted([3, 1, 2], reverse=True)", [3, 2, 1]),
        ("@l[::-1]", [3, 2, 1]),
    ],
)
def test_forms_that_bundles_use(text: str, value: Any) -> None:
    found = _mine(text)
    assert found == value
    assert type(found) is type(value)


def test_a_network_that_is_moved_is_the_network() -> None:
    network = Section({"_target_": "DenseNet"})
    for text in ("@network_def.to(@device)", "@network_def.to('cuda:1').eval()", "@network_def.cpu()"):
        assert evaluate(text, {"network_def": network, "device": "cpu"}.__getitem__) is network
    for text in (
        "@network_def.to('float16')",
        "@network_def.half()",
        "@network_def.to(device='cpu')",
        "@s.to('cpu')",
    ):
        with pytest.raises(NotStaticError):
            evaluate(text, {"network_def": network, "s": "text"}.__getitem__)


def test_what_says_no_more_than_a_section_is_that_section() -> None:
    found = _mine("monai.networks.nets.DenseNet121(spatial_dims=@a, in_channels=1)")
    assert found == {"_target_": "monai.networks.nets.DenseNet121", "spatial_dims": 3, "in_channels": 1}
    for text in (
        "monai.networks.nets.DenseNet121(3)",
        "monai.networks.nets.DenseNet121(_target_='os.system')",
        "monai.networks.nets.DenseNet121(_mode_='debug')",
        "monai.networks.nets.densenet.DenseNet121(a=1)",
        "monai.bundle.run(x=1)",
        "monai.apps.download_url(url='x')",
    ):
        with pytest.raises(NotStaticError):
            _mine(text)


HOSTILE = [
    "__import__('os').system('x')",
    "open('/etc/passwd').read()",
    "eval('1')",
    "exec('1')",
    "compile('1', '', 'eval')",
    "getattr(torch, 'os')",
    "torch.os.system('x')",
    "torch.load('x')",
    "torch.hub.load('a', 'b')",
    "np.load('x', allow_pickle=True)",
    "().__class__.__base__.__subclasses__()",
    "@s.__class__",
    "@s.format(@s)",
    "'{0.__class__}'.format(@a)",
    "'%1000000000d' % 1",
    "@s % @a",
    "f'{@s}'",
    "f'{@a:>1000000000}'",
    "lambda: 1",
    "(lambda: 1)()",
    "[x for x in @l for y in @l]",
    "[x async for x in @l]",
    "[print(x) for x in @l]",
    "[torch.float32 for torch in @l]",
    "{x for x in @l}",
    "{x: x for x in @l}",
    "(x for x in @l)",
    "sum(x for x in @l)",
    "(y := 1)",
    "import os",
    "from os import system",
    "print('x')",
    "globals()",
    "vars()",
    "type(@a)",
    "b'bytes'",
    "1j",
    "...",
    "{1, 2}",
    "@a @ @a",
    "a@b",
    "'mail@s'",
    "~@a",
    "1 << 100000",
    "@a | 1",
    "10 ** 10 ** 10",
    "2 ** 100000",
    "'x' * 10 ** 9",
    "[0] * 100001",
    "[[0] * 9999] * 9999",
    "list(range(10 ** 9))",
    "range(10 ** 9)",
    "round(5, -10 ** 6)",
    "int('9' * 300)",
    "max(@l, key=len)",
    "len(*@l)",
    "dict(**@d)",
    "@s is @s",
    "reference_0_",
    "(" * 300 + "1" + ")" * 300,
    "-" * 1500 + "1",
    "1" * 3000,
    "not " * 400 + "1",
    "1 +" * 500 + "1",
    "[" * 90 + "]" * 90,
    "1; 2",
    "x = 1",
    "\0",
    "",
    "undefined",
    "len",
    "torch",
    "torch.device",
    "monai",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_all_else_is_refused_and_says_what(text: str) -> None:
    with pytest.raises(NotStaticError) as refused:
        _mine(text)
    assert str(refused.value)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 100


@pytest.mark.parametrize(
    "text", ["1 / 0", "@l[9]", "@d['no']", "int('x')", "1 + 'a'", "len(5)", "2.0 ** 5000", "abs()", "@l < @d"]
)
def test_an_expression_without_a_value_says_so(text: str) -> None:
    with pytest.raises(WrongExpressionError):
        _mine(text)


@pytest.mark.parametrize(
    "text", ["@c['x']", "@c == @c", "not @c", "@c and 1", "[*@c]", "{**@c}", "[@c] == [@c]"]
)
def test_what_only_the_object_could_answer_is_refused(text: str) -> None:
    with pytest.raises(NotStaticError):
        evaluate(text, lambda _: {"_target_": "DenseNet"})


@pytest.mark.parametrize("text", ["{'_target_': 'DenseNet'}", "dict([('_target_', 'DenseNet')])"])
def test_an_expression_puts_no_object_together(text: str) -> None:
    """For MONAI it is a dict: it looks for objects before it evaluates."""
    with pytest.raises(NotStaticError, match="an object put together"):
        _mine(text)
