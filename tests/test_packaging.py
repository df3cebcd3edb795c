"""The two guards of the packaging: editable links, and folders that shadow nobody."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_packaged_folder_is_linked_for_editable_installs() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    links = {link.name: link.resolve() for link in (ROOT / ".dev/merchgraph").iterdir()}
    assert links == {name: ROOT / name for name in build["only-include"]}


def test_no_top_level_folder_is_a_regular_package() -> None:
    assert list(ROOT.glob("*/__init__.py")) == []
