"""Guards of the packaging: editable links, folders that shadow nobody, dependencies that are declared."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_packaged_folder_is_linked_for_editable_installs() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    links = {link.name: link.resolve() for link in (ROOT / ".dev/merchgraph").iterdir()}
    assert links == {name: ROOT / name for name in build["only-include"]}


def test_no_top_level_folder_is_a_regular_package() -> None:
    assert list(ROOT.glob("*/__init__.py")) == []


def at_import(path: Path) -> set[str]:
    """Top-level packages that importing the module imports; what functions import is left out."""
    found: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").split(".")[0])
    return found - {"merchgraph"} - sys.stdlib_module_names


def test_what_a_plain_install_imports_is_a_core_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    folders = project["tool"]["hatch"]["build"]["only-include"]
    imported = {
        name
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        for name in at_import(path)
    }
    assert "polars" in imported
    declared = {re.split(r"[<>=!~ ;\[]", line)[0] for line in project["project"]["dependencies"]}
    origins = packages_distributions()
    undeclared = {
        name
        for name in imported
        if not declared & {origin.lower().replace("_", "-") for origin in origins.get(name, [])}
    }
    assert undeclared == set()
