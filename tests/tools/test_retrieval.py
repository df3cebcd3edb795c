from __future__ import annotations

import hashlib
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from rich.console import Console

from merchgraph.evals.suites.retrieval import report
from merchgraph.runtime.errors import SetupError, ToolError
from merchgraph.runtime.settings import use_settings
from merchgraph.tools import vectors
from merchgraph.tools.data.tables import Items
from merchgraph.tools.embedding import Embedder
from merchgraph.tools.retrieval import Filter, Hit, SemanticIndex
from merchgraph.tools.vectors import Floats

WIDTH = 16
ITEMS, TEXTS = 300, 60


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
    """Five items of each text; categories, brands and prices differ within a text."""
    n = range(ITEMS)
    frame = pl.DataFrame(
        {
            "item": [f"i{i:03}" for i in n],
            "title": ["title"] * ITEMS,
            "category": [f"Dept {i % 3} > Category {i % 7}" for i in n],
            "brand": [["Ours", "Theirs", None][i % 3] for i in n],
            "price": [None if i % 11 == 0 else i / 10 for i in n],
            "text": [f"text {i % TEXTS}" for i in n],
        }
    )
    return Items(frame.with_columns(**changed))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SemanticIndex]:
    with use_settings(cache=tmp_path_factory.mktemp("cache")):
        index = SemanticIndex.build(catalogue(), Embedder(HashModel()))
    yield index
    index.close()


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Path]:
    with use_settings(cache=tmp_path):
        yield tmp_path


def brute_force(index: SemanticIndex, vector: Floats, k: int, where: Filter) -> list[Hit]:
    hits = []
    for row in index.items.frame.iter_rows(named=True):
        low, high = where.price or (-np.inf, np.inf)
        passes = (
            f"{row['category']} > ".startswith(f"{where.category or row['category']} > ")
            and where.brand in (None, row["brand"])
            and (where.price is None or (row["price"] is not None and low <= row["price"] <= high))
            and (where.among is None or row["item"] in where.among)
            and row["item"] not in where.exclude
        )
        if passes:
            cosine = index.embedder.embed([row["text"]])[0] @ vector / np.linalg.norm(vector)
            hits.append(Hit(row["item"], float(np.round(np.float64(cosine), 6))))
    return sorted(hits, key=lambda hit: (-hit.score, hit.item))[:k]


def assert_same(found: list[Hit], expected: list[Hit]) -> None:
    assert [hit.item for hit in found] == [hit.item for hit in expected]
    np.testing.assert_allclose(
        [hit.score for hit in found], [hit.score for hit in expected], atol=2e-6
    )


ids = st.sets(st.sampled_from([f"i{i:03}" for i in range(ITEMS)] + ["unknown"]))
filters = st.builds(
    Filter,
    category=st.sampled_from([None, "Dept 1", "Dept 1 > Category 2", "Dept", "Nowhere"]),
    brand=st.sampled_from([None, "Ours", "Nobody's"]),
    price=st.sampled_from([None, (0.0, 5.0), (2.0, 2.5), (99.0, 1.0)]),
    among=st.none() | ids,
    exclude=ids,
)


@pytest.mark.parametrize("scanned_at_most", [vectors._SCAN_AT_MOST, 0])
@hypothesis_settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=filters, k=st.sampled_from([1, 7, 20, 400]), query=st.text(max_size=5))
def test_nearest_and_exact_are_what_brute_force_finds_behind_any_filter(
    shared: SemanticIndex,
    monkeypatch: pytest.MonkeyPatch,
    scanned_at_most: int,
    where: Filter,
    k: int,
    query: str,
) -> None:
    monkeypatch.setattr(vectors, "_SCAN_AT_MOST", scanned_at_most)
    vector = shared.embedder.embed([query])[0]
    expected = brute_force(shared, vector, k, where)
    assert_same(shared.exact(vector, k=k, where=where), expected)
    assert_same(shared.nearest(vector, k=k, where=where), expected)


def test_a_selective_filter_still_gives_k_items(shared: SemanticIndex) -> None:
    farthest = [hit.item for hit in shared.by_text("text 3", k=ITEMS)[-20:]]
    found = shared.by_text("text 3", k=20, where=Filter(among=farthest))
    assert [hit.item for hit in found] == farthest
    assert len(shared.by_text("text 3", k=21, where=Filter(among=farthest))) == 20


