"""Guards of the packaging: editable links, folders that shadow nobody, dependencies that are declared."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"][
    "only-include"
]


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


TENSORS = {
    "tools/gmvo/model.py", "tools/gmvo/fit.py", "tools/complement/kernel.py", "tools/fairness/loop.py",
    "tools/fairness/learn.py", "tools/fairness/bound.py", "evals/baselines/gmvo_graphs.py",
    "evals/baselines/fairness.py", "evals/baselines/fairness_deal.py", "evals/suites/fairness.py",
    "evals/suites/fairness_ground.py", "evals/suites/fairness_learned.py",
    "evals/suites/fairness_measures.py", "evals/suites/fairness_rivals.py",
    "evals/suites/fairness_tables.py", "tools/grace/answer.py", "tools/grace/beam.py",
    "tools/grace/fast.py", "tools/grace/fit.py", "tools/grace/jsa.py", "tools/grace/layers.py",
    "tools/grace/model.py", "tools/tmf/graph.py", "tools/tmf/items.py", "tools/tmf/learn.py",
    "tools/tmf/lesson.py", "evals/baselines/tmf.py", "evals/suites/tmf.py", "evals/suites/tmf_systems.py",
    "tools/tmf/model.py", "tools/tmf/network.py", "tools/tmf/prompt.py", "tools/tmf/store.py",
}  # fmt: skip
"""Modules made of torch or numba; others import them inside the functions that need them."""


def test_only_modules_of_tensors_import_modules_of_tensors() -> None:
    names = {"merchgraph." + name.removesuffix(".py").replace("/", ".") for name in TENSORS}
    for path in (path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")):
        if str(path.relative_to(ROOT)) in TENSORS:
            continue
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ImportFrom):
                base = node.module or ""
                wanted = {base, *(f"{base}.{alias.name}" for alias in node.names)}
                assert not wanted & names, f"{path} imports {wanted & names}"


def test_what_a_plain_install_imports_is_a_core_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    imported = {
        name
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
        if str(path.relative_to(ROOT)) not in TENSORS
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
