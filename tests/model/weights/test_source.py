"""The source unpickles nothing, anywhere: told from its syntax, not its text."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import voxcam

SOURCE = Path(voxcam.__file__).parent
# Calls that run what a file asks for, by the last two parts of their dotted names.
UNPICKLING = {
    *(
        "pickle.load",
        "pickle.loads",
        "pickle.Unpickler",
        "pickle._Unpickler",
        "pickle._load",
        "pickle._loads",
    ),
    *("cPickle.load", "cPickle.loads", "dill.load", "dill.loads", "cloudpickle.load", "cloudpickle.loads"),
    *("joblib.load", "shelve.open", "marshal.load", "marshal.loads", "pandas.read_pickle", "pd.read_pickle"),
    *(
        "torch.load",
        "serialization.load",
        "export.load",
        "hub.load",
        "torch.package",
        "storage._load_from_bytes",
    ),
}
MODULES = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
RUNNING = {"eval", "exec", "compile", "__import__"}


def _dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def findings(text: str) -> list[str]:
    """Return what in a source could unpickle."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.partition(".")[0] in MODULES]
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found += [
                n
                for n in names
                if n.partition(".")[0] in MODULES or n in ("torch.load", "torch.serialization.load")
            ]
        if isinstance(node, ast.Attribute) and ".".join(_dotted(node).split(".")[-2:]) in UNPICKLING:
            found.append(_dotted(node))
        if isinstance(node, ast.keyword):
            value = node.value.value if isinstance(node.value, ast.Constant) else "?"
            found += ["weights_only"] * (node.arg == "weights_only" and value is not True)
            found += ["allow_pickle"] * (node.arg == "allow_pickle" and value is not False)
    return found


def test_no_source_of_voxcam_unpickles() -> None:
    sources = sorted(SOURCE.rglob("*.py"))
    assert len(sources) > 50
    found = {path.relative_to(SOURCE).as_posix(): findings(path.read_text()) for path in sources}
    assert {path: names for path, names in found.items() if names} == {}


def test_reading_weights_runs_and_imports_nothing_by_name() -> None:
    for path in (SOURCE / "model" / "weights").rglob("*.py"):
        tree = ast.parse(path.read_text())
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        imported = {
            alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
        }
        assert not names & RUNNING, path.name
        assert "importlib" not in imported, path.name


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "import joblib.numpy_pickle",
        "from pickle import loads",
        "from torch import load",
        "import torch\ntorch.load(path)",
        "import torch\ntorch.load(path, weights_only=True)",
        "import torch\ntorch.serialization.load(path)",
        "import torch\nread = torch.load",
        "f(weights_only=False)",
        "f(weights_only=flag)",
        "np.load(path, allow_pickle=True)",
        "torch.export.load(path)",
        "pd.read_pickle(path)",
    ],
)
def test_each_way_to_unpickle_is_found(code: str) -> None:
    assert findings(code)


def test_words_in_comments_and_texts_are_no_findings() -> None:
    assert findings('"""torch.load(path, weights_only=False)"""\n# pickle.load\nx = "pickle.load"') == []