def test_distinct_keeps_the_most_popular_passing_item_of_each_text(cache: Path) -> None:
    popularity = {"i003": 9.0, "i063": 5.0}
    index = SemanticIndex.build(catalogue(), Embedder(HashModel()), popularity=popularity)
    where = Filter(distinct=True, exclude={"i003"})
    found = index.by_text("text 3", k=TEXTS, where=where)
    texts = [item.text for item in index.items.get(hit.item for hit in found)]
    assert found[0] == ("i063", 1.0)
    assert len(set(texts)) == len(found) == TEXTS
    index.close()


def test_equal_scores_go_by_item_id_or_by_popularity_when_given(cache: Path) -> None:
    embedder = Embedder(HashModel())
    index = SemanticIndex.build(catalogue(), embedder)
    assert [hit.item for hit in index.by_text("text 3", k=3)] == ["i003", "i063", "i123"]
    popular = SemanticIndex.open(catalogue(), embedder, popularity={"i243": 2.0, "i123": 1.0})
    assert [hit.item for hit in popular.by_text("text 3", k=3)] == ["i243", "i123", "i003"]
    index.close()
    popular.close()


def test_an_item_is_not_among_its_own_neighbours_but_those_of_its_text_are(
    shared: SemanticIndex,
) -> None:
    found = shared.by_item("i003", k=5, where=Filter(exclude=["i063"]))
    assert [hit.item for hit in found[:3]] == ["i123", "i183", "i243"]
    assert [hit.score for hit in found[:3]] == [1.0, 1.0, 1.0]
    assert found[3].score < 1


def test_a_user_gets_the_items_nearest_to_the_mean_of_the_texts(shared: SemanticIndex) -> None:
    found = shared.by_user(["text 1", "text 2"], ["text 3"], k=10)
    vector = shared.embedder.embed_user(["text 1", "text 2"], ["text 3"])
    assert_same(found, brute_force(shared, vector, 10, Filter()))
    assert shared.by_user([], ["text 3"], k=1) == [("i003", 1.0)]


def test_only_sellable_items_are_returned_but_any_may_be_asked_about(cache: Path) -> None:
    items = catalogue(sellable=pl.col("item") >= "i100")
    index = SemanticIndex.build(items, Embedder(HashModel()))
    assert len(index) == 200
    found = index.by_item("i003", k=ITEMS)
    assert len(found) == 200
    assert min(hit.item for hit in found) == "i100"
    index.close()


def test_what_cannot_be_asked_is_an_error(shared: SemanticIndex) -> None:
    with pytest.raises(SetupError, match="k is 0"):
        shared.by_text("text 3", k=0)
    with pytest.raises(SetupError, match="'nothing'"):
        shared.by_item("nothing")
    with pytest.raises(ToolError, match="no vector"):
        shared.by_user([])
    with pytest.raises(ToolError, match="zero or not finite"):
        shared.nearest(np.zeros(WIDTH, np.float32))
    with pytest.raises(ToolError, match="zero or not finite"):
        shared.exact(np.full(WIDTH, np.nan, np.float32))


def test_eight_threads_share_an_index(shared: SemanticIndex) -> None:
    texts = [f"query {n}" for n in range(160)]
    where = Filter(category="Dept 1", exclude=["i001"])
    alone = [(shared.by_text(text), shared.by_text(text, where=where)) for text in texts]
    with ThreadPoolExecutor(8) as pool:
        both = pool.map(lambda t: (shared.by_text(t), shared.by_text(t, where=where)), texts)
        assert list(both) == alone


def test_importing_the_module_imports_neither_chroma_nor_torch() -> None:
    program = """
        import sys
        import merchgraph.evals.suites.retrieval, merchgraph.tools.retrieval

        heavy = {"torch", "sentence_transformers", "transformers", "chromadb"}
        assert not heavy & set(sys.modules), heavy & set(sys.modules)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True)


def test_the_report_compares_every_kind_of_query_with_exact_search(shared: SemanticIndex) -> None:
    result = report(shared, users=[["text 1", "text 2"]], items=["i003", "i004"], texts=[], k=5)
    assert [(kind.name, kind.n) for kind in result.kinds] == [("user", 1), ("item", 2), ("text", 0)]
    assert [kind.recall for kind in result.kinds[:2]] == [1.0, 1.0]
    with (console := Console(width=100)).capture() as drawn:
        console.print(result.table())
    assert "recall@5" in drawn.get()
    assert "1.0000" in drawn.get()
