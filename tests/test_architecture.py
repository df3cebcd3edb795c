"""The floors: which folder may import which, and how long a file and a function may be."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = {
    "runtime": {"runtime"},
    "prompts": {"prompts"},
    "tools": {"tools", "runtime"},
    "agents": {"agents", "prompts", "runtime"},
    "graphs": {"graphs", "agents", "tools", "runtime"},
    "evals": {"evals", "graphs", "agents", "tools", "prompts", "runtime"},
    "cli": {"cli", "evals", "graphs", "agents", "tools", "prompts", "runtime"},
}
FILES = sorted(path for folder in FLOORS for path in (ROOT / folder).rglob("*.py"))
LONGEST_FILE = 300
LONGEST_FUNCTION = 40


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import at line {node.lineno}"
            yield node.module or ""


def floors_of(source: str) -> set[str]:
    names = (name.split(".") for name in imported(ast.parse(source)))
    return {parts[1] for parts in names if parts[0] == "merchgraph" and len(parts) > 1}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_downwards(path: Path) -> None:
    folder = path.relative_to(ROOT).parts[0]
    assert floors_of(path.read_text(encoding="utf-8")) <= FLOORS[folder]


def test_an_arrow_back_is_seen() -> None:
    assert "graphs" in floors_of("def late():\n    from merchgraph.graphs import arag\n")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_stay_short(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert source.count("\n") <= LONGEST_FILE
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node, clean=False)
            told = docstring.count("\n") + 1 if docstring else 0
            lines = (node.end_lineno or 0) - node.lineno + 1 - told
            assert lines <= LONGEST_FUNCTION, f"{node.name} has {lines} lines"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_says_what_it_holds(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
