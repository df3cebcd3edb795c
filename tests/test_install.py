"""The package as others get it: sdist, wheel from the sdist, and the wheel beside its namesakes."""

import importlib.util
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"][
    "only-include"
]
BUILD = "import hatchling.build as b, sys; print(getattr(b, 'build_' + sys.argv[1])(sys.argv[2]))"
RUN = """
import sys
import agents
assert agents.Runner and not agents.__file__.startswith(sys.argv[2])
from merchgraph.graphs import arag
assert sys.argv[2] in arag.__file__
from merchgraph.runtime.scripted import Always, scripted
with scripted({
    "understand": Always('{"long_term": [], "session_goal": "tea", "summary": "Likes tea.",'
        ' "constraints": {"price": null, "brand": null, "avoid": []}}'),
    "nli": Always({"Yes": 0.6, "No": 0.4}),
    "nli@tea": Always({"Yes": 0.9, "No": 0.1}),
    "summarize": Always('{"themes": [], "summary": "Drinks."}'),
    "rank": Always('{"ranking": ["1"]}'),
}) as model:
    request = arag.Request(user="7", candidates=["jam", "tea"])
    context = arag.Context(model=model, data=sys.argv[1], k=1, candidates=2, rationales=False)
    print([row.item for row in arag.run(request, context).ranking])
heavy = {"torch", "chromadb", "sentence_transformers", "xllamacpp"} & sys.modules.keys()
assert not heavy, heavy
"""


def build(kind: str, source: Path, target: Path) -> Path:
    """Build an sdist or a wheel with the backend itself: an isolated build would need a network."""
    ended = subprocess.run(
        [sys.executable, "-c", BUILD, kind, str(target)],
        cwd=source, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return target / ended.stdout.strip().splitlines()[-1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel built from the unpacked sdist, so that the sdist lacks nothing."""
    if importlib.util.find_spec("hatchling") is None:
        pytest.skip("building needs the package hatchling")
    folder = tmp_path_factory.mktemp("dist")
    sdist = build("sdist", ROOT, folder)
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    return build("wheel", folder / sdist.name.removesuffix(".tar.gz"), folder)


def packaged() -> set[str]:
    """Every file of the packaged folders, as the wheel should name it."""
    files = (file for name in FOLDERS for file in (ROOT / name).rglob("*") if file.is_file())
    kept = (file for file in files if file.suffix in (".py", ".md"))
    return {f"merchgraph/{file.relative_to(ROOT).as_posix()}" for file in kept}


def test_the_wheel_holds_every_module_and_prompt_and_no_test(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        (entry,) = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        assert "merchgraph = merchgraph.cli.main:main" in archive.read(entry).decode()
    assert packaged() <= names
    assert {name.split("/")[1] for name in names} == set(FOLDERS)
    assert any(name.startswith("merchgraph/prompts/") and name.endswith(".md") for name in names)
    assert not [name for name in names if name.endswith((".pyc", "/__init__.py"))]


def test_the_wheel_runs_elsewhere_beside_openai_agents(wheel: Path, tmp_path: Path) -> None:
    pytest.importorskip("agents", reason="the package openai-agents is not installed")
    place, shop = tmp_path / "site", tmp_path / "shop"
    place.mkdir()
    shop.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place)
    (shop / "items.csv").write_text("item,title\nmilk,Milk\ntea,Green tea\njam,Plum jam\n")
    (shop / "events.csv").write_text("user,time,item,behaviour\n7,2024-01-02,milk,purchase\n")
    columns = "user: user, time: time, item: item, behaviour: behaviour"
    (shop / "shop.yaml").write_text(
        "items: {file: items.csv, columns: {item: item, title: title}}\n"
        f"events: {{file: events.csv, columns: {{{columns}}}}}\n"
    )
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", RUN, str(shop / "shop.yaml"), str(place)],
        cwd=shop, capture_output=True, text=True, check=False,
        env={"PYTHONPATH": str(place), "MERCHGRAPH_CACHE": str(tmp_path / "cache")},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip() == "['tea', 'jam']"
