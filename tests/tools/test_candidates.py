from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import polars as pl
import pytest

from merchgraph.runtime.errors import SetupError
from merchgraph.tools import candidates
from merchgraph.tools.candidates import Past, Proposal, Source, gather
from merchgraph.tools.data.tables import Events, Items, Shop
from merchgraph.tools.retrieval import Filter, Hit, SemanticIndex

MILK = ["m1", "m2", "m3"]


@pytest.fixture
def store() -> Shop:
    """Three milks of the same text; m2 sells best, then from day 3 on m3; m1 is not for sale."""
    items = {
        "item": [*MILK, "tea", "jam"],
        "title": ["Milk"] * 3 + ["Tea", "Jam"],
        "sellable": [False, True, True, True, True],
    }
    log = [(1, "m2"), (1, "m2"), (1, "tea"), *[(3, "m3")] * 5, *[(2, "m1")] * 9]
    events = pl.DataFrame(
        [("ann", f"s{day}", datetime(2026, 1, day), "purchase", item) for day, item in log],
        schema=["user", "session", "time", "behaviour", "item"],
        orient="row",
    )
    return Shop("dairy", Items(pl.DataFrame(items)), Events(events))


def use(monkeypatch: pytest.MonkeyPatch, **sources: Source) -> Any:
    """Sources that the union knows, and their names."""
    monkeypatch.setattr(candidates, "SOURCES", sources)
    return list(sources)


def giving(*hits: Hit) -> Source:
    return lambda store, past, k: list(hits[:k])


def test_the_union_takes_the_best_of_each_source_in_turn(
    monkeypatch: pytest.MonkeyPatch, store: Shop
) -> None:
    names = use(
        monkeypatch,
        first=giving(Hit("tea", 0.9), Hit("jam", 0.8)),
        second=giving(Hit("m2", 70.0), Hit("tea", 60.0), Hit("m3", 50.0)),
    )
    found = gather(store, names, long_term=["jam"], session=[], k=4)
    assert found == [
        Proposal("tea", 0.9, ("first", "second")),
        Proposal("m2", 70.0, ("second",)),
        Proposal("jam", 0.8, ("first",)),
        Proposal("m3", 50.0, ("second",)),
    ]
    assert gather(store, names, long_term=["jam"], session=[], k=2) == found[:2]


def test_a_source_named_twice_counts_once(monkeypatch: pytest.MonkeyPatch, store: Shop) -> None:
    use(monkeypatch, first=giving(Hit("tea", 0.9)))
    twice: Any = ["first", "first"]
    found = gather(store, twice, long_term=["jam"], session=[], k=4)
    assert found == [Proposal("tea", 0.9, ("first",))]


def test_a_source_is_told_the_shoppers_items_the_time_and_how_many(
    monkeypatch: pytest.MonkeyPatch, store: Shop
) -> None:
    told = []

    def source(store: Shop, past: Past, k: int) -> list[Hit]:
        told.append((store, past, k))
        return [Hit("jam", 1.0)]

    names, time = use(monkeypatch, only=source), datetime(2026, 1, 2)
    gather(store, names, long_term=["m1"], session=["tea"], k=7, before=time)
    assert told == [(store, Past(["m1"], ["tea"], time), 7)]


def test_a_shopper_without_any_item_is_an_error(store: Shop) -> None:
    with pytest.raises(SetupError, match=r"neither earlier items nor a basket.*give a session"):
        gather(store, ["semantic"], long_term=[], session=[], k=5)


def test_sources_that_find_nothing_are_an_error(
    monkeypatch: pytest.MonkeyPatch, store: Shop
) -> None:
    names = use(monkeypatch, first=giving(), second=giving())
    with pytest.raises(SetupError, match="first, second found no candidate"):
        gather(store, names, long_term=["tea"], session=[], k=5)


@dataclass
class Index:
    """A semantic index that finds what it is told to, and keeps what it was asked."""

    finds: Sequence[Hit]
    asked: list[tuple[list[str], list[str], int, Filter]] = field(default_factory=list)

    def by_user(
        self, long_term: Iterable[str], session: Iterable[str], *, k: int, where: Filter
    ) -> list[Hit]:
        self.asked.append((list(long_term), list(session), k, where))
        return list(self.finds)


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Index:
    index = Index([Hit("m2", 0.9), Hit("jam", 0.5)])
    monkeypatch.setattr(candidates, "semantic_index", lambda store: index)
    return index


def test_the_semantic_source_asks_for_texts_and_leaves_the_basket_out(
    store: Shop, index: Index
) -> None:
    gather(store, ["semantic"], long_term=["m1", "jam"], session=["tea"], k=5)
    assert index.asked == [
        (["Milk", "Jam"], ["Tea"], 5, Filter(exclude={"tea"}, distinct=True)),
    ]


@pytest.mark.parametrize(
    ("before", "session", "milk"),
    [
        (None, ["tea"], "m3"),
        (datetime(2026, 1, 3), ["tea"], "m2"),  # what sold best later is not known then
        (datetime(2026, 1, 3, 1), ["tea"], "m3"),
        (datetime(2026, 1, 1), ["tea"], "m2"),  # nothing sold yet: by id, of what is for sale
        (None, ["m3"], "m2"),
    ],
)
def test_of_a_text_the_most_bought_item_before_the_time_is_offered(
    store: Shop, index: Index, before: datetime | None, session: list[str], milk: str
) -> None:
    found = gather(store, ["semantic"], long_term=[], session=session, k=5, before=before)
    assert found == [
        Proposal(milk, 0.9, ("semantic",)),
        Proposal("jam", 0.5, ("semantic",)),
    ]


def test_an_item_that_is_not_in_the_catalogue_is_an_error(store: Shop, index: Index) -> None:
    with pytest.raises(SetupError, match="'ham'"):
        gather(store, ["semantic"], long_term=["ham"], session=[], k=5)


def test_the_index_of_a_shop_is_made_once(monkeypatch: pytest.MonkeyPatch, store: Shop) -> None:
    made: list[Items] = []

    def build(items: Items, embedder: object, *, progress: object = None) -> object:
        made.append(items)
        return object()

    monkeypatch.setattr(SemanticIndex, "build", build)
    assert candidates.semantic_index(store) is candidates.semantic_index(store)
    assert made == [store.items]


def test_counts_of_many_times_are_not_kept_for_ever(store: Shop, index: Index) -> None:
    for day in range(1, 29):
        gather(
            store, ["semantic"], long_term=["tea"], session=[], k=1, before=datetime(2026, 1, day)
        )
    assert candidates._counts.cache_info().currsize <= 8
