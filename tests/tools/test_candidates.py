from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, get_args

import polars as pl
import pytest

from merchgraph.runtime.errors import SetupError
from merchgraph.tools import candidates
from merchgraph.tools.candidates import SOURCES, Past, Proposal, Source, gather
from merchgraph.tools.data.tables import Events, Items, Shop
from merchgraph.tools.retrieval import Filter, Hit, SemanticIndex

MILK = ["m1", "m2", "m3"]


@pytest.fixture
def store() -> Shop:
    """Three milks of the same text; m2 sells best, then from day 3 on m3; m1 is not for sale."""
    items = {
        "item": [*MILK, "tea", "jam", "ham"],
        "title": ["Milk"] * 3 + ["Tea", "Jam", "Ham"],
        "sellable": [False, True, True, True, True, True],
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
        second=giving(Hit("m2", 70.0), Hit("tea", 60.0), Hit("ham", 50.0)),
    )
    found = gather(store, names, long_term=["jam"], session=[], k=4)
    assert found == [
        Proposal("tea", 0.9, ("first", "second")),
        Proposal("m2", 70.0, ("second",)),
        Proposal("jam", 0.8, ("first",)),
        Proposal("ham", 50.0, ("second",)),
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
    for name in SOURCES:
        for long_term, session in ([["hem"], []], [["tea"], ["hem"]]):
            with pytest.raises(SetupError, match=r"'hem' is not in the catalogue.*mean 'ham'"):
                gather(store, [name], long_term=long_term, session=session, k=5)


def test_the_index_of_a_shop_is_made_once(monkeypatch: pytest.MonkeyPatch, store: Shop) -> None:
    made: list[Items] = []

    def build(items: Items, embedder: object, *, progress: object = None) -> object:
        made.append(items)
        return object()

    monkeypatch.setattr(SemanticIndex, "build", build)
    assert candidates.semantic_index(store) is candidates.semantic_index(store)
    assert made == [store.items]


WORN = [Hit("m1", 0.9), Hit("m2", 0.8), Hit("m3", 0.7), Hit("tea", 0.6), Hit("jam", 0.5)]


@pytest.mark.parametrize(
    ("long_term", "session", "offered"),
    [
        (["ham"], [], ["m2", "tea", "jam"]),  # m1 is not for sale, m3 has the text of m2
        (["m3", "m2", "m3"], [], ["m3", "tea", "jam"]),  # the own milk stands for all
        (["m1", "m1", "m3"], [], ["m3", "tea", "jam"]),
        (["m2", "m3"], [], ["m3", "tea", "jam"]),  # equally often: the latest
        (["m3"], ["m3", "tea"], ["m2", "jam"]),
        (["m2"], ["m2", "m3"], ["tea", "jam"]),
    ],
)
def test_of_every_source_only_what_may_be_offered_is_taken(
    monkeypatch: pytest.MonkeyPatch,
    store: Shop,
    long_term: list[str],
    session: list[str],
    offered: list[str],
) -> None:
    names = use(monkeypatch, only=giving(*WORN))
    found = gather(store, names, long_term=long_term, session=session, k=5)
    assert [proposal.item for proposal in found] == offered


def test_the_score_is_that_of_the_text_s_first_item(
    monkeypatch: pytest.MonkeyPatch, store: Shop
) -> None:
    names = use(monkeypatch, first=giving(*WORN), second=giving(Hit("m3", 7.0)))
    found = gather(store, names, long_term=["m3"], session=[], k=1)
    assert found == [Proposal("m3", 0.8, ("first", "second"))]


def test_a_source_is_asked_for_more_until_enough_may_be_offered(
    monkeypatch: pytest.MonkeyPatch, store: Shop
) -> None:
    asked = []

    def source(store: Shop, past: Past, k: int) -> list[Hit]:
        asked.append(k)
        return WORN[:k]

    names = use(monkeypatch, only=source)
    found = gather(store, names, long_term=["ham"], session=[], k=2)
    assert [proposal.item for proposal in found] == ["m2", "tea"]
    assert asked == [2, 8]
    asked.clear()
    gather(store, names, long_term=["ham"], session=[], k=1)
    assert asked == [1, 4]


def test_co_purchase_offers_what_was_in_two_baskets_with_the_session(store: Shop) -> None:
    baskets = {"a": ["tea", "jam"], "b": ["tea", "jam"], "c": ["tea", "ham"], "d": ["ham"]}
    rows = [
        ("ann", session, datetime(2026, 1, day), "purchase", item)
        for day, (session, items) in enumerate(baskets.items(), start=1)
        for item in items
    ]
    columns = ["user", "session", "time", "behaviour", "item"]
    shop = Shop("two", store.items, Events(pl.DataFrame(rows, schema=columns, orient="row")))
    (found,) = gather(shop, ["copurchase"], long_term=["ham"], session=["tea"], k=5)
    assert (found.item, found.sources) == ("jam", ("copurchase",))
    assert found.score == pytest.approx(1 / (1.5 * 1) ** 0.5)
    with pytest.raises(SetupError, match="copurchase found no candidate"):
        gather(
            shop,
            ["copurchase"],
            long_term=[],
            session=["tea"],
            k=5,
            before=datetime(2026, 1, 2),
        )


def test_frequency_offers_the_own_purchases_most_frequent_first(store: Shop) -> None:
    past = ["tea", "m3", "jam", "m3", "m1", "m1", "m1", "ham"]
    found = gather(store, ["frequency"], long_term=past, session=["ham"], k=5)
    # tea was bought once by all, jam never
    assert [proposal.item for proposal in found] == ["m3", "tea", "jam"]
    assert [int(proposal.score) for proposal in found] == [2, 1, 1]
    with pytest.raises(SetupError, match="frequency found no candidate"):
        gather(store, ["frequency"], long_term=[], session=["ham"], k=5)


def test_every_source_that_a_context_may_name_is_there() -> None:
    assert set(SOURCES) == set(get_args(candidates.SourceName))
