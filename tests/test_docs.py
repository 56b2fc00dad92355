"""The documents say what is true of the tree."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_module_stands_in_the_architecture_with_its_own_first_line() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    source = ROOT / "src" / "voxcam"
    modules = {
        str(path.relative_to(source)): path.read_text().split('"""')[1].splitlines()[0].rstrip(".")
        for path in source.rglob("*.py")
        if path.name != "__init__.py"
    }
    listed = dict(re.findall(r"^\| `([\w/.]+)` \| (.+) \|$", text, flags=re.MULTILINE))
    assert listed == modules, "run scripts/draw-architecture"


def test_readme_and_documents_link_to_files_that_exist() -> None:
    for document in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
            if not target.startswith("http"):
                assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_every_method_and_command_is_documented() -> None:
    from voxcam.cam import METHODS
    from voxcam.cli.main import COMMANDS

    index, *pages = sorted((ROOT / "docs" / "methods").glob("*.md"))
    assert index.name == "README.md"
    for name in METHODS:
        assert f"`{name}`" in index.read_text(), f"{name} is not in the table of methods"
        assert any(f"`{name}`" in page.read_text() for page in pages), f"{name} has no page"
    readme = (ROOT / "README.md").read_text()
    assert all(f"voxcam {name}" in readme for name in COMMANDS)


def test_the_keys_of_the_room_are_those_it_binds() -> None:
    from voxcam.plugin.keys import keys_as_markdown

    page = (ROOT / "docs" / "reading-room.md").read_text()
    table = page.partition("<!-- keys:begin -->\n")[2].partition("<!-- keys:end -->")[0]
    assert table == keys_as_markdown(), "run scripts/draw-architecture"
