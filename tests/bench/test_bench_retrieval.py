"""The semantic index on the whole of The Complete Journey: recall, times and thread-safety.

Vectors and index are kept between runs in the cache folder of the settings; the first run embeds
some 20,000 texts, which takes minutes.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle, islice

import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from rich.console import Console

from merchgraph.evals.suites.retrieval import on_shop
from merchgraph.tools.data import complete_journey
from merchgraph.tools.data.tables import Shop
from merchgraph.tools.embedding import Embedder
from merchgraph.tools.retrieval import Filter, SemanticIndex

pytestmark = [pytest.mark.bench, pytest.mark.timeout(600)]

USERS, ITEMS, LAST, K = 100, 500, 50, 20


@pytest.fixture(scope="module")
def shop() -> Shop:
    return complete_journey.load()


@pytest.fixture(scope="module")
def index(shop: Shop) -> Iterator[SemanticIndex]:
    index = SemanticIndex.build(shop.items, Embedder())
    yield index
    index.close()


@pytest.fixture(scope="module")
def histories(shop: Shop) -> list[list[str]]:
    """Per user, the texts of the latest items."""
    text_of = dict(shop.items.frame.select("item", "text").iter_rows())
    users = shop.events.users[:USERS]
    return [[text_of[item] for item in shop.events.of(user)["item"].tail(LAST)] for user in users]


@pytest.fixture(scope="module")
def sample(index: SemanticIndex) -> list[str]:
    return index.items.frame["item"].sample(ITEMS, seed=0).to_list()


def test_hnsw_agrees_with_exact_search_in_under_20_ms(index: SemanticIndex, shop: Shop) -> None:
    result = on_shop(index, shop, k=K)
    Console().print(result.table())
    for kind in result.kinds:
        assert kind.recall >= 0.99
        assert kind.p95_ms < 20


def test_time_of_opening(benchmark: BenchmarkFixture, shop: Shop, index: SemanticIndex) -> None:
    embedder = index.embedder

    def open_and_close() -> None:
        SemanticIndex.open(shop.items, embedder).close()

    benchmark(open_and_close)


def test_time_by_user(
    benchmark: BenchmarkFixture, index: SemanticIndex, histories: list[list[str]]
) -> None:
    turn = cycle(histories)
    assert len(benchmark(lambda: index.by_user(next(turn), k=K))) == K


@pytest.mark.parametrize(
    "where",
    [
        Filter(),
        Filter(category="Grocery"),
        Filter(brand="national brand", price=(1, 3)),
        Filter(distinct=True),
    ],
    ids=["all", "department", "brand and price", "distinct"],
)
def test_time_by_item(
    benchmark: BenchmarkFixture, index: SemanticIndex, sample: list[str], where: Filter
) -> None:
    turn = cycle(sample)
    assert len(benchmark(lambda: index.by_item(next(turn), k=K, where=where))) == K


def test_time_by_item_without_what_was_bought(
    benchmark: BenchmarkFixture, index: SemanticIndex, shop: Shop, sample: list[str]
) -> None:
    where = Filter(exclude=set(shop.events.of(shop.events.users[0])["item"]))
    turn = cycle(sample)
    assert len(benchmark(lambda: index.by_item(next(turn), k=K, where=where))) == K


def test_time_of_exact_search(
    benchmark: BenchmarkFixture, index: SemanticIndex, histories: list[list[str]]
) -> None:
    vectors = cycle([index.embedder.embed_user(texts) for texts in islice(histories, 100)])
    assert len(benchmark(lambda: index.exact(next(vectors), k=K))) == K
