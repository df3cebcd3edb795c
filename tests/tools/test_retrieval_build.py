"""Building and opening a semantic index: complete or absent, whatever happens on the way."""

from __future__ import annotations

import hashlib
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.settings import use_settings
from merchgraph.tools.data.tables import Items
from merchgraph.tools.embedding import Embedder, SentenceModel
from merchgraph.tools.retrieval import Hit, SemanticIndex
from merchgraph.tools.vectors import Floats

WIDTH, ITEMS, TEXTS = 16, 300, 60


class HashModel:
    """Vectors made of a text's hash; remembers the texts it was asked for."""

    fingerprint = "hash"
    width = WIDTH

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str]) -> Floats:
        self.asked += texts
        digests = [hashlib.sha256(text.encode()).digest()[:WIDTH] for text in texts]
        return np.array([list(digest) for digest in digests], dtype=np.float32) - 127.5


def catalogue(**changed: pl.Expr) -> Items:
    """Five items of each text."""
    frame = pl.DataFrame(
        {
            "item": [f"i{n:03}" for n in range(ITEMS)],
            "title": ["title"] * ITEMS,
            "text": [f"text {n % TEXTS}" for n in range(ITEMS)],
        }
    )
    return Items(frame.with_columns(**changed))


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Path]:
    with use_settings(cache=tmp_path):
        yield tmp_path


def test_a_catalogue_without_sellable_items_cannot_be_indexed(cache: Path) -> None:
    with pytest.raises(SetupError, match="sellable"):
        SemanticIndex.build(catalogue(sellable=pl.lit(False)), Embedder(HashModel()))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_tiny_catalogue_has_an_index(cache: Path, count: int) -> None:
    items = Items(catalogue().frame.head(count))
    SemanticIndex.build(items, Embedder(HashModel())).close()
    index = SemanticIndex.open(items, Embedder(HashModel()))
    assert len(index.by_text("anything", k=20)) == count
    index.close()


def test_new_prices_and_ids_need_no_new_index_and_new_texts_do(cache: Path) -> None:
    embedder = Embedder(HashModel())
    SemanticIndex.build(catalogue(), embedder).close()
    renamed = catalogue(item=pl.lit("new ") + pl.col("item"), price=pl.lit(1.0))
    index = SemanticIndex.open(renamed, embedder)
    assert index.by_text("text 3", k=1) == [("new i003", 1.0)]
    index.close()
    with pytest.raises(SetupError, match="no complete index"):
        SemanticIndex.open(catalogue(text=pl.lit("other")), embedder)


def test_building_again_opens_what_is_there(cache: Path) -> None:
    first = SemanticIndex.build(catalogue(), Embedder(HashModel()))
    model, steps = HashModel(), list[tuple[int, int]]()
    second = SemanticIndex.build(
        catalogue(), Embedder(model), progress=lambda *step: steps.append(step)
    )
    assert (model.asked, steps) == ([], [])
    assert first.by_text("text 3") == second.by_text("text 3")
    first.close()
    second.close()


def test_a_stopped_build_leaves_nothing_to_open_and_goes_on(cache: Path) -> None:
    steps = list[tuple[int, int]]()

    def stop(done: int, total: int) -> None:
        steps.append((done, total))
        if len(steps) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        SemanticIndex.build(catalogue(), Embedder(HashModel()), progress=stop)
    assert steps == [(TEXTS, TEXTS), (TEXTS, TEXTS)]
    model = HashModel()
    with pytest.raises(SetupError, match="no complete index"):
        SemanticIndex.open(catalogue(), Embedder(model))
    index = SemanticIndex.build(catalogue(), Embedder(model))
    assert model.asked == []
    assert index.by_text("text 3") == index.exact(index.embedder.embed(["text 3"])[0])
    index.close()


def test_a_killed_build_leaves_nothing_to_open_and_goes_on(cache: Path) -> None:
    program = """
        import os, signal
        import numpy as np
        import polars as pl
        from merchgraph.tools import vectors
        from merchgraph.tools.data.tables import Items
        from merchgraph.tools.embedding import Embedder
        from merchgraph.tools.retrieval import SemanticIndex

        class Model:
            fingerprint, width = "hash", 16
            def encode(self, texts):
                return np.random.default_rng(0).normal(size=(len(texts), 16)).astype(np.float32)

        def kill(done, total):
            if done == 40:
                os.kill(os.getpid(), signal.SIGKILL)

        vectors._ADDED_AT_ONCE = 20
        texts = [f"text {n}" for n in range(60)]
        frame = pl.DataFrame({"item": texts, "title": texts, "text": texts})
        SemanticIndex.build(Items(frame), Embedder(Model()), progress=kill)
    """
    killed = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={"MERCHGRAPH_CACHE": str(cache)},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    model = HashModel()
    with pytest.raises(SetupError, match="no complete index"):
        SemanticIndex.open(catalogue(), Embedder(model))
    index = SemanticIndex.build(catalogue(), Embedder(model))
    assert model.asked == []
    assert len(index.by_text("text 3", k=ITEMS)) == ITEMS
    assert not list((cache / "indexes").glob("*.building"))
    index.close()


@pytest.mark.parametrize("damage", ["graph file cut", "graph gone", "database cut", "empty"])
def test_a_damaged_index_is_not_opened_and_is_built_again(cache: Path, damage: str) -> None:
    SemanticIndex.build(catalogue(), Embedder(HashModel())).close()
    (folder,) = (path for path in (cache / "indexes").iterdir() if path.is_dir())
    (graph,) = (path for path in folder.iterdir() if path.is_dir())
    match damage:
        case "graph file cut":
            (graph / "data_level0.bin").write_bytes(b"")
        case "graph gone":
            shutil.rmtree(graph)
        case "database cut":
            (folder / "chroma.sqlite3").write_bytes(b"not a database")
        case _:
            shutil.rmtree(folder)
            folder.mkdir()
    with pytest.raises(SetupError, match="no complete index"):
        SemanticIndex.open(catalogue(), Embedder(HashModel()))
    index = SemanticIndex.build(catalogue(), Embedder(HashModel()))
    assert len(index.by_text("text 3", k=ITEMS)) == ITEMS
    index.close()


def test_an_index_that_chroma_cannot_read_names_the_folder_to_delete(cache: Path) -> None:
    SemanticIndex.build(catalogue(), Embedder(HashModel())).close()
    (database,) = (cache / "indexes").glob("*/chroma.sqlite3")
    database.write_bytes(b"\xff" * database.stat().st_size)
    with pytest.raises(SetupError, match=f"{database.parent}.*delete that folder"):
        SemanticIndex.open(catalogue(), Embedder(HashModel()))


def test_an_index_without_chroma_is_a_setup_error(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "chromadb", None)
    with pytest.raises(SetupError, match=r"'chromadb'.*pip install 'merchgraph\[local\]'"):
        SemanticIndex.build(catalogue(), Embedder(HashModel()))


def test_eight_threads_build_one_index(cache: Path) -> None:
    items, model = catalogue(), HashModel()
    embedder = Embedder(model)

    def build(_: int) -> list[Hit]:
        with use_settings(cache=cache):  # a thread does not inherit them
            index = SemanticIndex.build(items, embedder)
        hits = index.by_text("text 3")
        index.close()
        return hits

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(build, range(8)))
    assert all(hits == results[0] for hits in results)
    assert len(model.asked) == TEXTS


def test_the_default_model_needs_no_load_to_key_an_index(cache: Path) -> None:
    with pytest.raises(SetupError, match="no complete index"):
        SemanticIndex.open(catalogue(), Embedder(SentenceModel()))
